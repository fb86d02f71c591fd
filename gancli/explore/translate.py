"""`gan translate`: images of one domain as another one would show them.

Legend: N images, C channels, H height, W width.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gancli.data.dataset import data_folder
from gancli.errors import UserError, check_range
from gancli.explore.dataset import DatasetPlace
from gancli.explore.examples import run_data
from gancli.explore.inputs import Inputs, find_inputs
from gancli.explore.layout import Grid, pictures_of
from gancli.explore.loaded import Loaded, load
from gancli.explore.options import PictureOptions
from gancli.explore.room import check_room
from gancli.explore.stages import Stages
from gancli.explore.targets import checkpoint_stem, choose_target, default_target
from gancli.explore.writing import save_named, writing
from gancli.game.abilities import able, refusal
from gancli.game.showcase import interleave_rows
from gancli.monitor.grids import save_png
from gancli.options import typed

SHOWN = 64  # images of a grid without n=
Translated = Iterator[tuple[list[str], Tensor, Tensor]]  # names, images [N, C, H, W] and their translations


@dataclass
class TranslateOptions(PictureOptions):
    """What `gan translate` translates; the defaults stand in conf/translate.yaml."""

    input: Any  # a folder, a file or a list of files; None: the run's held-out images
    to: str | None  # a domain; None: the last one that the model translates into
    n: int | None  # images at most; None: all, of a grid 64
    columns: int | None
    data_dir: str | None
    dataset: DatasetPlace

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("n", self.n, 1)
        check_range("columns", self.columns, 1)
        if not isinstance(self.input, (str, list, tuple, type(None))):
            raise ValueError(f"input={self.input} is no path: give a folder, a file or a list of files")


@dataclass
class Report:
    """What was translated."""

    count: int
    domain: str  # into which
    files: list[Path]  # a picture or a folder
    notes: list[str]


def translate(values: Mapping[str, Any]) -> Report:
    """Translate as conf/translate.yaml describes: a grid with every image above its translation, or one PNG an image.

    Raises:
        UserError: anything that is wrong is found before anything is written, unless the disk becomes full.
    """
    options = typed(TranslateOptions, values, "")
    chosen = choose_target(options.out, (".png",), options.overwrite)
    loaded = load(options.ckpt, options.device, options.weights)
    domain = _domain(loaded, options.to)
    target = chosen or default_target("translate", f"{checkpoint_stem(loaded)}-{domain}", "")
    with Stages() as stages:
        of_files = None if options.input is None else find_inputs(options.input, loaded)
        count, done, notes = (_of_files(loaded, options, domain, of_files) if of_files
                              else _of_data(loaded, options, domain, stages))
        count = min(options.n or (SHOWN if target.kind == ".png" else count), count)
        shown = _counted(done, count, stages)
        check_room(loaded, 2 * count, "n", target.path, target.kind != ".png")
        grid = _grid(loaded, options, count) if target.kind == ".png" else None
        with writing(target.path):
            made = (save_named(target.path, ((names, y) for names, _, y in shown)) if grid is None
                    else _save_grid(target.path, shown, grid, options))
    notes += of_files.notes() if of_files else []
    if not made:
        raise UserError(" ".join(["Nothing can be translated.", *notes]))
    return Report(made, domain, [target.path], notes)


def _domain(loaded: Loaded, to: str | None) -> str:
    """Return the domain that is made; a UserError where the model makes none, or not this one."""
    if not able(loaded.model, "translate"):
        raise UserError(refusal(loaded.name, "translate"))
    targets = loaded.model.targets
    if to is not None and to not in targets:
        raise UserError(f"to={to} is no domain that this model translates into: give to={' or '.join(targets)}.")
    return to or targets[-1]


def _of_files(loaded: Loaded, options: TranslateOptions, domain: str, files: Inputs) -> tuple[int, Translated, list[str]]:
    def translated() -> Translated:
        for entries, x in files.batches():
            yield [entry.name for entry in entries], x, loaded.translate(x, domain, options.batch_size)
    return len(files.entries), translated(), []


def _of_data(loaded: Loaded, options: TranslateOptions, domain: str, stages: Stages) -> tuple[int, Translated, list[str]]:
    """Return images of the other domain that the run was not trained on, else those of the part that is named."""
    held = run_data(loaded, options.dataset, data_folder(options.data_dir), options.dataset.split is None, stages)
    data, other = held.data, 1 - loaded.spec.domains.index(domain)

    def translated() -> Translated:
        for rows in torch.arange(data.counts[other]).split(options.batch_size):
            x = data.examples(rows, other).float().cpu()
            yield [f"{row:06d}" for row in rows.tolist()], x, loaded.translate(x, domain, options.batch_size)
    return data.counts[other], translated(), list(held.notes)


def _counted(done: Translated, count: int, stages: Stages) -> Translated:
    """Yield what is translated up to so many images, and show how far it is."""
    total = 0
    for names, x, y in done:
        left = count - total
        yield names[:left], x[:left], y[:left]
        total += len(names[:left])
        stages.told("translating", total, count)
        if total == count:
            return


def _grid(loaded: Loaded, options: TranslateOptions, count: int) -> Grid:
    columns = min(options.columns or max(1, math.floor(math.sqrt(2 * count))), count)
    grid = Grid.of(loaded.spec.shape, 2 * columns * math.ceil(count / columns), columns, options.zoom)
    grid.check("out=FOLDER")
    return grid


def _save_grid(path: Path, done: Translated, grid: Grid, options: TranslateOptions) -> int:
    """Write one picture: a row of images, their translations below it, and so on."""
    parts = [(x, y) for _, x, y in done]
    if not parts:
        return 0
    before, after = (torch.cat(images) for images in zip(*parts, strict=True))
    missing = -len(before) % grid.columns  # of the last rows
    if missing:
        before, after = (torch.cat((images, images.new_ones(missing, *images.shape[1:]))) for images in (before, after))
    save_png(path, grid.draw(pictures_of([interleave_rows(grid.columns, before, after)])))
    return len(before) - missing
