"""Both forms of mdgan, whose rounds are unlike each other, go on bit for bit where they were stopped."""

import pytest
import torch
from planning import SMALL_NETWORKS, TINY, resume, run

from gancli.engine.training import train
from gancli.runs.checkpoint import CheckpointFolder, read


@pytest.mark.parametrize("form", ["regularized", "diffusion"])
def test_a_run_goes_on_bit_for_bit(tmp_path, form):
    short = (*TINY, "model=mdgan", *SMALL_NETWORKS["mdgan"], f"model.form={form}", "trainer.checkpoint_kimg=0.016")
    run(tmp_path / "whole", *short, "trainer.kimg=0.032")
    run(tmp_path / "part", *short, "trainer.kimg=0.016")
    train(resume(tmp_path / "part", "trainer.kimg=0.032"))
    one, two = (read(CheckpointFolder(tmp_path / name).latest()).tensors for name in ("whole", "part"))
    assert one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)
