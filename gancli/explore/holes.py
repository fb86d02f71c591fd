"""What `mask=` asks for: holes of the law that a model was trained on, of another one, a rectangle, or a file's.

Legend: N masks, H height, W width.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from gancli.errors import UsageError, UserError
from gancli.explore.inputs import find_mask
from gancli.explore.loaded import Loaded
from gancli.game.holes import KINDS, Box, Boxed, holes_of, middle
from gancli.game.sampler import drawn

Masks = Callable[[int, int], Tensor]  # masks start to stop, [N, 1, H, W]


def masks_of(given: Any, loaded: Loaded, seed: int) -> Masks:
    """Return the holes that `mask=` asks for, by their numbers.

    Args:
        given: None for the model's own law, a law's name, [x, y, width, height] in pixels of its images, or a file.

    Raises:
        UserError: there is no such mask, no hole in it, or the model cannot fill holes there.
    """
    if given is None:
        return lambda start, stop: drawn(loaded.model.draw_holes, start, stop, seed)
    size = loaded.spec.shape[1:]
    if isinstance(given, str) and given in KINDS:
        law = holes_of(given, *size)
        if given == "center":  # as much of it as the model can fill
            law = Boxed(*size, _common(middle(*size), Box(*loaded.model.fillable)))
        _check(law.draw(64, torch.Generator().manual_seed(0)), given, loaded)
        return lambda start, stop: drawn(law.draw, start, stop, seed)
    mask = find_mask(given, loaded) if isinstance(given, str) else _rectangle(given, size)
    _check(mask, given, loaded)
    return lambda start, stop: mask.expand(stop - start, -1, -1, -1)


def _rectangle(given: Any, size: Sequence[int]) -> Tensor:
    """Return the mask [1, 1, H, W] of [x, y, width, height]."""
    numbers = list(given) if isinstance(given, Sequence) else []
    if len(numbers) != 4 or not all(isinstance(number, int) and not isinstance(number, bool) for number in numbers):
        raise UsageError(f"mask={given} is no mask: give a file, [x,y,width,height] in pixels, or {', '.join(KINDS)}.")
    x, y, width, height = numbers
    if min(x, y) < 0 or min(width, height) < 1 or x + width > size[1] or y + height > size[0]:
        raise UsageError(f"mask={numbers} does not lie within the model's images of {size[1]}x{size[0]} pixels: give "
                         "[x,y,width,height] that does.")
    return Boxed(*size, Box(y, x, height, width)).of(torch.zeros(1, 0))


def _check(masks: Tensor, given: Any, loaded: Loaded) -> None:
    """Raise a UserError for masks without a hole, or with one where the model can fill none."""
    if not masks.any():
        raise UserError(f"mask={given} has no hole: it is where the mask's image is white.")
    box = Box(*loaded.model.fillable)
    outside = masks.clone()
    outside[(..., *box.area)] = 0
    if outside.any():
        raise UserError(f"mask={given} has a hole where this model can fill none: it was trained on holes within "
                        f"[{box.left},{box.top},{box.width},{box.height}] (x, y, width, height). Give mask=center, or a run "
                        "with model.mask=random.")


def _common(one: Box, other: Box) -> Box:
    top, left = max(one.top, other.top), max(one.left, other.left)
    bottom, right = min(one.top + one.height, other.top + other.height), min(one.left + one.width, other.left + other.width)
    return Box(top, left, bottom - top, right - left)
