"""The commands as functions of Python: the same words, checks and results, and torch only on first use."""

import subprocess
import sys
from pathlib import Path

import pytest

import gancli
from gancli.errors import UsageError, UserError


def test_the_package_is_light_and_typed():
    loaded = "import gancli, sys; print(sorted({'torch', 'hydra', 'numpy'} & set(sys.modules)), gancli.__all__)"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert done.stdout.split("]")[0] == "[" and "train" in done.stdout and "evaluate" in done.stdout
    assert Path(gancli.__file__).with_name("py.typed").is_file()


@pytest.mark.recipe  # a run
def test_a_run_is_validated_trained_loaded_and_measured(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny = ["model=gan", "model.generator_units=8", "model.discriminator_units=8", "dataset=ring", "trainer.batch_size=16",
            "trainer.kimg=0.032", "evaluation.kimg=null", "device=cpu", "run_dir=a run"]
    assert "nothing was created" in gancli.validate(tiny) and not list(tmp_path.iterdir())
    outcome = gancli.train(tiny)
    assert (outcome.status, outcome.run_dir) == ("finished", tmp_path / "a run") and "loss/generator" in outcome.figures
    model = gancli.load(outcome, device="cpu")
    assert model.sample(3).shape == (3, 2) and "gan, trained for 0.032 kimg on 50,000 examples of 2-d points" in repr(model)
    assert model._repr_png_() is None  # points are no images: the text is shown
    report = gancli.evaluate(["ckpt=a run", "metrics=[swd]", "n=32", "device=cpu", "out=report.json"])
    assert list(report.figures) == [report.evaluated[0].measured[0].name] and (tmp_path / "report.json").is_file()


@pytest.mark.parametrize("words, part", [(["modle=gan"], "did you mean model?"), ("a=1 b=2", "['a=1', 'b=2']"),
                                         (["model=gan", "+x=1"], "no key x"), (["resume=nothing"], "no run called nothing"),
                                         (["seed=${nowhere}"], "nowhere")])
def test_what_the_commands_refuse_is_refused_in_their_words(words, part, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as refused:
        gancli.validate(words)
    assert part in str(refused.value) and isinstance(refused.value, UsageError) == ("nothing" not in part)
    assert not list(tmp_path.iterdir())
