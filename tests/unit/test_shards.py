"""What each rank draws and takes is its slice of what one rank would have drawn and taken; the checks on their number."""

import numpy as np
import pytest
import torch
from planning import SMALL_NETWORKS, TINY, plan

from gancli import devices
from gancli.config.compose import compose
from gancli.data.dataset import Data
from gancli.data.spec import DataSpec
from gancli.data.store import Decoded
from gancli.errors import UsageError, UserError
from gancli.gradients import halves_apart
from gancli.plan.validate import report
from gancli.ranks import shards
from gancli.ranks.shards import Place

CPU = torch.device("cpu")


def on_each(ranks, draw):
    """Return what `draw()` gives on each of so many ranks, all seeded alike."""
    drawn = []
    for rank in range(ranks):
        torch.manual_seed(7)
        with shards.taking(Place(rank, ranks, rank)):
            drawn.append(draw())
    return drawn


def test_one_rank_draws_what_torch_draws():
    x = torch.randn(6, 3)
    for mine, theirs in ((lambda: shards.rand(6, 4, device=CPU), lambda: torch.rand(6, 4)),
                         (lambda: shards.rand_like(x), lambda: torch.rand_like(x))):
        torch.manual_seed(7)
        expected = theirs()
        assert torch.equal(on_each(1, mine)[0], expected)


@pytest.mark.parametrize("ranks", [2, 3])
def test_the_ranks_draws_are_the_rows_of_one_draw(ranks):
    n = 12 // ranks
    torch.manual_seed(7)
    whole = torch.rand(12, 4)
    assert torch.equal(torch.cat(on_each(ranks, lambda: shards.rand(n, 4, device=CPU))), whole)
    assert torch.equal(torch.cat(on_each(ranks, lambda: shards.rand_like(whole[:n]))), whole)


def test_batches_of_examples_are_shared_and_a_rank_that_is_alone_has_all():
    def mine():
        with shards.alone():
            whole = list(shards.shares(10, 4)), shards.leads()
        return list(shards.shares(10, 4)), shards.leads(), whole

    everything = [(0, 4), (4, 8), (8, 10)]
    assert on_each(1, mine) == [(everything, True, (everything, True))]
    assert on_each(2, mine) == [([(0, 4), (8, 10)], True, (everything, True)), ([(4, 8)], False, (everything, True))]
    assert on_each(4, lambda: list(shards.shares(10, 4)))[3] == []


def test_dropout_masks_are_the_rows_of_one_mask():
    whole = torch.randn(8, 64)
    torch.manual_seed(7)
    expected = shards.dropout(whole, 0.4, True)
    rows = iter((whole[:4], whole[4:]))
    assert torch.allclose(torch.cat(on_each(2, lambda: shards.dropout(next(rows), 0.4, True))), expected)
    assert torch.equal(shards.dropout(whole, 0.4, False), whole)


@pytest.mark.parametrize("p", [1e-6, 0.2, 0.5, 0.99])
def test_dropout_drops_its_share_and_keeps_the_mean(p):
    """Against the binomial distribution of 400,000 coins, five standard deviations wide."""
    x = torch.ones(400, 1000, dtype=torch.float64, requires_grad=True)
    torch.manual_seed(1)
    y = shards.dropout(x, p, True)
    dropped, bound = (y == 0).double().mean().item(), 5 * (p * (1 - p) / x.numel()) ** 0.5
    assert abs(dropped - p) < bound + 2**-16
    assert abs(y.mean().item() - 1) < bound / (1 - p)
    assert y.unique().numel() == 2
    assert len({tuple(row) for row in (y[:20, :40] == 0).tolist()}) > 1 or p < 0.01  # rows have masks of their own
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())  # the gradient goes where the value went


def test_a_mask_lies_as_its_examples_do():
    """Channels last, a slice with gaps and a broadcast one: each value has a coin of its own."""
    dense = torch.rand(6, 8, 4, 4) + 1
    for x in (dense.contiguous(memory_format=torch.channels_last), dense[:, ::2], dense[:, :1].expand(-1, 8, -1, -1)):
        torch.manual_seed(2)
        y = shards.dropout(x, 0.5, True)
        assert y.shape == x.shape and 0.35 < (y == 0).double().mean() < 0.65
        assert (y == 0).flatten(1).unique(dim=0).shape[0] == 6
        assert not torch.equal(y[:, 0] == 0, y[:, 1] == 0)


def test_images_that_share_a_pass_have_the_masks_of_their_own_batch():
    real, fake = torch.randn(8, 64), torch.randn(8, 64)
    torch.manual_seed(7)
    expected_real, expected_fake = shards.dropout(torch.cat((real, fake)), 0.4, True).split(8)
    parts = iter((torch.cat((real[:4], fake[:4])), torch.cat((real[4:], fake[4:]))))
    with halves_apart():
        first, second = on_each(2, lambda: shards.dropout(next(parts), 0.4, True))
    assert torch.allclose(torch.cat((first[:4], second[:4])), expected_real)
    assert torch.allclose(torch.cat((first[4:], second[4:])), expected_fake)


def test_channels_last_memory_keeps_its_rows():
    images = torch.randn(4, 3, 2, 2).contiguous(memory_format=torch.channels_last)
    torch.manual_seed(7)
    expected = torch.rand_like(images)
    assert torch.equal(torch.cat(on_each(2, lambda: shards.rand_like(images[:2]))), expected)


@pytest.mark.parametrize("parts", [1, 2])
def test_batches_are_shared_out_without_repeats(parts):
    examples = np.arange(20, dtype=np.float32)[:, None]
    data = Data(DataSpec((1,), 20), Decoded([examples], np.arange(20), "x"), CPU, seed=0)
    whole = data.batch(4, 8)
    shares = on_each(2, lambda: data.batch(4, 8, parts))
    assert all(len(share) == 4 and torch.equal(share.real.flatten().long(), share.labels) for share in shares)
    for i, part in enumerate(whole.split(parts)):  # a part of the batch is the same whoever plays it
        assert torch.equal(torch.cat([list(share.split(parts))[i].labels for share in shares]), part.labels)


@pytest.mark.parametrize(("asked", "gpus", "cores", "device", "ranks"), [
    ("1", 0, 4, "cpu", 1), ("2", 0, 4, "cpu", 2), ("all", 0, 4, "cpu", 1), ("all", 8, 4, "cuda", 8), ("8", 8, 4, "cuda", 8),
    ("all", 8, 4, "cuda:3", 1), ("1", 8, 4, "cuda:3", 1), ("1", 0, 4, "mps", 1)])
def test_number_of_ranks(asked, gpus, cores, device, ranks, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(devices, "cores", lambda: cores)
    assert devices.count_ranks(asked, torch.device(device), device) == ranks


@pytest.mark.parametrize(("asked", "device", "says"), [
    ("9", "cuda", "more than the 8 GPUs of this machine: give devices=8 or less"),
    ("2", "cuda:1", "device=cuda:1 is one device and devices=2 needs more: give device=cuda"),
    ("5", "cpu", "more than the 4 cores"), ("2", "mps", "give devices=1")])
def test_more_devices_than_there_are(asked, device, says, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    monkeypatch.setattr(devices, "cores", lambda: 4)
    with pytest.raises(UserError, match=says):
        devices.count_ranks(asked, torch.device(device), device)


@pytest.fixture
def many_cores(monkeypatch):
    monkeypatch.setattr(devices, "cores", lambda: 8)


def small(*overrides):
    return (*TINY, *SMALL_NETWORKS["dcgan"], *overrides)


@pytest.mark.parametrize(("overrides", "says"), [
    (("devices=3", "trainer.batch_size=64"), "into 3 devices: give trainer.batch_size=63 or 66"),
    (("devices=2", "trainer.accumulate=4", "trainer.batch_size=20"), "accumulate=4: give trainer.batch_size=16 or 24"),
    (("devices=5",), "give trainer.batch_size=5, or"), (("devices=0",), "at least 1 or all"), (("devices=two",), "or all")])
def test_batches_that_do_not_divide_are_refused_before_anything_exists(overrides, says, tmp_path, many_cores):
    with pytest.raises(UsageError, match=says):
        plan(tmp_path / "run", *small(*overrides))
    assert not (tmp_path / "run").exists()


def test_validate_shows_the_ranks(tmp_path, many_cores):
    given = [*small("devices=2", "trainer.sync_batch_norm=true"), f"run_dir={tmp_path / 'run'}"]
    assert "2, each with 2 examples of a batch; batch statistics all ranks'" in report(compose("train", given), given)
    assert not (tmp_path / "run").exists()


def test_threads_are_shared_unless_the_environment_says_how_many(monkeypatch, many_cores):
    set_to = []
    monkeypatch.setattr(torch, "set_num_threads", set_to.append)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    devices.share_cores(2)
    monkeypatch.delenv("OMP_NUM_THREADS")
    for ranks in (2, 3, 16):
        devices.share_cores(ranks)
    assert set_to == [4, 2, 1]


def test_the_place_that_torchrun_gives(monkeypatch):
    for name, value in zip(shards.LAUNCHER, ("3", "4", "1", "127.0.0.1", "29500"), strict=True):
        assert shards.launched() is None
        monkeypatch.setenv(name, value)
    assert shards.launched() == Place(3, 4, 1)
