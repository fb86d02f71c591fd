"""Quality and diversity apart: precision, recall (Kynkaanniemi 2019), density, coverage (Naeem 2020).

A set's manifold is the union of balls around its points, each reaching to the k-th nearest other point.

Legend: N real examples, M generated, D features.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from gancli.metrics.measures.distances import PIECE, centered, row_pieces


class Manifolds(NamedTuple):
    """Precision, recall and coverage are shares in [0, 1]; density may exceed 1."""

    precision: float
    recall: float
    density: float
    coverage: float


def compare_manifolds(real: Tensor, generated: Tensor, k: int, piece: int = PIECE) -> Manifolds:
    """Return all four figures of features [N, D] and [M, D].

    Precision and recall are Kynkaanniemi 2019, eq. 1 and 2 (who take k = 3 of 50,000), density and coverage Naeem 2020,
    section 3 (k = 5 of 10,000).  Balls include their surface, as in Kynkaanniemi's eq. 1, so that copies of repeated
    images lie inside; the package prdc leaves it out.  At most `piece` distances are held at a time.

    Raises:
        ValueError: a set has no k-th neighbor.
    """
    real, generated = centered(real, generated)
    real_radii, generated_radii = radii(real, k, piece), radii(generated, k, piece)
    inside = torch.zeros(len(generated), dtype=torch.int64, device=real.device)  # real balls that hold the sample
    recalled = covered = 0
    for rows, distances in row_pieces(real, generated, piece):
        held = distances <= real_radii[rows, None]
        inside += held.sum(0)
        covered += held.any(1).sum()
        recalled += (distances <= generated_radii).any(1).sum()
    return Manifolds(precision=int((inside > 0).sum()) / len(generated),
                     recall=int(recalled) / len(real),
                     density=int(inside.sum()) / (k * len(generated)),
                     coverage=int(covered) / len(real))


def radii(points: Tensor, k: int, piece: int = PIECE) -> Tensor:
    """Return the squared distance [N] of each point [N, D] to its k-th nearest other point."""
    if not 1 <= k < len(points):
        raise ValueError(f"neighbor number {k} needs at least {k + 1} points, not {len(points)}")
    found = []
    for rows, distances in row_pieces(points, points, piece):
        own = torch.arange(rows.start, rows.stop, device=points.device)[:, None]
        distances.scatter_(1, own, torch.inf)
        found.append(distances.topk(k, dim=1, largest=False).values[:, -1])  # 20 times as fast as kthvalue on a CPU
    return torch.cat(found)
