"""Grids of images, laid out before an image is made, so that what is too large is refused in time.

Legend: N images, C channels, H height, W width.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from gancli.errors import UserError
from gancli.monitor.grids import Picture, grid_size, picture_grid, preview_zoom, to_pictures

PADDING = 2
MAX_PIXELS = 10**8


@dataclass(frozen=True)
class Grid:
    """A grid of images, laid out."""

    cells: int
    columns: int
    zoom: int
    height: int  # pixels of the picture
    width: int

    @classmethod
    def of(cls, shape: Sequence[int], cells: int, columns: int | None = None, zoom: int | None = None) -> "Grid":
        """Lay out cells of images [C, H, W]; it is about square without `columns`, of a preview's size without `zoom`."""
        columns = columns or math.ceil(math.sqrt(cells))
        height, width = grid_size(*shape[1:], cells, columns, PADDING)
        zoom = zoom or preview_zoom(height, width)
        return cls(cells, columns, zoom, height * zoom, width * zoom)

    def check(self, instead: str) -> None:
        """Raise a UserError for a grid that is too large to be looked at.

        Args:
            instead: what to give in place of a smaller n or zoom.
        """
        pixels = self.height * self.width
        if pixels > MAX_PIXELS:
            raise UserError(f"A grid of {self.cells:,} images has {pixels / 1e6:,.0f} million pixels, which few programs "
                            f"open: give {instead}, or a smaller n or zoom.")

    def draw(self, pictures: Picture, cells: Sequence[int] | None = None) -> Picture:
        """Return pictures [N, H, W, 1 or 3] as one; `cells` are their places, row by row, where some stay empty."""
        return picture_grid(pictures, self.columns, PADDING, self.zoom, cells=cells)


def pictures_of(batches: Iterable[Tensor]) -> Picture:
    """Return batches of images [N, C, H, W] in [-1, 1] as pictures [N, H, W, 1 or 3], a quarter of their memory."""
    return np.concatenate([to_pictures(x) for x in batches])
