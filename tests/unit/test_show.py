"""gan show: paths, next commands by ability, one page and one card of a run, on records written without training."""

import json
import shlex

import pytest
import yaml
from recorded_runs import record_run, with_metrics
from typer.testing import CliRunner

from gancli.cli.main import app
from gancli.errors import UsageError, UserError
from gancli.monitor import page as pages
from gancli.runs.card import front_matter
from gancli.runs.next_steps import words_of
from gancli.runs.protocols import protocol_words
from gancli.show.card import make_card
from gancli.show.facts import lines, look_at
from gancli.show.page import make_page
from gancli.show.writing import write

ATTACK = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
FID = "fid(classifier,2000/60000)"
PROTOCOL = {"generated": 2000, "real": 60000, "seed": 0, "data": {"split": "train"},
            "extractor": {"extractor": "classifier", "classifier": {"accuracy": 0.914}}}
ALARM = {"name": "labels ignored", "images": 2000, "evidence": "Labels change little.", "advice": "Try model=acgan."}


@pytest.fixture
def run(tmp_path):
    """A finished run with figures, grids, an alarm and a checkpoint."""
    path = record_run(tmp_path / "run", with_metrics(fid=[9.0, 4.0, 5.0]), {
        "next": "sample", "measurable": True, "alarms": [ALARM], "best": {"metric": FID, "value": 4.0, "images": 2000},
        "overrides": ["model=cgan", "data_dir='/data/x'", "dataset.path='/home/ada/digits'", "run_dir=/elsewhere",
                      "trainer.kimg=4"]}, grids=(0, 2, 4))
    (path / "evaluation.json").write_text(json.dumps({FID: PROTOCOL}))
    (path / "checkpoints").mkdir()
    (path / "checkpoints/kimg-000002.safetensors").write_bytes(b"")
    (path / "checkpoints/best").write_text("kimg-000002.safetensors")
    return path


def test_it_prints_what_a_person_wants(run, tmp_path):
    told = dict(lines(look_at(str(run))))
    assert told["last grid"] == str(run / "samples/kimg-000004.png")
    assert told["best checkpoint"] == str(run / "checkpoints/kimg-000002.safetensors")
    assert told["alarm"] == "labels ignored Labels change little. Try model=acgan."
    assert told["best"].startswith(f"{FID} 4 after 2")
    assert told["new samples"] == f"gan sample ckpt={run}" and told["measure"] == f"gan evaluate ckpt={run}"
    assert shlex.split(told["repeat"]) == ["gan", "train", "model=cgan", "data_dir=/data/x", "dataset.path=/home/ada/digits",
                                            "trainer.kimg=4"]
    assert "go on" not in told, "it has finished"
    stopped = record_run(tmp_path / "b", status={"status": "stopped"}, seed=1)
    (stopped / "checkpoints").mkdir()
    (stopped / "checkpoints/kimg-000004.safetensors").write_bytes(b"")
    told = dict(lines(look_at(str(stopped))))
    assert told["go on"] == f"gan train resume={stopped}" and "new samples" not in told and "measure" not in told


NEXT = {"sample": "gan sample ckpt=R", "translate": "gan translate ckpt=R",
        "translate dataset.split=all": "gan translate ckpt=R dataset.split=all",
        "blend": "gan blend ckpt=R source=SOURCE.png target=TARGET.png mask=MASK.png", "": "",
        "sample; rm -rf /": "", "train": "", "sample dataset.split=$(x)": "", "upscale out=/etc/x": ""}


@pytest.mark.parametrize("step", NEXT)
def test_next_commands_have_known_forms_alone(step):
    assert " ".join(words_of(step, "R")) == NEXT[step] and len(NEXT) == 9


def test_the_page_holds_settings_curves_frames_alarms_figures_and_the_command(run):
    page = make_page(look_at(str(run)))
    assert ".film img[hidden] { display: none; }" in page, "the style of all pages shows every picture of a figure"
    assert page.count("data-kimg=") == 3 and 'data-kimg="4"' in page and "Try model=acgan." in page
    assert "2,000 generated, 60,000 real, split train, seed 0, features classifier of accuracy 91.4%" in page
    assert "gan train model=cgan data_dir=/data/x dataset.path=/home/ada/digits trainer.kimg=4" in page
    assert "trainer.ema_kimg" in page
    assert ".command code { white-space: pre-wrap;" in page, "no command ends at the edge of a phone"
    for part in ("overview", "grids", "alarms", "curves", "evaluation", "settings", "again"):
        assert f'<section id="{part}"' in page and f'<a href="#{part}">' in page
    assert page.count("<script") == 3 and "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")


def test_what_a_stranger_wrote_stays_text(run):
    status = json.loads((run / "status.json").read_text())
    status |= {"status": "failed", "why": ATTACK, "overrides": [ATTACK], "alarms": [dict.fromkeys(ALARM, ATTACK)],
               "next": ATTACK}
    (run / "status.json").write_text(json.dumps(status))
    (run / "stats.jsonl").write_text(json.dumps({"images": 1000, f"metrics/{ATTACK}(1/1)": 1.0}) + "\n")
    (run / "evaluation.json").write_text(json.dumps({f"{ATTACK}(1/1)": {"generated": ATTACK}}))
    (run / "provenance.json").write_text(json.dumps({ATTACK: ATTACK}))
    facts = look_at(str(run))
    page = make_page(facts)
    assert page.count("<script") == 3 and "<img src=x" not in page and "alert(1)" in page
    card = make_card(facts, None)
    matter = yaml.safe_load(front_matter(card).strip("-\n"))
    assert matter["library_name"] == "gancli" and "pipeline_tag" not in matter


def test_the_card_has_front_matter_as_the_hub_reads_it(run):
    written = write(look_at(str(run)), None, run / "README.md", "MIT", False)
    text = written[0].read_text()
    _, matter, body = text.split("---\n", 2)
    matter = yaml.safe_load(matter)
    assert matter["license"] == "mit" and "gan" in matter["tags"]
    assert matter["pipeline_tag"] == "unconditional-image-generation"
    result, = matter["model-index"][0]["results"]
    assert result["task"] == {"type": "unconditional-image-generation"}
    assert result["dataset"] == {"name": "digits", "type": "digits"}
    assert result["metrics"] == [{"type": "fid", "value": 4.0, "name": FID}] and matter["metrics"] == ["fid"]
    assert "\ngan train model=cgan dataset.path=digits trainer.kimg=4\n" in body and "/data" not in text
    assert f"| {FID} | 4 | 2,000 generated" in body and "labels ignored" in body
    known = {"data": "mnist", "figures": {}, "model": "pix2pix", "kind": "images", "next": "translate", "license": None}
    assert yaml.safe_load(front_matter(known).strip("-\n")) == {
        "library_name": "gancli", "tags": ["gan", "generative-adversarial-network", "pix2pix"],
        "pipeline_tag": "image-to-image", "datasets": ["ylecun/mnist"]}


def test_nothing_is_replaced_and_mistakes_are_told(run, tmp_path):
    facts = look_at(str(run))
    (tmp_path / "there.html").write_text("mine")
    with pytest.raises(UsageError, match="there already"):
        write(facts, tmp_path / "there.html", tmp_path / "card.md", None, False)
    assert (tmp_path / "there.html").read_text() == "mine" and not (tmp_path / "card.md").exists()
    with pytest.raises(UsageError, match="add --card"):
        write(facts, None, None, "mit", False)
    with pytest.raises(UserError, match="There is no run"):
        look_at("nothing", tmp_path)


def test_open_opens_the_page_else_the_last_grid(run, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr("gancli.cli.show.typer.launch", lambda path: opened.append(path) or 0)
    for more in ([], ["--html", str(tmp_path / "run.html")]):
        result = CliRunner().invoke(app, ["show", str(run), "--open", *more])
        assert result.exit_code == 0, result.output
    assert opened == [str(run / "samples/kimg-000004.png"), str(tmp_path / "run.html")]


ODD = [None, [], {"generated": None}, {"extractor": {"classifier": 3}, "data": 1}, {"seed": True}]


@pytest.mark.parametrize("protocol", ODD)
def test_a_protocol_of_any_shape_is_read(protocol):
    assert protocol_words(protocol)


def test_pages_have_one_shell():
    assert "$policy" in pages._file("page.html")
