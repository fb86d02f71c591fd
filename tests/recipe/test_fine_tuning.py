"""`gan train init=RUN` from the first command to the last: other data, a record, a run that goes on without the first one."""

import shutil

import torch
from running import gan

from gancli.runs.checkpoint import CheckpointFolder, read

TINY = ("model=dcgan", "model.width=2", "trainer.batch_size=32", "trainer.kimg=0.064", "evaluation.kimg=null", "device=cpu")


def tensors(run):
    return read(CheckpointFolder(run).latest(), prefixes=("model/",)).tensors


def test_a_run_begins_with_anothers_weights_and_goes_on_without_it(tmp_path):
    gan("train", *TINY, "dataset=digits", "run_dir=one", cwd=tmp_path)
    told = gan("train", *TINY, "dataset=stacked_digits", "dataset.count=200", "init=one", "run_dir=two", "optimizer=sgd",
               "optimizer.lr=1e-12", cwd=tmp_path).stderr
    assert "Begins with the weights of one at 0.064 kimg" in told and "new here: " in told
    one, two = tensors(tmp_path / "one"), tensors(tmp_path / "two")
    same = [name for name in one if name.endswith("weight") and one[name].shape == two[name].shape]
    assert len(same) >= 5 and all(torch.allclose(one[name], two[name], atol=1e-6) for name in same)
    assert "init: " in (tmp_path / "two/config.yaml").read_text()
    shutil.rmtree(tmp_path / "one")
    told = gan("train", "resume=two", "trainer.kimg=0.128", cwd=tmp_path).stderr
    assert "Continuing from 0.064" in told and "Begins with" not in told
    assert "There is no run called one" in gan("train", *TINY, "init=one", cwd=tmp_path, check=1).stderr
    assert not (tmp_path / "outputs").exists()
