"""Each toy of the contract on two gloo ranks equals itself on one."""

import pytest
import torch
import toys
from toys import TOYS

from gancli.engine.supervision import on_every_rank
from gancli.runs.checkpoint import CheckpointFolder, read


@pytest.fixture(scope="module")
def ends(tmp_path_factory):
    """Return the last tensors of every toy by the number of ranks."""
    patch = pytest.MonkeyPatch()
    toys.register(patch)
    found = {}
    for ranks in (1, 2):
        root = tmp_path_factory.mktemp(f"ranks{ranks}")
        plan = toys.plan("pair", root / "all", "trainer.kimg=0.16")
        plan.ranks = ranks
        on_every_rank(toys.play_all, plan)
        found[ranks] = {toy: read(CheckpointFolder(root / toy).latest()).tensors for toy in TOYS}
    patch.undo()
    return found


@pytest.mark.parametrize("toy", sorted(set(TOYS) - {"statistics"}))
def test_two_ranks_equal_one(toy, ends):
    one, two = ends[1][toy], ends[2][toy]
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        rtol, atol = (2e-3, 1e-3) if tensor.dtype == torch.float16 else (1e-4, 1e-5)  # coarse: what the diagnosis has seen
        assert torch.allclose(tensor.float(), two[name].float(), rtol=rtol, atol=atol), name


def test_batch_statistics_are_each_ranks_own(ends):
    """Not synchronized (trainer.sync_batch_norm=false): that toy differs, and stays finite."""
    assert all(tensor.isfinite().all() for tensor in ends[2]["statistics"].values() if tensor.is_floating_point())
