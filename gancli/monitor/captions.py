"""Words around a grid of images: what it shows and when above it, and the names of its rows beside them.

Letters grow with the picture, so that they can be read where a projector shows it whole.

Legend: H height, W width.
"""

from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gancli.monitor.grids import Picture

SHARE, LEAST, MOST = 26, 15, 40  # a letter's height: this part of the picture's longer side, in pixels within bounds
WIDEST = 0.35  # of the picture's width, which names of rows take at most
FONT = "fonts/ttf/DejaVuSans.ttf"
INK, PAPER = 20, 255


def captioned(picture: Picture, heading: str, rows: Sequence[str] = (), padding: int = 0) -> Picture:
    """Return a picture [H, W, 1 or 3] with a line above it and a name beside each of its rows.

    Args:
        heading: the line.
        rows: a name for each row, from above; none: no names.
        padding: pixels between rows and around them; rows are equally high.
    """
    height, width, channels = picture.shape
    size = min(MOST, max(LEAST, max(height, width) // SHARE))
    names, left = _names(rows, height, width, size)
    bar = 2 * size
    image = Image.new("L", (left + width, bar + height), PAPER)
    draw, room = ImageDraw.Draw(image), left + width - size
    font = _font(max(LEAST, min(size, int(size * room / max(1.0, _font(size).getlength(heading))))))
    draw.text((size // 2, bar // 2), _fitting(heading, font, room), INK, font, anchor="lm")
    for number, name in enumerate(names):
        middle = padding + (number + 0.5) * (height - padding) / len(names) - padding / 2
        own = _font(min(size, max(8, int(0.8 * (height - padding) / len(names)))))
        draw.text((left - size // 2, bar + middle), _fitting(name, own, left - size), INK, own, anchor="rm")
    framed = np.repeat(np.asarray(image)[:, :, None], channels, 2)
    framed[bar:, left:] = picture
    return framed


def _names(rows: Sequence[str], height: int, width: int, size: int) -> tuple[list[str], int]:
    """Return the names, and how many pixels they take at the left."""
    if not rows:
        return [], 0
    font = _font(size)
    widest = max(font.getlength(name) for name in rows)
    return list(rows), int(min(widest, WIDEST * width)) + 2 * size


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(_font_file(), size)


@lru_cache
def _font_file() -> str:
    """Return matplotlib's font, whose package need not be imported for it where it brings its data."""
    package = find_spec("matplotlib")
    beside = Path(package.origin).parent / "mpl-data" / FONT if package is not None and package.origin else None
    if beside is not None and beside.is_file():
        return str(beside)
    import matplotlib

    return str(Path(matplotlib.get_data_path()) / FONT)


def _fitting(text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    """Return text without control characters, cut to so many pixels."""
    text = "".join(c if c.isprintable() else "?" for c in text)
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
