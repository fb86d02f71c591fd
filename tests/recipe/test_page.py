"""The page of a comparison in a real browser: its script sorts, draws and hides; a stranger's text stays text."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from running import gan

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--virtual-time-budget=3000", "--dump-dom")
ATTACK = "</script><script>document.title='taken'</script><img src=x onerror=document.title='taken'>"

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page of three runs, one of them a stranger's."""
    work = tmp_path_factory.mktemp("page")
    for number, seconds in enumerate((9.0, 10.0, 2.5)):
        run = work / f"runs/{number}"
        (run / "samples").mkdir(parents=True)
        why = ATTACK if number == 2 else ""
        (run / "status.json").write_text(json.dumps({"status": "failed", "why": why, "images": 2000, "overrides": [
            f"seed={number}", why], "alarms": [{"name": why}] if why else []}))
        lines = [{"images": 1000 * i, "loss/generator": number + i, f"metrics/{why}(1/1)": 1.0, "time/training_s": seconds}
                 for i in range(3)]
        (run / "stats.jsonl").write_text("\n".join(map(json.dumps, lines)))
        Image.fromarray(np.zeros((16, 16), np.uint8)).save(run / "samples/kimg-000002.png")
    gan("compare", "runs", "--html", "page.html", cwd=work)
    return work / "page.html"


class Elements(HTMLParser):
    """The tags and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attributes}


def dom(page, profile, fragment: str = "") -> str:
    """Return the page's elements after its script has run."""
    done = subprocess.run([BROWSER, *FLAGS, f"--user-data-dir={profile}", f"{page.as_uri()}#{fragment}"], capture_output=True,
                          text=True, timeout=120)
    assert "</html>" in done.stdout, done.stderr[-2000:]
    return done.stdout


def test_the_script_draws_and_sorts(page, tmp_path):
    text = dom(page, tmp_path, "sort=seconds&descending&theme=dark&hide=1")
    assert re.findall(r'<tr data-run="(\d)"', text) == ["1", "0", "2"]
    assert 'aria-sort="descending"' in text and 'data-theme="dark"' in text
    loss = text[text.index("loss/generator</figcaption>"):]
    drawn = loss[:loss.index("</figure>")]
    assert drawn.count('class="curve"') == 2, "three runs, of which one is hidden"
    assert re.findall(r'aria-pressed="(\w+)"', text) == ["true", "false", "true"]


def test_a_strangers_text_stays_text(page, tmp_path):
    text = dom(page, tmp_path)
    assert "<title>3 runs compared</title>" in text and "taken" in text
    seen = Elements()
    seen.feed(text)
    assert seen.tags.count("script") == 2 and seen.tags.count("img") == 3 + 3 and "onerror" not in seen.attributes
