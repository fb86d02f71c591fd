"""Stabilizers on the command line: what contradicts itself or cannot be taken is one sentence, and nothing is created."""

import json

import pytest
from planning import TINY, run
from systems import small
from typer.testing import CliRunner

from gancli.cli import main
from gancli.config.compose import compose, keys
from gancli.explore.loaded import load
from gancli.plan.stabilizers import STABILIZERS, bears_ill
from gancli.runs.status import read_status

POINTS = ("model=gan", "dataset=ring")
REFUSED = {  # what is wrong: (arguments, what the sentence says)
    "packs that do not divide the batch": ((*POINTS, "loss.packing=3", "trainer.batch_size=256"),
                                           "give trainer.batch_size=255 or 258"),
    "more than the paper packs": ((*POINTS, "loss.packing=5"), "loss.packing must be at least 1 and at most 4"),
    "packs of labels": (("model=cgan", "loss.packing=2"), "judges each together with something else"),
    "packs of pairs": (("model=bigan", "loss.packing=2"), "judges each together with something else"),
    "packs of classes": (("model=acgan", "loss.packing=2"), "asks it about each"),
    "packs and single examples": ((*POINTS, "loss.packing=2", "loss.top_k.floor=0.5"),
                                  "set loss.packing=1 or loss.top_k.floor=1"),
    "half of no loss": ((*POINTS, "loss.feature_matching.weight=1", "loss.top_k.floor=0.5"),
                        "set loss.feature_matching.instead=false"),
    "a layer that does not exist": ((*POINTS, "loss.feature_matching.weight=1", "loss.feature_matching.layer=layers.9"),
                                    "has no layer layers.9; did you mean"),
    "a distance that does not exist": ((*POINTS, "loss.feature_matching.distance=square"), "did you mean squared"),
    "a reference larger than the batch": (("model=dcgan", "loss.virtual_batch_norm=500"), "give loss.virtual_batch_norm=128"),
    "no batch norm": ((*POINTS, "loss.virtual_batch_norm=8"), "that of model=gan has none"),
    "a layer twice": (("model=progan", "dataset.size=16", "loss.minibatch_stddev=4"), "has this layer already"),
    "no adversarial loss": (("model=vae", "loss.packing=2"), "loss.packing changes an adversarial loss"),
    "no discriminator": (("model=vae", "loss.minibatch_stddev=4"), "model=vae has none"),
    "nothing to compare": ((*POINTS, "loss.minibatch_stddev=0", "trainer.batch_size=1"), "give a larger trainer.batch_size="),
    "no share": ((*POINTS, "loss.top_k.floor=0"), "loss.top_k.floor must be greater than 0"),
    "no ramp": ((*POINTS, "trainer.ema_ramp=0"), "trainer.ema_ramp must be greater than 0"),
}


def told(command: str, *arguments: str):
    return CliRunner().invoke(main.app, [command, *arguments], prog_name="gan")


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_a_sentence(case, tmp_path, monkeypatch):
    arguments, sentence = REFUSED[case]
    monkeypatch.chdir(tmp_path)
    result = told("train", *arguments)
    error = result.stderr.strip()
    assert result.exit_code == 2 and error.startswith("Error: ") and sentence in error and error.count("\n") == 0, error
    assert not list(tmp_path.iterdir())


def test_all_that_is_listed_can_be_typed():
    assert len(STABILIZERS) == 22
    known = {*keys(compose("train", [])), "augment"}
    assert all(stabilizer.key.partition("=")[0] in known for stabilizer in STABILIZERS)
    listed = told("list", "stabilizers").stdout
    assert all(f"{stabilizer.key} " in listed and stabilizer.paper in listed for stabilizer in STABILIZERS)
    every = {key for key in known if key.startswith("loss.") and key.count(".") == 1}
    switches = every - {f"loss.{key}" for key in ("name", "rule", "divergence", "saturating", "recipe")}
    assert switches == {".".join(s.key.partition("=")[0].split(".")[:2]) for s in STABILIZERS if s.key.startswith("loss.")}


def test_what_is_typed_is_on():
    off = compose("train", ["trainer.ema_kimg=null"])
    typed = [stabilizer.key for stabilizer in STABILIZERS if not stabilizer.key.startswith("augment=")]
    on = {name: compose("train", [*typed, f"augment={name}"]) for name in ("noise", "diffaugment", "ada")}
    for stabilizer in STABILIZERS:
        assert not stabilizer.setting(off), stabilizer.key
        key, _, value = stabilizer.key.partition("=")
        assert stabilizer.setting(on.get(value, on["ada"])).startswith(f"{key}="), key


def test_validate_tells_what_is_on_and_what_it_bears_ill():
    said = told("validate", *POINTS, "loss.minibatch_stddev=0", "loss.r1.weight=0.1", "loss.packing=2",
                "optimizer.discriminator.lr=1e-4").stdout
    for words in ("loss.minibatch_stddev=0: ", "loss.r1.weight=0.1: ", "optimizer.discriminator.lr=0.0001: ", "; costs ",
                  "lets an output depend on other examples", "taken over a pack of 2 examples"):
        assert words in said, words
    assert "trainer.scheme" not in said and len(bears_ill(compose("train", list(POINTS)))) == 0


def test_a_run_with_many_of_them_trains_samples_and_is_continued(tmp_path):
    given = ("model=dcgan", *small("dcgan"), *TINY, "loss.feature_matching.weight=1", "loss.feature_matching.instead=false",
             "loss.historical_averaging=0.01", "loss.minibatch_discrimination.kernels=3", "loss.minibatch_stddev=2",
             "loss.packing=2", "loss.virtual_batch_norm=3")
    run(tmp_path / "run", *given, "trainer.kimg=0.08", "trainer.record_kimg=0.004")
    assert read_status(tmp_path / "run").status == "finished"
    lines = [json.loads(line) for line in (tmp_path / "run/stats.jsonl").read_text().splitlines()]
    assert all(line["generator/feature_matching"] >= 0 for line in lines) and len(lines) == 20
    loaded = load(tmp_path / "run", device="cpu")
    assert loaded.sample(3).allclose(loaded.sample(5)[:3], atol=1e-6)
