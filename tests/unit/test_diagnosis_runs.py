"""The diagnosis of runs: what the record holds while they train, and `gan diagnose` afterwards."""

import json

import pytest
import torch
from planning import SMALL_NETWORKS, TINY, resume, run
from small_runs import save_run
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from typer.testing import CliRunner

from gancli.cli import main
from gancli.diagnosis.finding import Finding
from gancli.engine import training
from gancli.engine.players import NonFinite
from gancli.engine.recording import diagnosis
from gancli.explore.diagnose import diagnose_run
from gancli.runs.checkpoint import CheckpointFolder, read
from gancli.runs.status import read_status

DCGAN = (*TINY, *SMALL_NETWORKS["dcgan"], "trainer.record_kimg=0.004", "trainer.sample_kimg=0.008",
         "trainer.checkpoint_kimg=0.008")


def gan(*arguments: str):
    return CliRunner().invoke(main.app, list(arguments), prog_name="gan")


def named(*names: str):
    """Return a stand-in for the detectors, which names these."""
    return lambda history, setting: [Finding(name, 1000, "D(x) is 1.", "Try loss=hinge.") for name in names]


def test_looks_are_recorded_with_the_figures_of_their_tick(tmp_path):
    run(tmp_path / "a", *DCGAN, "trainer.kimg=0.016")
    lines = [json.loads(line) for line in (tmp_path / "a/stats.jsonl").read_text().splitlines()]
    assert [line["images"] for line in lines] == [4, 8, 12, 16]
    assert ["diagnosis/diversity" in line for line in lines] == [False, True, False, True]
    assert "diagnosis/drift" in lines[3] and "diagnosis/dead_units/generator" in lines[3]
    tags = EventAccumulator(str(tmp_path / "a")).Reload().Tags()["scalars"]
    assert "diagnosis/diversity" in tags and read_status(tmp_path / "a").alarms == []


def test_alarms_reach_status_log_screen_and_board_and_end(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr("gancli.monitor.screen.LINE_EVERY_S", 0)
    calls = []

    def once(history, setting):
        calls.append(history.ticks)
        return named("mode collapse", *(["oscillation"] if len(calls) < 3 else []))(history, setting)

    monkeypatch.setattr(diagnosis, "diagnose", once)
    run(tmp_path / "a", *DCGAN, "trainer.kimg=0.032")
    assert calls == [2, 4, 5, 6, 8]  # with every look, and every five ticks
    assert read_status(tmp_path / "a").alarms == [
        {"name": "mode collapse", "images": 1000, "evidence": "D(x) is 1.", "advice": "Try loss=hinge."}]
    log = (tmp_path / "a/log.txt").read_text()
    assert log.count("Diagnosis: mode collapse since 1 kimg. D(x) is 1. Try loss=hinge.") == 1
    assert "oscillation is over" in log
    assert "! mode collapse" in capfd.readouterr().err
    tags = EventAccumulator(str(tmp_path / "a")).Reload().Tags()["tensors"]
    assert any(tag.startswith("diagnosis/mode_collapse") for tag in tags)


@pytest.mark.recipe
def test_a_continued_run_remembers_the_history(tmp_path, monkeypatch):
    run(tmp_path / "a", *DCGAN, "trainer.kimg=0.016")
    seen = []
    monkeypatch.setattr(diagnosis, "diagnose", lambda history, setting: seen.append(history.ticks) or [])
    training.train(resume(tmp_path / "a", "trainer.kimg=0.024"))
    assert seen == [5, 6]


@pytest.mark.recipe
def test_a_continued_run_remembers_what_its_last_look_saw(tmp_path):
    run(tmp_path / "whole", *DCGAN, "trainer.kimg=0.024")
    run(tmp_path / "a", *DCGAN, "trainer.kimg=0.012", "trainer.sample_kimg=0.008")
    training.train(resume(tmp_path / "a", "trainer.kimg=0.024"))
    kept = read(CheckpointFolder(tmp_path / "a").latest()).under(diagnosis.SEEN)
    assert [(name, tensor.dtype, tensor.shape) for name, tensor in kept.items()] == [("samples", torch.float16, (128, 64))]
    drifts = {folder: {line["images"]: line.get("diagnosis/drift") for line in
                       map(json.loads, (tmp_path / folder / "stats.jsonl").read_text().splitlines())}
              for folder in ("whole", "a")}
    assert all(drifts["a"][images] for images in (12, 16, 24)) and drifts["whole"][24] == drifts["a"][24]
    other = diagnosis.Diagnosis.__new__(diagnosis.Diagnosis)
    other.examination = type("Examination", (), {"device": "cpu", "before": {}})()
    other.remember({})
    assert other.seen() == {}


def test_the_diagnosis_changes_no_weight(tmp_path, monkeypatch):
    run(tmp_path / "a", *DCGAN, "trainer.kimg=0.024")
    monkeypatch.setattr(diagnosis.Diagnosis, "look", lambda self, progress: None)
    run(tmp_path / "b", *DCGAN, "trainer.kimg=0.024")
    with_looks, without = ({tag: tensor for tag, tensor in read(CheckpointFolder(tmp_path / name).latest()).tensors.items()
                            if not tag.startswith(diagnosis.SEEN)} for name in "ab")
    assert with_looks.keys() == without.keys()
    assert all(torch.equal(with_looks[name], without[name]) for name in without)


def test_a_number_that_is_not_finite_is_an_alarm(tmp_path):
    with pytest.raises(NonFinite):
        run(tmp_path / "a", *DCGAN, "optimizer=sgd", "optimizer.lr=1e18", "trainer.kimg=0.1", "loss=hinge")
    alarm, = read_status(tmp_path / "a").alarms
    assert alarm["name"] == "divergence" and "not finite" in alarm["evidence"]
    report = diagnose_run(str(tmp_path / "a"))
    assert report.findings[0].name == "divergence" and "optimizer.lr=" in report.findings[0].advice


def test_gan_diagnose_reads_figures_while_or_after_a_run_trains(tmp_path, monkeypatch):
    run(tmp_path / "a", *DCGAN, "trainer.kimg=0.016")
    monkeypatch.setattr("gancli.explore.diagnose.diagnose", named())
    result = gan("diagnose", str(tmp_path / "a"))
    assert result.exit_code == 0 and result.stdout.startswith(
        "Too short to tell: it has only 2 of the 5 looks at samples and 4 of the 24 ticks of figures that a verdict takes "
        "(looked for: divergence, ")
    monkeypatch.setattr("gancli.explore.diagnose.too_short", lambda *_: "")
    assert gan("diagnose", str(tmp_path / "a")).stdout.startswith("No failure found (looked for: divergence, ")
    assert "Looked at 4 ticks of figures; samples at 2 of them." in result.stdout
    monkeypatch.setattr("gancli.explore.diagnose.diagnose", named("mode collapse"))
    result = gan("diagnose", str(tmp_path / "a"))
    assert result.exit_code == 0
    assert result.stdout.splitlines()[:3] == ["Mode collapse, since 1 kimg", "  D(x) is 1.", "  Try loss=hinge."]


def test_a_run_without_looks_is_looked_at_by_its_checkpoint(tmp_path):
    run(tmp_path / "a", *DCGAN, "trainer.kimg=0.016")
    stats = tmp_path / "a/stats.jsonl"
    lines = [json.loads(line) for line in stats.read_text().splitlines()]
    stats.write_text("".join(json.dumps({k: v for k, v in line.items() if not k.startswith("diagnosis/")}) + "\n"
                             for line in lines))
    report = diagnose_run(str(tmp_path / "a"), device="cpu")
    assert report.seen == ["4 ticks of figures", "samples of the checkpoint at 0.016 kimg"]
    for checkpoint in CheckpointFolder(tmp_path / "a").list():
        checkpoint.unlink()
    assert "no samples: there is no checkpoint" in diagnose_run(str(tmp_path / "a")).seen


def test_what_cannot_be_diagnosed_is_refused(tmp_path):
    result = gan("diagnose", str(tmp_path / "absent"))
    assert result.exit_code == 1 and "There is no run called" in result.stderr
    save_run(tmp_path / "a", "dcgan")  # a configuration without optimizer and trainer
    result = gan("diagnose", str(tmp_path / "a"))
    assert result.exit_code == 1 and "not that of a training run" in result.stderr
