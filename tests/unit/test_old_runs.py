"""Runs and checkpoints of format 1 (5c91bb7) still sample, evaluate and resume; what would be read wrongly is refused."""

import json
import shutil
from pathlib import Path

import pytest
from planning import resume

from gancli.engine.training import train
from gancli.errors import UserError
from gancli.explore.evaluate import evaluate
from gancli.explore.loaded import load
from gancli.runs import formats
from gancli.runs.checkpoint import CheckpointFolder, read, write
from gancli.runs.config import load_config

FIXTURE = Path(__file__).parents[1] / "fixtures/run-of-format-1"
CONTINUED = [[1.378365707397461, 0.695228099822998], [1.3755481719970704, 0.6958407878875732],
             [1.3747031211853027, 0.6964790344238281], [1.372797679901123, 0.6970479965209961]]  # as 5c91bb7 went on


@pytest.fixture
def old(tmp_path):
    shutil.copytree(FIXTURE, tmp_path / "old")
    return tmp_path / "old"


def test_the_fixture_is_of_format_1(old):
    path = CheckpointFolder(old).latest()
    assert read(path).header.format == 1 < formats.FORMAT
    assert "players" not in (old / "config.yaml").read_text() and "scheme" not in (old / "config.yaml").read_text()


def test_it_samples(old):
    images = load(old, device="cpu").sample(5)
    assert images.shape == (5, 1, 8, 8) and images.isfinite().all()


def test_it_is_evaluated(old, tmp_path):
    from gancli.config.compose import compose

    asked = [f"ckpt={old}", "metrics=[swd]", "n=64", "device=cpu", f"out={tmp_path}/figures"]
    report = evaluate(compose("evaluate", asked))
    assert report.evaluated[0].measured[0].value > 0


def test_it_resumes_as_it_would_have_gone_on(old):
    train(resume(old, "trainer.kimg=0.16"))
    lines = [json.loads(line) for line in (old / "stats.jsonl").read_text().splitlines()]
    losses = [[line["loss/discriminator"], line["loss/generator"]] for line in lines if line["images"] > 80]
    assert len(losses) == 4
    for found, expected in zip(losses, CONTINUED, strict=True):
        assert found == pytest.approx(expected, rel=1e-4)
    assert read(CheckpointFolder(old).latest()).header.format == formats.FORMAT
    assert load_config(old)["optimizer"]["players"] == {}


def test_what_is_converted_stays_so():
    config = {"optimizer": {}, "trainer": {}, "evaluation": {"weights": "file.pth"}}
    once = formats.converted(config)
    assert once == formats.converted(once) and once["evaluation"] == {"features_weights": "file.pth"}
    assert config == {"optimizer": {}, "trainer": {}, "evaluation": {"weights": "file.pth"}}


@pytest.mark.parametrize(("model", "refused"), [({"name": "dcgan"}, True), ({"name": "bigan", "backbone": "conv"}, True),
                                                ({"name": "bigan", "backbone": "mlp"}, False), ({"name": "gan"}, False)])
def test_networks_that_read_their_features_in_another_order_are_refused(old, tmp_path, monkeypatch, model, refused):
    known = read(CheckpointFolder(old).latest())
    config = known.config | {"model": known.config["model"] | model}
    del config["trainer"]["reuse_generated"]
    monkeypatch.setattr("gancli.runs.checkpoint.FORMAT", 1)
    path = tmp_path / "older.safetensors"
    write(path, known.tensors, {"config": config, "spec": known.spec, "progress": known.progress})
    if not refused:
        assert read(path).tensors
        return
    with pytest.raises(UserError, match=f"model={model['name']} from before the features"):
        read(path)


def test_a_gan_of_format_2_keeps_its_latents(old, tmp_path, monkeypatch):
    known = read(CheckpointFolder(old).latest())
    monkeypatch.setattr("gancli.runs.checkpoint.FORMAT", 2)
    path = tmp_path / "older.safetensors"
    config = known.config | {"model": {"name": "gan"}}
    write(path, known.tensors, {"config": config, "spec": known.spec, "progress": known.progress})
    assert read(path).config["model"] == {"name": "gan", "prior": "uniform", "marginals": False}
