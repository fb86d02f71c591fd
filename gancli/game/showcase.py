"""How pictures that belong together are laid out in a sample grid."""

import torch
from torch import Tensor


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
