"""`gan traverse`: one factor of the latents at a time, everything else left as it is.

Legend: M values of a factor, S seeds, H height, W width.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gancli.errors import UserError, check_choice, check_range
from gancli.explore.animations import ANIMATED, Walk, check_frames, frames, save_animation
from gancli.explore.directions import METHODS
from gancli.explore.factors import Factor, Moves, read_factor, read_values
from gancli.explore.labels import blend, class_indices
from gancli.explore.layout import Grid, pictures_of
from gancli.explore.loaded import Loaded, load
from gancli.explore.options import PictureOptions
from gancli.explore.room import check_room
from gancli.explore.targets import FOLDER, checkpoint_stem, choose_target, default_target, refuse_kind
from gancli.explore.writing import save_folder, writing
from gancli.monitor.grids import save_png
from gancli.options import typed

STEPS, ANIMATION_STEPS = 9, 31  # odd: the middle one is the image as it is, where a range is symmetric


@dataclass
class TraverseOptions(PictureOptions):
    """Which factor `gan traverse` moves; the defaults stand in conf/traverse.yaml."""

    factor: Any  # a code's name, z:N or pc:N; None: the first code, else the first principal direction
    method: str  # one of METHODS
    range: Any  # [low, high], or a number for both sides of 0
    steps: int | None
    seeds: list[int]  # whose first images are moved
    label: Any  # a class, a list of classes, one a seed, or None for the classes in turn
    loop: bool
    fps: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("method", self.method, METHODS)
        check_range("steps", self.steps, 2)
        check_range("fps", self.fps, 0.5, 50)
        if not self.seeds:
            raise ValueError("seeds=[] names no image: give seeds=[0,1,2]")
        for seed in self.seeds:
            check_range("seed", seed, 0)


def traverse(values: Mapping[str, Any]) -> list[Path]:
    """Move one factor as conf/traverse.yaml describes and return what was written.

    Raises:
        UserError: nothing has been written, unless the disk became full.
    """
    options = typed(TraverseOptions, values, "")
    chosen = choose_target(options.out, (".png", *ANIMATED), options.overwrite)
    loaded = load(options.ckpt, options.device, options.weights)
    factor = read_factor(options.factor, loaded)
    target = chosen or default_target("traverse", f"{checkpoint_stem(loaded)}-{factor.stem}", ".png")
    refuse_kind(loaded, target, ANIMATED if loaded.spec.kind == "points" else ())
    animated = target.kind in ANIMATED
    moved = read_values(factor, options.range, options.steps, ANIMATION_STEPS if animated else STEPS, loaded)
    if animated:
        check_frames(loaded, len(options.seeds), options.zoom)
    count = len(options.seeds) * len(moved)
    grid = Grid.of(loaded.spec.shape, count, len(moved), options.zoom) if target.kind == ".png" else None
    if grid is not None:
        grid.check("fewer steps or seeds")
    check_room(loaded, count, "steps", target.path, target.kind == FOLDER)
    moves, walks = _walks(loaded, options, factor, moved)

    with writing(target.path):
        if animated:
            save_animation(target, frames(loaded, _back(walks) if options.loop else walks, options.zoom, options.batch_size,
                                          moves.make), options.fps)
            return [target.path]
        batches = chain.from_iterable(_batches(moves, walk, options.batch_size) for walk in walks)
        if grid is None:
            save_folder(target.path, batches, count)
        else:
            save_png(target.path, grid.draw(pictures_of(batches)))
    return [target.path]


def _walks(loaded: Loaded, options: TraverseOptions, factor: Factor, values: Tensor) -> tuple[Moves, list[Walk]]:
    """Return the latents [M, Z] and label weights [M, classes] of each seed's row, and what makes images of them."""
    labels = _labels(loaded, options)
    moves = Moves(factor, values, options.method, loaded, None if labels is None else labels[0])
    walks = []
    for row, seed in enumerate(options.seeds):
        weights = None if labels is None else labels[row:row + 1]
        kept = None if weights is None or moves.styled else weights.expand(len(values), -1)  # styles know their label
        walks.append((moves.of(loaded.latents(1, seed), weights), kept))
    return moves, walks


def _labels(loaded: Loaded, options: TraverseOptions) -> Tensor | None:
    """Return the label weights of the seeds, [S, classes]; None where the model takes no labels."""
    given = class_indices(options.label, loaded.model, loaded.name)
    if not loaded.model.needs.labels:
        return None
    count, classes = len(options.seeds), len(loaded.spec.classes)
    given = [row % classes for row in range(count)] if given is None else given * count if len(given) == 1 else given
    if len(given) != count:
        raise UserError(f"label= names {len(given)} classes for {count} seeds: give one class, or one for each seed.")
    return blend(torch.tensor(given), classes)


def _batches(moves: Moves, walk: Walk, batch_size: int) -> list[Tensor]:
    z, weights = walk
    return [moves.make(z, weights, batch_size)]


def _back(walks: list[Walk]) -> list[Walk]:
    """Return walks that go back again, neither end shown twice."""
    return [(torch.cat((z, z[1:-1].flip(0))), None if weights is None else torch.cat((weights, weights[1:-1])))
            for z, weights in walks]
