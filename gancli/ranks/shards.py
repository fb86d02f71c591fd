"""This process's share of what several ranks play together: its slice of every batch and of every draw made for one.

All ranks seed their generators alike.  What is random for each example is drawn for the whole batch on every rank, which
keeps its own rows: so the numbers do not depend on how many ranks there are, and with one rank nothing is changed.

Legend: W ranks, N examples of the whole batch, n = N / W of this rank, P parts of a batch (gradient accumulation).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as distributed
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.nn.functional import dropout as plain_dropout

from gancli.gradients import halves_apart
from gancli.ranks.nodes import srun_place

LAUNCHER = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")  # what torchrun tells its processes


class LostRank(RuntimeError):
    """Another rank has ended, or does not answer: seldom the cause of a failure, mostly its consequence."""


@dataclass(frozen=True)
class Place:
    """Which of the ranks this process is."""

    rank: int = 0  # of all
    world: int = 1  # ranks in all
    local_rank: int = 0  # of this machine


_place = Place()


def rank() -> int:
    """Return this process's number, from 0; rank 0 alone writes."""
    return _place.rank


def world() -> int:
    """Return the number of ranks, W."""
    return _place.world


def local_rank() -> int:
    """Return this process's number on its machine: the GPU it has."""
    return _place.local_rank


def leads() -> bool:
    """Whether this process does what one does for all: rank 0, and every rank that is alone."""
    return _place.rank == 0 or _place.world == 1


@contextmanager
def taking(place: Place) -> Iterator[None]:
    """Be that rank, with torch.distributed initialized by the caller."""
    global _place
    before, _place = _place, place
    try:
        yield
    finally:
        _place = before


@contextmanager
def alone() -> Iterator[None]:
    """Be as if there were one rank: for what this one does while the others do something else."""
    with taking(Place(_place.rank, 1, _place.local_rank)):
        yield


def launched() -> Place | None:
    """Return the place that torchrun, or srun with several tasks, gave this process; None if neither started it."""
    if all(name in os.environ for name in LAUNCHER):
        return Place(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")))
    place = srun_place(os.environ)
    return None if place is None else Place(*place)


# Slices


def mine(whole: Tensor, parts: int = 1) -> Tensor:
    """Return this rank's rows [N / W, ...] of what the whole batch [N, ...] has: its slice of each part."""
    if _place.world == 1:
        return whole
    return whole.unflatten(0, (parts, _place.world, -1))[:, _place.rank].flatten(0, 1)


def shares(n: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of this rank's batches, every W-th one, of n examples in batches of `size`."""
    for start in range(_place.rank % _place.world * size, n, _place.world * size):  # a rank that is alone has all
        yield start, min(start + size, n)


# Random numbers for this rank's examples: slices of the draw for the whole batch


def rand(n: int, *shape: int, device: torch.device) -> Tensor:
    """Return uniform numbers for n examples, [n, *shape]."""
    return mine(torch.rand(n * _place.world, *shape, device=device), _halves())


def rand_like(x: Tensor) -> Tensor:
    """Return uniform numbers for the examples x [n, ...]."""
    return torch.rand_like(x) if _place.world == 1 else mine(torch.rand_like(_whole_like(x)), _halves())


def randn(n: int, *shape: int, device: torch.device) -> Tensor:
    """Return standard normal numbers for n examples, [n, *shape]."""
    return mine(torch.randn(n * _place.world, *shape, device=device), _halves())


def randn_like(x: Tensor) -> Tensor:
    """Return standard normal numbers for the examples x [n, ...]."""
    return torch.randn_like(x) if _place.world == 1 else mine(torch.randn_like(_whole_like(x)), _halves())


def randint(high: int, n: int, *shape: int, device: torch.device) -> Tensor:
    """Return integers from 0 to high - 1 for n examples, [n, *shape] int64."""
    return mine(torch.randint(high, (n * _place.world, *shape), device=device), _halves())


def dropout(x: Tensor, p: float, training: bool) -> Tensor:
    """Zero values of the examples x [n, ...] with probability p, and scale the others up.

    The library's kernel on a CPU takes a seventh of a round of Goodfellow's MLPs; this one a third of that.
    """
    if not training or p == 0 or (_place.world == 1 and x.device.type != "cpu"):
        return plain_dropout(x, p, training)
    whole = _whole_like(x)
    if x.device.type != "cpu":
        return x * mine(whole.bernoulli_(1 - p), _halves()).div_(1 - p)
    kept, share = _coins(whole.numel(), 1 - p)
    return x * mine(kept.as_strided(whole.shape, whole.stride()), _halves()) * (1 / share)


def _coins(n: int, share: float) -> tuple[Tensor, float]:
    """Return n booleans of the CPU's generator, each True with the probability that is returned: `share` in 16 bits."""
    sides = 1 << 16
    limit = min(max(round(share * sides), 1), sides - 1)
    draws = torch.empty(-(-n // 4), dtype=torch.int64).random_(-(1 << 63), None)  # all 64 bits: four coins a draw
    return draws.view(torch.int16)[:n] < limit - sides // 2, limit / sides


def _halves() -> int:
    """Return how many batches a network sees one after the other: with real and fake in one pass, each has its slice."""
    return 2 if halves_apart.on else 1


def _whole_like(x: Tensor) -> Tensor:
    """Return memory for the whole batch that x [n, ...] is a slice of, laid out as x but dense (dimension 0 outermost)."""
    strides = torch.empty_like(x, device="meta").stride()
    return torch.empty_strided((len(x) * _place.world, *x.shape[1:]), strides, dtype=x.dtype, device=x.device)


# What the ranks tell each other; every rank must come by, in the same order


@contextmanager
def answered() -> Iterator[None]:
    """Raise LostRank where a collective operation fails."""
    try:
        yield
    except RuntimeError as error:
        raise LostRank(f"a collective operation failed, as it does when another rank has ended ({error})") from error


def average(tensor: Tensor) -> None:
    """Average a contiguous tensor over the ranks, in place."""
    if _place.world > 1:
        with answered():
            distributed.all_reduce(tensor)
        tensor /= _place.world


def gathered(x: Tensor) -> Tensor:
    """Return the whole batch [N, ...] of which every rank has x [n, ...]; not differentiable."""
    return x if _place.world == 1 else _Stacked.apply(x.detach()).flatten(0, 1)


def stacked(x: Tensor) -> Tensor:
    """Return every rank's x as [W, ...], differentiable any number of times."""
    return x[None] if _place.world == 1 else _Stacked.apply(x)


def std(x: Tensor) -> Tensor:
    """Return the standard deviation over all values of the whole batch of which every rank has x; not differentiable."""
    if _place.world == 1:
        return x.std()
    means, variances = stacked(torch.stack((x.mean(), x.var(correction=0))).detach()).unbind(1)
    count = x.numel() * _place.world
    return ((variances.mean() + means.var(correction=0)) * count / (count - 1)).sqrt()


class _Stacked(torch.autograd.Function):
    """All ranks' tensors; what each rank's loss says about mine comes back summed."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor) -> Tensor:
        x = x.contiguous()
        pieces = [torch.empty_like(x) for _ in range(_place.world)]
        with answered():
            distributed.all_gather(pieces, x)
        return torch.stack(pieces)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        return stacked(gradient).sum(0)[_place.rank]
