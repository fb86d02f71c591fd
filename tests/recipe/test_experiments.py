"""`gan lab all`, as a lecturer runs it: every learned number against its exact one, the contact sheet, pages in a browser."""

import json
import re

import pytest
from running import gan
from test_page import BROWSER, dom

EXPERIMENTS = ("divergences", "equilibrium", "generator_costs", "lipschitz", "mode_seeking", "modes",
               "optimal_discriminator", "value_at_optimum", "vanishing_gradient")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The folder of all experiments, run with their defaults."""
    work = tmp_path_factory.mktemp("lab")
    done = gan("lab", "all", "out=all", cwd=work, timeout=1800, OMP_NUM_THREADS="1")
    assert done.stdout.splitlines()[-1].endswith("all/index.html")
    return work / "all"


def rows(lab, name: str, table: str = "") -> list[dict]:
    """Return a table's rows by their headings."""
    tables = json.loads((lab / name / "result.json").read_text())["tables"]
    found = next(each for each in tables if each["name"] == (table or tables[0]["name"]))
    return [dict(zip(found["columns"], row, strict=True)) for row in found["rows"]]


def test_every_experiment_left_its_files_and_the_sheet_has_them(lab):
    assert {path.name for path in lab.iterdir()} == {*EXPERIMENTS, "index.html"}
    sheet = (lab / "index.html").read_text()
    for name in EXPERIMENTS:
        assert all((lab / name / each).stat().st_size > 1000 for each in
                   ("index.html", "figure.png", "figure.svg", "figure-dark.png", "figure-dark.svg", "result.json"))
        assert list((lab / name).glob("*.csv")) and f'href="{name}/index.html"' in sheet
    moving = {path.parent.name for path in lab.glob("*/animation.gif")}
    assert moving == {"equilibrium", "lipschitz", "mode_seeking", "modes", "optimal_discriminator"}


def test_equilibrium(lab):
    for row in rows(lab, "equilibrium", "factors"):
        assert row["engine"] == pytest.approx(row["exact"], abs=5e-5), row
    remedies = rows(lab, "equilibrium", "dirac")
    assert [row["method"] for row in remedies if row["arrived"]] == ["instance_noise", "r1", "consensus"]
    assert len(remedies) == 8 and all(row["attracts"] == row["arrived"] for row in remedies)
    left = {row["method"]: row["simultaneous"] for row in remedies}
    assert left["gan"] == pytest.approx(3.10, abs=0.01) and left["nonsaturating"] == pytest.approx(0.64, abs=0.01)
    assert left["wgan_gp"] == pytest.approx(1.80, abs=0.01)


def test_discriminators(lab):
    found = rows(lab, "optimal_discriminator")
    assert len(found) == 4 and all(row["at last"] < 0.02 for row in found), found
    values = rows(lab, "value_at_optimum")
    assert len(values) == 8 and all(abs(row["difference"]) < 1e-2 for row in values), values


def test_divergences(lab):
    found = rows(lab, "divergences")
    for row in found:
        if row["theta"]:
            assert row["KL"] == "inf" and row["JSD by discriminator"] == pytest.approx(0.6931, abs=0.01)
        for judge in ("penalized critic", "clipped critic"):
            assert row[f"W by {judge}"] == pytest.approx(abs(row["theta"]), rel=0.03, abs=2e-3), row
    assert [row["JSD, exact"] for row in found if not row["theta"]] == [0.0]


def test_mode_seeking(lab):
    found = rows(lab, "mode_seeking")
    assert len(found) == 12
    for row in found:
        for key in ("m", "s", "value"):
            assert row[key] == pytest.approx(row[f"{key}, exact"], abs=1e-2), row
    assert [(row["divergence"], row["d"]) for row in found if row["takes"] == "one mode"] == [
        ("reverse_kl", 3), ("reverse_kl", 4), ("reverse_kl", 5), ("js", 5)]


def test_vanishing_gradient(lab):
    found = rows(lab, "vanishing_gradient")
    assert {row["its loss"] for row in found} == {"minimax", "nonsaturating"} and len(found) == 6
    for row in found:
        fallen = row["powers of ten fallen"]
        assert fallen > 3 if row["its loss"] == "minimax" else fallen < 0, row


def test_lipschitz(lab):
    for row in rows(lab, "lipschitz"):
        if row["bound"]:
            assert row["largest weight"] == pytest.approx(row["bound"], rel=1e-6) and row["share at the bounds"] > 0.7
        else:
            assert row["share at the bounds"] < 0.01 and row["mean slope"] == pytest.approx(1, abs=0.25)
        if row["critic"] == "penalty_10":
            assert row["mean slope"] == pytest.approx(1, abs=0.1)


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_a_page_replays_in_a_browser(lab, tmp_path):
    text = dom(lab / "equilibrium/index.html", tmp_path, "run=1&at=50&theme=dark")
    assert 'data-theme="dark"' in text and ">step 50</output>" in text
    assert re.findall(r'aria-pressed="(\w+)"', text)[:3] == ["false", "true", "false"]
    assert text.count('class="trail"') == 2 * 2, "a cross and a trail in either scene"
    surfaces = dom(lab / "lipschitz/index.html", tmp_path, "at=100")
    assert 'href="data:image/png' in surfaces and ">step 800</output>" in surfaces
