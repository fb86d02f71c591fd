"""Euclidean distances between two large sets, a bounded piece at a time.

Legend: N, M examples, D features.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

PIECE = 2**24  # distances held at a time: 64 MB in float32


def centered(*sets: Tensor) -> tuple[Tensor, ...]:
    """Return the sets [N, D] less the mean of the first: distances stay, and their products lose no digits to it."""
    mean = sets[0].double().mean(0) if sets[0].device.type != "mps" else sets[0].mean(0)
    return tuple(part - mean.to(part.dtype) for part in sets)


def row_pieces(x: Tensor, y: Tensor, piece: int = PIECE) -> Iterator[tuple[slice, Tensor]]:
    """Yield (rows of x, their squared distances [rows, M] to y), at most `piece` distances at a time."""
    rows = max(1, piece // max(1, len(y)))
    lengths = y.square().sum(1)
    for start in range(0, len(x), rows):
        some = slice(start, min(start + rows, len(x)))
        yield some, squared_distances(x[some], y, lengths)


def squared_distances(x: Tensor, y: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Return |x - y|^2 [N, M] by |x|^2 + |y|^2 - 2 xy, never below 0; `lengths` are the known |y|^2 [M].

    The rounding error is that of the squared lengths (1e-7 of them in float32): center the sets first, and compute the
    distances of near copies anew (`exact_distances`).
    """
    lengths = y.square().sum(1) if lengths is None else lengths
    return torch.addmm(lengths[None] + x.square().sum(1, keepdim=True), x, y.T, alpha=-2).clamp_min_(0)


def exact_distances(x: Tensor, y: Tensor, neighbors: Tensor, piece: int = PIECE) -> Tensor:
    """Return |x - y[neighbor]| [N, K] for x [N, D] and each one's neighbors [N, K] among y [M, D], by subtraction."""
    rows = max(1, piece // max(1, neighbors.shape[1] * x.shape[1]))
    return torch.cat([(some[:, None] - y[chosen]).norm(dim=2)
                      for some, chosen in zip(x.split(rows), neighbors.split(rows), strict=True)])
