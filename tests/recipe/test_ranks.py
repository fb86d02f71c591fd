"""Where torch.distributed runs, a turn averages its own player's gradients over the ranks, in one bucket."""

import torch
import torch.distributed
import torch.multiprocessing

from gancli.engine.players import average_over_ranks


def average(rank: int, store: str) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    gradients = [torch.full((2, 3), float(rank)), torch.arange(4.0).view(2, 2).t() * (1 + 2 * rank)]
    average_over_ranks(gradients)
    assert torch.equal(gradients[0], torch.full((2, 3), 0.5))
    assert torch.equal(gradients[1], torch.arange(4.0).view(2, 2).t() * 2)
    torch.distributed.destroy_process_group()


def test_gradients_are_averaged(tmp_path):
    torch.multiprocessing.spawn(average, args=(str(tmp_path / "store"),), nprocs=2)


def test_a_single_process_leaves_them_alone():
    gradients = [torch.ones(2)]
    average_over_ranks(gradients)
    assert torch.equal(gradients[0], torch.ones(2))
