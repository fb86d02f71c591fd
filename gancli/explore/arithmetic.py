"""`gan arithmetic`: the mean of one group of latents, minus that of a second, plus that of a third.

Legend: N images, C channels, H height, W width, Z latent size (any shape).
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gancli.errors import UsageError, UserError, check_range
from gancli.explore.groups import SHOWN, Members, members, read_group
from gancli.explore.labels import blend, class_indices
from gancli.explore.layout import Grid
from gancli.explore.loaded import Loaded, load
from gancli.explore.options import PictureOptions
from gancli.explore.targets import FOLDER, checkpoint_stem, choose_target, default_target
from gancli.explore.writing import save_folder, writing
from gancli.game.abilities import able, refusal
from gancli.monitor.grids import Picture, save_png, to_pictures
from gancli.options import typed
from gancli.seeds import mix

KEYS = ("plus", "minus", "to")  # in the order of the figure
AROUND = 8  # images around the result
COLUMNS = 9  # of the figure: three groups with a sign behind each, and three columns of results
NOISE_STREAM = 1 << 38  # kept apart from those of latents
INK, PAPER = 0, 255


@dataclass
class ArithmeticOptions(PictureOptions):
    """Which latents `gan arithmetic` reckons with; the defaults stand in conf/arithmetic.yaml."""

    plus: Any  # seeds, or a folder of images to encode
    minus: Any
    to: Any
    strength: float  # times the difference of plus and minus
    noise: float  # uniform in [-noise, noise], added to each latent of the result for the images around it
    seed: int  # of that noise
    label: Any  # a class of a conditional model; None: the first

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("noise", self.noise, 0)
        check_range("seed", self.seed, 0)
        if not abs(self.strength) < float("inf"):
            raise ValueError(f"strength must be a finite number, not {self.strength}")


def arithmetic(values: Mapping[str, Any]) -> list[Path]:
    """Add and subtract latents as conf/arithmetic.yaml describes and return what was written.

    Raises:
        UserError: nothing has been written, unless the disk became full.
    """
    options = typed(ArithmeticOptions, values, "")
    chosen = choose_target(options.out, (".png",), options.overwrite)
    loaded = load(options.ckpt, options.device, options.weights)
    if not able(loaded.model, "sample"):
        raise UserError(refusal(loaded.name, "sample"))
    if not loaded.spec.is_image:
        raise UserError(f"gan arithmetic shows images, and this model makes {loaded.spec.kind}.")
    weights = _label(loaded, options.label)
    groups = [read_group(key, getattr(options, key), loaded) for key in KEYS]
    target = chosen or default_target("arithmetic", checkpoint_stem(loaded), ".png")
    rows = max(3, *(min(len(group), SHOWN) for group in groups)) + 1
    grid = Grid.of(loaded.spec.shape, rows * COLUMNS, COLUMNS, options.zoom)
    grid.check("zoom=1")

    found = [members(group, loaded, weights, options.batch_size) for group in groups]
    for key, each in zip(KEYS, found, strict=True):
        if each.skipped:
            print(f"Skipped {len(each.skipped)} of {key}= that could not be decoded: {', '.join(each.skipped[:5])}"
                  f"{' ...' if len(each.skipped) > 5 else ''}.", file=sys.stderr)
    means = torch.stack([each.mean for each in found])
    latents = torch.cat((means, around(result(means, options.strength), options.noise, options.seed)))
    images = loaded.generate(latents, None if weights is None else weights.expand(len(latents), -1), options.batch_size)
    with writing(target.path):
        if target.kind == FOLDER:
            names = [*(f"mean-{key}" for key in KEYS), "result", *["around"] * AROUND]
            save_folder(target.path, [images], len(images), names)
        else:
            save_png(target.path, _figure(grid, rows, found, images))
    return [target.path]


def result(means: Tensor, strength: float) -> Tensor:
    """Return to + strength (plus - minus), [*Z], of the means [3, *Z] of plus, minus and to (Radford 2016, section 6.3.2)."""
    plus, minus, to = means
    return to + strength * (plus - minus)


def around(center: Tensor, noise: float, seed: int) -> Tensor:
    """Return a latent [*Z] and AROUND others near it, [AROUND + 1, *Z]; uniform noise as in Radford 2016, figure 7."""
    generator = torch.Generator().manual_seed(mix(NOISE_STREAM, seed))
    moves = noise * (2 * torch.rand(AROUND, *center.shape, generator=generator) - 1)
    return torch.cat((center[None], center + moves))


def _label(loaded: Loaded, label: Any) -> Tensor | None:
    """Return the weights [1, classes] of the one class whose images are made; None where the model takes no labels."""
    given = class_indices(label, loaded.model, loaded.name)
    if not loaded.model.needs.labels:
        return None
    if given is not None and len(given) > 1:
        raise UsageError(f"label= names {len(given)} classes: give one, of which all images are made.")
    return blend(torch.tensor(given or [0]), len(loaded.spec.classes))


def _figure(grid: Grid, rows: int, found: list[Members], images: Tensor) -> Picture:
    """Return the figure: groups with their means below and signs between, and the result amid the images around it.

    Args:
        images: [3 + 1 + AROUND, C, H, W] of the means, of the result, and around it.
    """
    pictures, cells, last = [], [], (rows - 1) * COLUMNS
    for number, each in enumerate(found):
        column = 2 * number
        pictures += [*to_pictures(each.images), *to_pictures(images[number:number + 1])]
        cells += [row * COLUMNS + column for row in range(len(each.images))] + [last + column]
    of_result = to_pictures(images[3:])
    places = [(rows - 2, 1), *((rows - 3 + cell // 3, cell % 3) for cell in range(9) if cell != 4)]
    pictures += list(of_result)
    cells += [row * COLUMNS + 6 + column for row, column in places]
    for number, sign in enumerate("-+="):
        pictures.append(_sign(sign, of_result[0].shape))
        cells.append(last + 2 * number + 1)
    return grid.draw(np.stack(pictures), cells)


def _sign(sign: str, shape: tuple[int, ...]) -> Picture:
    """Return a picture [H, W, 1 or 3] of a minus, a plus or an equals sign."""
    height, width, _ = shape
    picture = np.full(shape, PAPER, np.uint8)
    arm, half = max(2, min(height, width) // 5), max(1, min(height, width) // 24)
    y, x = height // 2, width // 2
    for line in ((y - 2 * half, y + 2 * half) if sign == "=" else (y,)):
        picture[line - half:line + half, x - arm:x + arm] = INK
    if sign == "+":
        picture[y - arm:y + arm, x - half:x + half] = INK
    return picture
