"""`gan traverse`: one factor of the latents, or the label, at a time, everything else left as it is.

Legend: M values of a factor, S rows, K classes, H height, W width.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gancli.errors import UsageError, check_choice, check_range
from gancli.explore.animations import ANIMATED, Walk, check_frames, frames, save_animation
from gancli.explore.dataset import DatasetPlace
from gancli.explore.directions import METHODS
from gancli.explore.factors import Factor, Moves, read_factor, read_labels, read_values
from gancli.explore.labels import class_indices, in_order
from gancli.explore.layout import Grid
from gancli.explore.loaded import Loaded, load
from gancli.explore.options import PictureOptions
from gancli.explore.room import check_room
from gancli.explore.rows import Rows, rows_of_examples, rows_of_seeds
from gancli.explore.targets import FOLDER, checkpoint_stem, choose_target, default_target, refuse_kind
from gancli.explore.writing import save_folder, writing
from gancli.monitor.grids import Picture, save_png, to_pictures
from gancli.options import typed

STEPS, ANIMATION_STEPS = 9, 31  # odd: the middle one is the image as it is, where a range is symmetric


@dataclass
class TraverseOptions(PictureOptions):
    """Which factor `gan traverse` moves; the defaults stand in conf/traverse.yaml."""

    factor: Any  # a code's name, z:N, pc:N or label; None: the first code, else the first principal direction
    method: str  # one of METHODS
    range: Any  # [low, high], or a number for both sides of 0
    steps: int | None
    seeds: list[int] | None  # whose first images are moved; None: examples of the run's data, where no input is given
    input: Any  # a folder, a file or a list of files to encode and move in place of seeds
    n: int  # examples at most
    label: Any  # a class or one a row, None for the classes in turn; of factor=label the classes shown, None for all
    loop: bool
    fps: float
    data_dir: str | None
    dataset: DatasetPlace

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("method", self.method, METHODS)
        check_range("steps", self.steps, 2)
        check_range("fps", self.fps, 0.5, 50)
        check_range("n", self.n, 1)
        if not isinstance(self.input, (str, list, tuple, type(None))):
            raise ValueError(f"input={self.input} is no path: give a folder, a file or a list of files")
        if self.seeds == []:
            raise ValueError("seeds=[] names no image: give seeds=[0,1,2]")
        for seed in self.seeds or []:
            check_range("seed", seed, 0)


@dataclass
class Traversed:
    """What was written."""

    files: list[Path]
    notes: list[str] = field(default_factory=list)


def traverse(values: Mapping[str, Any], command: str = "traverse") -> Traversed:
    """Move one factor as conf/traverse.yaml describes and return what was written.

    Args:
        command: under whose name results go where out= names no place.

    Raises:
        UserError: nothing has been written, unless the disk became full.
    """
    options = typed(TraverseOptions, values, "")
    chosen = choose_target(options.out, (".png", *ANIMATED), options.overwrite)
    loaded = load(options.ckpt, options.device, options.weights)
    factor = read_factor(options.factor, loaded)
    target = chosen or default_target(command, f"{checkpoint_stem(loaded)}-{factor.stem}", ".png")
    refuse_kind(loaded, target, ANIMATED if loaded.spec.kind == "points" else ())
    animated = target.kind in ANIMATED
    classes = class_indices(options.label, loaded.model, loaded.name)
    order = in_order(loaded.spec.classes) if classes is None else classes
    moved = _values(factor, options, order, animated, loaded)
    rows = _rows(loaded, options, factor, classes)
    if animated:
        check_frames(loaded, len(rows), options.zoom)
    count, columns = len(rows) * len(moved), len(moved) + (rows.shown is not None)
    grid = Grid.of(loaded.spec.shape, len(rows) * columns, columns, options.zoom) if target.kind == ".png" else None
    if grid is not None:
        grid.check("fewer steps or seeds")
    check_room(loaded, count, "steps", target.path, target.kind == FOLDER)
    moves = Moves(factor, moved, options.method, loaded, None if rows.weights is None else rows.weights[0])
    walks = [moves.walk(rows.z[row:row + 1], None if rows.weights is None else rows.weights[row:row + 1])
             for row in range(len(rows))]

    names = [loaded.spec.classes[each] for each in order] if factor.is_label and options.steps is None else None
    with writing(target.path):
        if animated:
            save_animation(target, frames(loaded, _back(walks) if options.loop else walks, options.zoom, options.batch_size,
                                          moves.make), options.fps)
        elif grid is None:
            save_folder(target.path, (moves.make(*walk, options.batch_size) for walk in walks), count,
                        None if names is None else names * len(rows), 1 if names is None else len(names))
        else:
            save_png(target.path, grid.draw(np.concatenate(list(_pictures(rows, moves, walks, options.batch_size)))))
    notes = list(rows.notes)
    if names is not None and grid is not None:
        notes.append(f"Columns: {'the image, then ' if rows.shown is not None else ''}{', '.join(names)}.")
    return Traversed([target.path], notes)


def _values(factor: Factor, options: TraverseOptions, order: list[int], animated: bool, loaded: Loaded) -> Tensor:
    """Return the values [M] that the factor takes, or label weights [M, K]."""
    if not factor.is_label:
        return read_values(factor, options.range, options.steps, ANIMATION_STEPS if animated else STEPS, loaded)
    if options.range is not None:
        raise UsageError("factor=label takes classes and no numbers: give label=[NAME,NAME] in place of range=.")
    return read_labels(order, options.steps or (ANIMATION_STEPS if animated else None), len(loaded.spec.classes))


def _rows(loaded: Loaded, options: TraverseOptions, factor: Factor, classes: list[int] | None) -> Rows:
    """Return what is moved, with labels where the model is told any that are not themselves what changes."""
    told = loaded.model.needs.labels and not factor.is_label
    classes = None if factor.is_label else classes
    if options.input is None and options.seeds is not None:
        return rows_of_seeds(loaded, options.seeds, classes, told)
    return rows_of_examples(loaded, options.input, options.n, options.dataset, options.data_dir, classes, told,
                            options.batch_size)


def _pictures(rows: Rows, moves: Moves, walks: list[Walk], batch_size: int) -> Iterator[Picture]:
    """Yield the pictures of the grid, row by row: the example, where there is one, and what is made of it."""
    for row, walk in enumerate(walks):
        if rows.shown is not None:
            yield rows.shown[row:row + 1]
        yield to_pictures(moves.make(*walk, batch_size))


def _back(walks: list[Walk]) -> list[Walk]:
    """Return walks that go back again, neither end shown twice."""
    return [(torch.cat((z, z[1:-1].flip(0))), None if weights is None else torch.cat((weights, weights[1:-1].flip(0))))
            for z, weights in walks]
