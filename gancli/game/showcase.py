"""How pictures that belong together are laid out in a sample grid."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from gancli.game.model import Fixed


def interleave_rows(columns: int, *pictures: Tensor) -> Tensor:
    """Return a batch whose grid shows a row of each of `pictures` in turn, then the next row of each.

    Args:
        columns: of the grid.
        pictures: batches of equal length [N, C, H, W]; in a grid, the k-th of each stand in one column.

    Returns:
        [M, C, H, W] with M = N * len(pictures); examples that fill no whole row are left out if N > columns.
    """
    columns = min(columns, len(pictures[0]))
    whole = len(pictures[0]) // columns * columns
    rows = torch.stack([batch[:whole].float().unflatten(0, (-1, columns)) for batch in pictures], 1)
    return rows.flatten(0, 2)


TARGETS = 10  # rows of a grid of translations, at most


def shown_with_targets(fixed: Fixed, targets: Sequence[str], translate: Callable[[Tensor, str], Tensor],
                       further: Sequence[Tensor] = ()) -> Tensor:
    """Return real images, below each row of them one for each target domain, and then one of each of the further batches.

    Of many targets some are shown, evenly chosen.
    """
    some = _some(targets)
    shown = max(fixed.columns, len(fixed.batch) // (1 + len(some) + len(further)))
    x = fixed.batch.real[:shown]
    return interleave_rows(fixed.columns, x, *(translate(x, domain) for domain in some), *(more[:shown] for more in further))


def _some(targets: Sequence[str]) -> list[str]:
    """Return at most TARGETS of the targets, evenly chosen."""
    count = min(len(targets), TARGETS)
    return [targets[i * len(targets) // count] for i in range(count)]


def bands_of(targets: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the rows that `shown_with_targets` shows."""
    return "real", *(f"as {target}" for target in _some(targets))


def reconstructions(model: Any, fixed: Fixed) -> Tensor:
    """Return real examples with what the model makes of them below (of points, which share one picture, the latter alone)."""
    real = fixed.batch.real
    told = () if fixed.batch.labels is None or not model.needs.labels else (fixed.batch.labels,)
    if real.dim() == 2:
        return model.reconstruct(real, *told)
    n = max(fixed.columns, len(fixed.batch) // 2)  # twice these fill a grid
    return interleave_rows(fixed.columns, real[:n], model.reconstruct(real[:n], *(labels[:n] for labels in told)))
