"""Images of any size, and seamless tiles, of models that make them (`gan sample size=`, `tile=true`).

Legend: C channels, H height, W width.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from gancli.errors import UsageError, UserError
from gancli.explore.layout import Grid
from gancli.explore.loaded import Loaded
from gancli.explore.room import check_room
from gancli.explore.targets import FOLDER, Target, checkpoint_stem, default_target
from gancli.explore.writing import save_npz, save_pictures, writing
from gancli.game.abilities import able, refusal
from gancli.monitor.grids import Picture, save_png, to_pictures

LARGEST = 1 << 16  # pixels of a side: what PNG's readers commonly take


def save_textures(loaded: Loaded, options: Any, chosen: Target | None) -> Path:
    """Write images of the size that is asked for and return where they are.

    Args:
        options: a command's, with n, seed, size, tile, label, code, codes, columns and zoom.
        chosen: where; None: a new PNG file.

    Raises:
        UserError: the model makes one size only, or there is no room; nothing has been written.
    """
    if not able(loaded.model, "sizes"):
        raise UserError(refusal(loaded.name, "sizes"))
    if options.label is not None or options.code is not None or options.codes:
        raise UserError(f"model={loaded.name} takes neither labels nor codes: leave label=, code= and codes= out.")
    size = texture_size(options.size, options.tile, loaded)
    sides = "x".join(map(str, size)) + ("-tile" if options.tile else "")
    target = chosen or default_target("sample", f"{checkpoint_stem(loaded)}-seed{options.seed}-{sides}", ".png")
    one, cells = math.prod(size) * loaded.spec.shape[0], math.prod(-(-side // loaded.model.cell) + 1 for side in size)
    noise = 4 * loaded.model.prior.shape[0] * cells  # in memory for one image at a time, which is held, too
    check_room(loaded, options.n, "size or n", target.path, target.kind != ".png", one)
    check_room(loaded, 1, "size", target.path, False, one + noise)
    grid = None
    if target.kind == ".png" and options.n > 1:
        grid = Grid.of((loaded.spec.shape[0], *size), options.n, options.columns, options.zoom or 1)
        grid.check("out=FOLDER or out=FILE.npz")
    with writing(target.path):
        _save(loaded, options, target, size, grid)
    return target.path


def _save(loaded: Loaded, options: Any, target: Target, size: tuple[int, int], grid: Grid | None) -> None:
    images = (loaded.paint(number, size, options.seed, options.tile) for number in range(options.n))  # [C, H, W] uint8 each
    if target.kind == ".npz":
        arrays = {"images": (image.permute(1, 2, 0)[None].numpy() for image in images), "seed": np.asarray(options.seed)}
        save_npz(target.path, arrays, options.n)
        return
    if target.kind == FOLDER:
        save_pictures(target.path, map(_exact, images), options.n)
    elif grid is None:
        zoom = options.zoom or 1
        save_png(target.path, _exact(next(images)).repeat(zoom, axis=0).repeat(zoom, axis=1))
    else:
        save_png(target.path, grid.draw(np.concatenate([_shown(image) for image in images])))


def _exact(image: Tensor) -> Picture:
    """Return an image [C, H, W] uint8 as a picture [H, W, C] with every channel that a PNG can hold."""
    return image.permute(1, 2, 0).contiguous().numpy() if image.shape[0] in (1, 3, 4) else _shown(image)[0]


def _shown(image: Tensor) -> Picture:
    """Return an image [C, H, W] uint8 as grids show it, [1, H, W, 1 or 3]."""
    if image.shape[0] in (1, 3):
        return image.permute(1, 2, 0)[None].numpy()
    return to_pictures(image[None].float() / 127.5 - 1)


def texture_size(size: Any, tile: bool, loaded: Loaded) -> tuple[int, int]:
    """Return the height and width that `size=` asks for; without it, those of training, or the largest tile within them.

    Raises:
        UsageError: it is no size, or a tile cannot have it.
    """
    cell = loaded.model.cell
    if size is None:
        height, width = loaded.spec.shape[1:]
        return max(cell, height // cell * cell), max(cell, width // cell * cell)
    sides = [size, size] if isinstance(size, int) else list(size) if not isinstance(size, str) else []
    if len(sides) != 2 or not all(isinstance(side, int) and not isinstance(side, bool) for side in sides):
        raise UsageError(f"size must be a number of pixels or [height,width], not {size}.")
    if not all(1 <= side <= LARGEST for side in sides):
        raise UsageError(f"size={size} must have sides from 1 to {LARGEST:,} pixels.")
    odd = [side for side in sides if side % cell] if tile else []
    if odd:
        below = odd[0] // cell * cell
        raise UsageError(f"A seamless tile of this model has sides that are multiples of {cell} pixels, and {odd[0]} is none: "
                         f"give {f'{below} or ' if below else ''}{below + cell}.")
    return sides[0], sides[1]
