"""Measuring while training: which checkpoint is best, patience, and what a continued run knows of both."""

import json

import pytest
from planning import SMALL_NETWORKS, plan, resume, run

from gancli.config.compose import compose
from gancli.engine.training import train
from gancli.errors import UserError
from gancli.runs.checkpoint import CheckpointFolder
from gancli.runs.status import read_status

TOY = ("model=gan", *SMALL_NETWORKS["gan"], "dataset=ring", "trainer.batch_size=8", "device=cpu", "trainer.record_kimg=0.04",
       "trainer.checkpoint_kimg=10", "trainer.keep=1")
MEASURED = ("evaluation.kimg=0.04", "evaluation.n=64", "evaluation.real=64")
NAME = "metrics/swd(64/64)"


def values(run_dir) -> dict[int, float]:
    """Return the metric by images shown."""
    lines = [json.loads(line) for line in (run_dir / "stats.jsonl").read_text().splitlines()]
    return {line["images"]: line[NAME] for line in lines if NAME in line}


def test_best_follows_the_metric_and_is_kept(tmp_path):
    outcome = run(tmp_path / "run", *TOY, *MEASURED, "trainer.kimg=0.2", "optimizer.lr=0.5")
    seen = values(tmp_path / "run")
    assert sorted(seen) == [40, 80, 120, 160, 200]
    images, value = min(seen.items(), key=lambda item: item[1])
    status = read_status(tmp_path / "run")
    assert status.best == {"metric": "swd(64/64)", "value": value, "images": images} and outcome.objective == value
    best = CheckpointFolder(tmp_path / "run").best()
    assert best.stem == f"kimg-{images // 1000:06}_{images % 1000:03}"
    assert json.loads((tmp_path / "run/evaluation.json").read_text())["swd(64/64)"]["generated"] == 64
    assert "swd(64/64)" in (tmp_path / "run/log.txt").read_text().splitlines()[-1]


def test_the_best_filling_is_the_one_nearest_to_what_was_there(tmp_path):
    short = ("model=context_encoder", "model.width=4", "dataset=digits", "dataset.limit=40", "dataset.size=16", "device=cpu",
             "trainer.batch_size=8", "trainer.kimg=0.016", "evaluation.kimg=0.008")
    for name, held, split in (("kept", "dataset.holdout=0.5", "test"), ("all", "dataset.holdout=0", "train")):
        run(tmp_path / name, *short, held)
        figures = json.loads((tmp_path / name / "evaluation.json").read_text())
        best = read_status(tmp_path / name).best
        assert best["metric"].startswith("hole_l1(") and figures[best["metric"]]["details"]["real_split"] == split


@pytest.mark.parametrize(("model", "data", "metric"), [
    ("pix2pix", "paired", "translation"), ("context_encoder", "digits", "inpainting"), ("srgan", "digits", "upscaling"),
    ("dcgan", "digits", "swd")])
def test_a_model_is_measured_by_what_it_should_have_made(model, data, metric):
    config = compose("train", [f"model={model}", *([] if data == "paired" else [f"dataset={data}"])])
    assert config.dataset.name == data and list(config.evaluation.metrics) == [metric]


@pytest.mark.recipe
def test_patience_ends_a_run_that_no_longer_improves(tmp_path):
    still = ("optimizer.lr=0", "optimizer.discriminator.lr=0", "trainer.kimg=0.4")
    outcome = run(tmp_path / "run", *TOY, *MEASURED, *still, "evaluation.patience=2")
    status = read_status(tmp_path / "run")
    assert outcome.status == status.status == "finished" and "in 2 evaluations" in status.why
    assert sorted(values(tmp_path / "run")) == [40, 80, 120] and status.images == 120
    with pytest.raises(UserError, match="has finished"):
        resume(tmp_path / "run")
    again = resume(tmp_path / "run", "evaluation.patience=null")
    assert again.checkpoint is not None and again.evaluation.patience is None


@pytest.mark.recipe
def test_a_continued_run_remembers_its_best(tmp_path):
    run(tmp_path / "run", *TOY, *MEASURED, "trainer.kimg=0.08", "optimizer.lr=0", "optimizer.discriminator.lr=0")
    first = read_status(tmp_path / "run").best
    assert first["images"] == 40
    train(resume(tmp_path / "run", "trainer.kimg=0.16"))
    assert read_status(tmp_path / "run").best == first, "the same weights give the same figure, which is no improvement"


@pytest.mark.recipe
def test_a_run_whose_evaluation_has_keys_of_before_continues(tmp_path):
    run(tmp_path / "run", *TOY, *MEASURED, "trainer.kimg=0.04")
    config = tmp_path / "run" / "config.yaml"
    text = config.read_text()
    assert text.count("  features_weights: null\n") == 1
    config.write_text(text.replace("  features_weights: null\n", "  weights: x.pth\n"))
    assert resume(tmp_path / "run", "trainer.kimg=0.08").evaluation.features_weights == "x.pth"
    again = resume(tmp_path / "run", "trainer.kimg=0.08", "evaluation.features_weights=y.pth")
    assert again.evaluation.features_weights == "y.pth" and "weights" not in again.config["evaluation"]
    train(again)
    assert sorted(values(tmp_path / "run")) == [40, 80]
    assert "  features_weights: y.pth\n" in config.read_text()


def test_what_cannot_be_measured_is_refused_before_anything_exists(tmp_path):
    with pytest.raises(UserError, match="needs images"):
        plan(tmp_path / "run", *TOY, "evaluation.metrics=[fid]")
    with pytest.raises(UserError, match="has no better side"):
        plan(tmp_path / "run", *TOY, "dataset=digits", "evaluation.metrics=[ms_ssim]")
    assert not (tmp_path / "run").exists()
