"""Grids whose columns of images have a line of text below them.

Legend: N columns of images, H height, W width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gancli.errors import UserError
from gancli.explore.layout import MAX_PIXELS, PADDING
from gancli.monitor.grids import Picture, grid_size, picture_grid, preview_zoom

LETTERS = 12  # points
LINE = 18  # pixels
NARROWEST = 96  # pixels of a column, so that something is seen and a number fits below it


@dataclass(frozen=True)
class Captioned:
    """A grid of columns, each a stack of images with a text below, laid out before an image is made."""

    stacked: int  # images of a column
    columns: int  # side by side, before the next ones begin below
    zoom: int

    @classmethod
    def of(cls, shape: Sequence[int], stacked: int, count: int, columns: int | None, zoom: int | None) -> "Captioned":
        """Lay out `count` columns of images [C, H, W]; eight side by side without `columns`.

        Raises:
            UserError: the picture would be too large to be looked at.
        """
        columns = min(columns or 8, count)
        height, width = grid_size(*shape[1:], stacked * columns, columns, PADDING)
        if zoom is None:
            zoom = max(preview_zoom(height, width), -(-NARROWEST // (shape[2] + PADDING)))
        bands = -(-count // columns)
        if bands * (height * zoom + LINE) * width * zoom > MAX_PIXELS:
            raise UserError(f"A picture of {count:,} columns at zoom {zoom} is too large for most programs: give a smaller n "
                            "or zoom.")
        return cls(stacked, columns, zoom)

    def draw(self, rows: Sequence[Picture], texts: Sequence[str]) -> Picture:
        """Return one picture [., ., 1 or 3] of rows [N, H, W, 1 or 3], which stand below each other, and their N texts."""
        bands = []
        for start in range(0, len(texts), self.columns):
            part = [row[start:start + self.columns] for row in rows]
            missing = self.columns - len(part[0])
            filled = [np.concatenate((row, np.full((missing, *row.shape[1:]), 255, np.uint8))) for row in part]
            band = picture_grid(np.concatenate(filled), self.columns, PADDING, self.zoom)
            bands += [band, self._line(texts[start:start + self.columns], band.shape[1], band.shape[2], rows[0].shape[2])]
        return np.concatenate(bands)

    def _line(self, texts: Sequence[str], width: int, channels: int, side: int) -> Picture:
        """Return a line of text [LINE, width, channels], each in the middle of its column."""
        line = Image.new("L", (width, LINE), 255)
        draw, font = ImageDraw.Draw(line), ImageFont.load_default(LETTERS)
        for number, text in enumerate(texts):
            middle = (PADDING + number * (side + PADDING) + side / 2) * self.zoom
            draw.text((middle, 1), text, fill=40, font=font, anchor="ma")
        return np.repeat(np.asarray(line)[:, :, None], channels, 2)
