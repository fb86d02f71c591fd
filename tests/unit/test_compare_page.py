"""The page, the pictures and the files of a comparison, and `gan compare` and `gan list runs` on the command line."""

import base64
import hashlib
import io
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image
from recorded_runs import record_run, with_metrics
from typer.testing import CliRunner

from gancli.cli import main
from gancli.compare import report
from gancli.compare.page import make_page
from gancli.compare.reading import labels, read_run, read_runs
from gancli.compare.samples import caption, choose_grids, side_by_side
from gancli.compare.table import make_table

ROOT = Path(__file__).parents[2]
ATTACK = '</script><script>alert(1)</script><img src=x onerror=alert(2)>"\' onclick="alert(3)'


def gan(*arguments: str):
    """Run one command line in this process."""
    return CliRunner().invoke(main.app, list(arguments), prog_name="gan")


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """Two measured jobs of a sweep in outputs/."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "outputs/sweep/20260101T000000Z-abcdef"
    for seed, fid in enumerate(([9.0, 5.5], [8.0, 4.25])):
        record_run(folder / str(seed), with_metrics(fid=fid), seed=seed, grids=(1, 2, 4), status={
            "best": {"metric": "fid(classifier,2000/60000)", "value": fid[-1], "images": 2000},
            "alarms": [{"name": "collapse", "evidence": "diversity 0.1"}] * seed})
    return folder


class Page(HTMLParser):
    """What a browser would see: elements, scripts and data."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.scripts: list[str] = []
        self.in_script = False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.in_script = tag == "script"
        self.scripts += [""] * self.in_script

    def handle_endtag(self, tag):
        self.in_script = False

    def handle_data(self, data):
        if self.in_script:
            self.scripts[-1] += data

    def all(self, tag: str) -> list[dict]:
        """Return the attributes of every element of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]


def page_of(runs, **pictures) -> tuple[str, Page]:
    """Return the page of runs, as text and parsed; one small picture stands for each chart."""
    table = make_table(runs)
    names, grids = labels(runs), choose_grids(runs, labels(runs))
    text = make_page(table, names, pictures or {"loss/generator": b"png"}, grids)
    return text, Page(text)


def test_the_page_holds_everything_and_loads_nothing(sweep):
    text, page = page_of(read_runs(["abcdef"], "outputs"))
    for element, attributes in page.elements:
        assert not set(attributes) & {"onclick", "onload", "onerror", "background", "action"}, element
        for key in ("src", "href", "srcset", "data", "poster"):
            assert attributes.get(key, "#").startswith(("data:image/png;base64,", "#")), (element, attributes[key][:80])
    assert not re.search(r"https?://|@import|url\(", text.replace("http://www.w3.org", ""))
    images = page.all("img")
    assert len(images) == 3 and all(len(image["alt"]) > 20 for image in images)
    heads = page.all("th")
    assert len(heads) == 13 + 2 and {head["scope"] for head in heads} == {"col", "row"}
    assert [head["data-lower"] for head in heads if "data-lower" in head] == ["true", "true"]
    assert "★</span> 4.25" in text and "★</span> 5.5" not in text and "collapse" in text and "loss=wgan_gp" in text
    assert page.all("html") == [{"lang": "en"}] and len(page.all("details")) == 2 and "2.11" in text


def test_the_data_of_the_curves(sweep):
    _, page = page_of(read_runs(["abcdef"], "outputs"), **{"metrics/fid(classifier,2000/60000)": b"", "loss/generator": b""})
    data = json.loads(page.scripts[0])
    assert data["runs"] == ["0 seed=0", "1 seed=1"] and [chart["tag"] for chart in data["charts"]][1] == "loss/generator"
    assert data["charts"][0]["curves"] == [{"run": 0, "x": [1, 2], "y": [9, 5.5]}, {"run": 1, "x": [1, 2], "y": [8, 4.25]}]


def test_a_strangers_run_injects_nothing(tmp_path):
    lines = [{"images": 1, f"metrics/{ATTACK}": 1.0, ATTACK: float("inf")}, {"images": 2, f"metrics/{ATTACK}": float("nan")}]
    run = record_run(tmp_path / ATTACK.replace("/", "|"), lines, status={
        "status": ATTACK, "why": ATTACK, "overrides": [ATTACK], "started": ATTACK,
        "alarms": [{"name": ATTACK, "evidence": ATTACK}], "best": {"metric": ATTACK, "value": ATTACK, "images": ATTACK}})
    (run / "config.yaml").write_text(json.dumps({"model": {"name": ATTACK}, "loss": {"name": ATTACK}, ATTACK: ATTACK}))
    (run / "provenance.json").write_text(json.dumps({"versions": {ATTACK: ATTACK}, "argv": [ATTACK], ATTACK: ATTACK}))
    (run / "samples/kimg-000004.png").write_text(f"<svg xmlns='http://www.w3.org/2000/svg'>{ATTACK}</svg>")
    other = record_run(tmp_path / "other")
    runs = [read_run(run), read_run(other)]
    _, clean = page_of([read_run(other), read_run(other)], **{"a": b"", "b": b""})
    _, page = page_of(runs, **{f"metrics/{ATTACK}": b"", ATTACK: b""})
    assert len(page.scripts) == 2 and page.scripts[1] == clean.scripts[1], "the data, and the page's own script"
    assert {element for element, _ in page.elements} - {"wbr"} == {element for element, _ in clean.elements}
    assert {key for _, attributes in page.elements for key in attributes} == {
        key for _, attributes in clean.elements for key in attributes}
    assert json.loads(page.scripts[0])["charts"][1]["tag"] == ATTACK
    assert len(page.all("img")) == 3, "two charts and the grid that is a picture"


def test_only_the_pages_own_script_may_run(sweep):
    _, page = page_of(read_runs(["abcdef"], "outputs"))
    policy, = (meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    digest = base64.b64encode(hashlib.sha256(page.scripts[1].encode()).digest()).decode()
    assert policy.startswith("default-src 'none'") and f"script-src 'sha256-{digest}'" in policy
    assert page.scripts[1] == (ROOT / "gancli/compare/page.js").read_text()
    assert "innerHTML" not in page.scripts[1] and "</script" not in page.scripts[1]


@pytest.mark.parametrize(("kimg", "shown"), [(None, 4), (1.4, 1), (3.1, 4), (0, 1)])
def test_grids_are_the_last_or_the_nearest(kimg, shown, sweep):
    runs = read_runs(["abcdef"], "outputs")
    grids = choose_grids(runs, labels(runs), kimg)
    assert [caption(grid) for grid in grids] == [f"samples at {shown} kimg"] * 2
    assert [grid.picture.getpixel((3, 3)) for grid in grids] == [90 + shown] * 2


def test_grids_stand_side_by_side_with_their_names(sweep):
    (sweep / "1/samples/kimg-000004.png").write_bytes(b"no picture")
    third = record_run(sweep / "2", seed=2, gray=150)
    (third / "samples/kimg-000004.png").rename(third / "samples/translations-kimg-000003_500.png")
    runs = read_runs(["abcdef"], "outputs")
    grids = choose_grids(runs, ["first", "second", "third"])
    assert [(grid.name, caption(grid)) for grid in grids] == [("first", "samples at 4 kimg"),
                                                              ("third", "translations at 3.5 kimg")]
    sheet = Image.open(io.BytesIO(side_by_side(grids)))
    colors = dict((color, count) for count, color in sheet.getcolors(1 << 16))
    assert colors[(94, 94, 94)] >= 24 * 16 and colors[(154, 154, 154)] >= 24 * 16 and sheet.width > sheet.height / 2


def test_the_command_prints_the_table_and_writes_a_folder(sweep):
    result = gan("compare", "abcdef", "--sort", "fid", "--curves", "fid", "--smooth", "0.5")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert "2 runs; in all of them model dcgan, loss wgan_gp, dataset digits" in lines[0]
    assert lines[4].split()[0].endswith("abcdef/1") and "4.25 *" in lines[4] and lines[5].split()[0].endswith("abcdef/0")
    folder, = Path("outputs/compare").iterdir()
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*.*")} == {
        "index.html", "runs.csv", "runs.json", "samples.png", "curves/metrics-fid-classifier-2000-60000.png"}
    assert lines[-4:] == [f"{folder}/{name}" for name in ("index.html", "samples.png", "runs.csv", "runs.json")]
    assert (folder / "index.html").read_text().count("data:image/png") == 3


def test_single_files_are_not_replaced_unawares(sweep, monkeypatch):
    monkeypatch.setattr("gancli.compare.curves.draw", lambda *given: b"png")
    wanted = ("--csv", "a/t.csv", "--json", "t.json", "--html", "t.html")
    assert gan("compare", str(sweep), *wanted).exit_code == 0
    assert not Path("outputs/compare").exists() and Path("a/t.csv").read_text().startswith("id,status,kimg")
    before = Path("t.json").read_text()
    Path("t.html").unlink()
    result = gan("compare", str(sweep / "0"), *wanted)
    assert result.exit_code == 2 and "is there already" in result.stderr and "--overwrite" in result.stderr
    assert Path("t.json").read_text() == before and not Path("t.html").exists(), "nothing is written where one is refused"
    assert gan("compare", str(sweep / "0"), *wanted, "--overwrite").exit_code == 0
    assert len(json.loads(Path("t.json").read_text())["runs"]) == 1


@pytest.mark.parametrize(("arguments", "message"), [
    (("abcdef", "--sort", "seconde"), "did you mean seconds"), ((), "Missing argument"),
    (("abcdef", "--curves", "loss/gen"), "did you mean loss/generator"), (("abcdef", "--smooth", "1"), "--smooth must be"),
    (("abcdef", "--kimg", "-1"), "--kimg must be"), (("abcdef", "--csv", "x", "--json", "x"), "one name"),
    (("abcdef", "--csv", "outputs"), "is a folder")])
def test_what_is_wrong_is_refused_before_anything_is_written(arguments, message, sweep, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    result = gan("compare", *arguments)
    assert result.exit_code == 2 and message in result.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_a_run_that_is_not_there_is_named(sweep):
    result = gan("compare", "abcdeg")
    assert result.exit_code == 1 and "no run called abcdeg; did you mean" in result.stderr


def test_list_runs_tells_best_figure_alarms_and_overrides(sweep, monkeypatch):
    record_run(Path("outputs/train/20260101T000000Z-aaaaaa-dcgan-digits"), status={"status": "\x1b[31mred"}, seed=9)
    lines = gan("list", "runs").stdout.splitlines()
    assert lines[1].split() == ["id", "status", "kimg", "model", "loss", "dataset", "best", "alarms", "overrides", "path"]
    assert "fid(classifier,2000/60000) 5.5 at 2 kimg" in lines[3]
    assert "seed=0" in lines[3] and "loss=wgan_gp" not in lines[3]
    assert "4.25 at 2 kimg" in lines[4] and lines[4].split()[-4] == "1", "one alarm"
    assert "seed=9" not in lines[5] and "\x1b" not in lines[5]
    ids = [line.split()[0][-8:] for line in gan("list", "runs", "--sort", "best").stdout.splitlines()[3:6]]
    assert ids == ["abcdef/1", "abcdef/0", "n-digits"]
    ids = [line.split()[0][-8:] for line in gan("list", "runs", "--sort", "best", "--descending").stdout.splitlines()[3:6]]
    assert ids == ["abcdef/0", "abcdef/1", "n-digits"]
    assert [line.split()[0][-1] for line in gan("list", "runs", "--root", str(sweep), "--sort", "alarms",
                                                "--descending").stdout.splitlines()[3:5]] == ["1", "0"]
    assert gan("list", "runs", "--sort", "bset").exit_code == gan("list", "models", "--sort", "best").exit_code == 2


def test_old_records_have_no_best(sweep):
    for folder in sweep.iterdir():
        status = json.loads((folder / "status.json").read_text())
        (folder / "status.json").write_text(json.dumps({key: status[key] for key in ("status", "images", "overrides")}))
    assert gan("list", "runs").stdout.splitlines()[1].split() == ["id", "status", "kimg", "model", "loss", "dataset",
                                                                  "overrides", "path"]


def test_comparing_imports_no_torch(sweep):
    code = ("import sys; from contextlib import suppress; from gancli.cli.main import main\n"
            "with suppress(SystemExit): main()\n"
            "sys.exit(any(name in sys.modules for name in ('torch', 'sklearn', 'scipy', 'tensorboard')))")
    done = subprocess.run([sys.executable, "-c", code, "compare", "abcdef", "--out", "out", "--curves", "fid"],
                          capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0 and "out/index.html" in done.stdout, done.stderr


def test_default_folders_differ():
    assert report.default_folder() != report.default_folder()


def test_completion_offers_runs_and_sweeps(sweep):
    from gancli.cli.completion import complete_run

    assert complete_run("2026") == [sweep.name, f"{sweep.name}/0", f"{sweep.name}/1"]
    assert complete_run(f"{sweep.name}/1") == [f"{sweep.name}/1"]
