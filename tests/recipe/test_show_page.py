"""The page of one run in a real browser: its slider shows one grid at a time, and its curves are drawn."""

import json
import re

import numpy as np
import pytest
from PIL import Image
from running import gan
from test_page import ATTACK, BROWSER, Elements, dom

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")


def test_the_slider_shows_one_grid_at_a_time(tmp_path):
    run = tmp_path / "run"
    (run / "samples").mkdir(parents=True)
    (run / "status.json").write_text(json.dumps({"status": "finished", "images": 2000, "overrides": [ATTACK]}))
    lines = [{"images": 1000 * i, "loss/generator": 1.0 + i} for i in range(3)]
    (run / "stats.jsonl").write_text("\n".join(map(json.dumps, lines)))
    for kimg in range(3):
        Image.fromarray(np.zeros((16, 16), np.uint8)).save(run / f"samples/kimg-{kimg:06d}.png")
    gan("show", "run", "--html", "page.html", cwd=tmp_path)
    for at, kimg in (("", "2"), ("at=0", "0"), ("at=0.5", "1")):
        text = dom(tmp_path / "page.html", tmp_path / "profile", at)
        frames = re.findall(r'<img [^>]*data-kimg="(\d)"([^>]*)>', text)
        assert [number for number, more in frames if "hidden" not in more] == [kimg] and len(frames) == 3
        assert f'<span class="when muted">{kimg} kimg</span>' in text and 'type="range"' in text
    assert text.count('class="curve"') >= 1, "the script of comparisons draws the curves"
    seen = Elements()
    seen.feed(text)
    assert seen.tags.count("script") == 3 and "onerror" not in seen.attributes and "<title>taken" not in text
