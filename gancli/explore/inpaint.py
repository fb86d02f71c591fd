"""`gan inpaint`: images with a hole, and what a model puts into it.

Legend: N images, C channels, H height, W width.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gancli.errors import check_range
from gancli.explore.dataset import DatasetPlace
from gancli.explore.examples import Examples, find_examples
from gancli.explore.holes import Masks, masks_of
from gancli.explore.layout import Grid, pictures_of
from gancli.explore.loaded import Loaded, load
from gancli.explore.options import PictureOptions
from gancli.explore.room import check_room
from gancli.explore.stages import Stages
from gancli.explore.targets import checkpoint_stem, choose_target, default_target
from gancli.explore.writing import save_named, writing
from gancli.game.showcase import interleave_rows
from gancli.monitor.grids import save_png
from gancli.options import typed

SHOWN = 24  # images of a grid without n=
ROWS = 3  # an image, its hole, and what was put into it
HOLE = 0.0  # gray of a hole in a grid, between -1 and 1
Filled = Iterator[tuple[list[str], Tensor, Tensor, Tensor]]  # names, images, masks, filled images


@dataclass
class InpaintOptions(PictureOptions):
    """What `gan inpaint` fills; the defaults stand in conf/inpaint.yaml."""

    input: Any  # a folder, a file or a list of files; None: the run's held-out images
    mask: Any  # see gancli.explore.holes
    seed: int  # of random holes
    n: int | None  # images at most; None: all, of a grid 24
    columns: int | None
    data_dir: str | None
    dataset: DatasetPlace

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("n", self.n, 1)
        check_range("columns", self.columns, 1)
        check_range("seed", self.seed, 0)
        if not isinstance(self.input, (str, list, tuple, type(None))):
            raise ValueError(f"input={self.input} is no path: give a folder, a file or a list of files")


@dataclass
class Report:
    """What was filled."""

    count: int
    origin: str
    files: list[Path]  # a picture or a folder
    notes: list[str]


def inpaint(values: Mapping[str, Any]) -> Report:
    """Fill holes as conf/inpaint.yaml describes: a grid of images, holes and fillings, or one PNG an image.

    Raises:
        UserError: anything that is wrong is found before anything is written, unless the disk becomes full.
    """
    options = typed(InpaintOptions, values, "")
    chosen = choose_target(options.out, (".png",), options.overwrite)
    loaded = load(options.ckpt, options.device, options.weights)
    loaded.require("inpaint")
    masks = masks_of(options.mask, loaded, options.seed)
    target = chosen or default_target("inpaint", checkpoint_stem(loaded), "")
    picture = target.kind == ".png"
    with Stages() as stages:
        n = options.n or (SHOWN if picture else None)
        examples = find_examples(loaded, options.input, n, options.dataset, options.data_dir, stages)
        count = min(n or examples.count, examples.count)
        check_room(loaded, ROWS * count, "n", target.path, not picture)
        columns = min(options.columns or max(1, math.floor(math.sqrt(ROWS * count))), count)
        grid = Grid.of(loaded.spec.shape, ROWS * columns * math.ceil(count / columns), columns, options.zoom)
        if picture:
            grid.check("out=FOLDER")
        done = _filled(loaded, options, examples, masks, count, stages)
        with writing(target.path):
            made = (_save_grid(target.path, done, grid) if picture
                    else save_named(target.path, ((names, y) for names, _, _, y in done)))
    return Report(made, examples.origin, [target.path], [*examples.notes, *examples.left_out()])


def _filled(loaded: Loaded, options: InpaintOptions, examples: Examples, masks: Masks, count: int, stages: Stages) -> Filled:
    """Yield images with their holes filled, so many at most, and show how far it is."""
    total = 0
    for part in examples.parts(options.batch_size):
        x = part.x[:count - total].float()
        mask = masks(total, total + len(x))
        names = part.names if options.input is not None else [name.zfill(6) for name in part.names]
        yield names[:len(x)], x, mask, loaded.inpaint(x, mask, options.batch_size)
        total += len(x)
        stages.told("filling", total, count)
        if total == count:
            return


def _save_grid(path: Path, done: Filled, grid: Grid) -> int:
    """Write one picture: a row of images, the same with holes below it, and filled; then the next row of each."""
    parts = [(x, torch.where(mask > 0, HOLE, x), y) for _, x, mask, y in done]
    rows = [torch.cat(images) for images in zip(*parts, strict=True)]
    count = len(rows[0])
    missing = -count % grid.columns  # of the last rows
    rows = [torch.cat((images, images.new_ones(missing, *images.shape[1:]))) for images in rows]
    save_png(path, grid.draw(pictures_of([interleave_rows(grid.columns, *rows)])))
    return count
