"""Sample grids of several runs side by side.

Legend: H height, W width, in pixels.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from gancli.compare.curves import shortened
from gancli.compare.reading import Run

MOST_RUNS = 48  # whose grids are shown
LARGE, MEDIUM, SMALL = 560, 380, 260  # longer side of a grid among up to 4, up to 12, more
LARGEST_PIXELS = 40_000_000  # of a file that is opened at all
COLUMNS = 4  # of the picture of all grids
MARGIN, TEXT_SIZE = 16, 16


@dataclass(frozen=True)
class Grid:
    """One run's picture."""

    run: Run
    name: str
    kind: str  # samples, translations, reconstructions
    images: int  # real images shown when it was drawn
    picture: Image.Image


def choose_grids(runs: Sequence[Run], names: Sequence[str], kimg: float | None = None) -> list[Grid]:
    """Return the last grid of each run, or the one nearest to `kimg`; runs without a readable one are left out."""
    side = LARGE if len(runs) <= 4 else MEDIUM if len(runs) <= 12 else SMALL
    grids = []
    for run, name in list(zip(runs, names, strict=True))[:MOST_RUNS]:
        if not run.grids:
            continue
        kind = "samples" if "samples" in run.grids else min(run.grids)
        there = run.grids[kind]
        images = max(there) if kimg is None else min(there, key=lambda images: abs(images - 1000 * kimg))
        picture = open_grid(there[images], side)
        if picture is not None:
            grids.append(Grid(run, name, kind, images, picture))
    return grids


def side_by_side(grids: Sequence[Grid]) -> bytes:
    """Return one PNG of all grids, each under its run's name, kind and kimg."""
    font = ImageFont.truetype(_font(), TEXT_SIZE)
    width = max(grid.picture.width for grid in grids)  # W of a cell
    height = max(grid.picture.height for grid in grids) + 3 * TEXT_SIZE  # H of a cell, two lines of text in it
    columns = min(COLUMNS, len(grids))
    rows = -(-len(grids) // columns)
    sheet = Image.new("RGB", (columns * (width + MARGIN) + MARGIN, rows * (height + MARGIN) + MARGIN), "white")
    draw = ImageDraw.Draw(sheet)
    for place, grid in enumerate(grids):
        left, top = MARGIN + place % columns * (width + MARGIN), MARGIN + place // columns * (height + MARGIN)
        for line, text in enumerate((shortened(grid.name), caption(grid))):
            draw.text((left, top + 1.3 * line * TEXT_SIZE), _fitting(_printable(text), font, width), "black", font)
        sheet.paste(grid.picture, (left, top + 3 * TEXT_SIZE))
    return png(sheet)


def caption(grid: Grid) -> str:
    """Return what a grid shows and when: `samples at 200 kimg`."""
    return f"{grid.kind} at {grid.images / 1000:g} kimg"


def png(picture: Image.Image) -> bytes:
    """Return a picture as a PNG file, drawn anew: nothing of the file it came from but its pixels."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


def open_grid(path: Path, side: int) -> Image.Image | None:
    """Open a PNG and shrink it to `side`; None where it cannot be read or is enormous."""
    try:
        with Image.open(path, formats=("PNG",)) as file:
            if file.width * file.height > LARGEST_PIXELS:
                return None
            picture = file.convert("RGB" if file.mode not in ("L", "1") else "L")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    picture.thumbnail((side, side), Image.Resampling.BOX)
    return picture


def _font() -> str:
    from matplotlib.font_manager import findfont

    return findfont("DejaVu Sans")


def _fitting(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Cut a text to so many pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)
