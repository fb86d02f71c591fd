"""`gan interpolate`: walks between latents.

Legend: N images, H height, W width, K points of a path, M images on it, Z latent size (any shape).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gancli.errors import UserError, check_choice, check_range
from gancli.explore.animations import ANIMATED, Walk, check_frames, frames, save_animation
from gancli.explore.found_latents import Points, read_points
from gancli.explore.labels import blend, class_indices
from gancli.explore.layout import Grid, pictures_of
from gancli.explore.loaded import Loaded, load
from gancli.explore.options import StyleOptions
from gancli.explore.room import check_room
from gancli.explore.styles import require_styles, with_changed_styles, with_styles_for_latents
from gancli.explore.targets import FOLDER, checkpoint_stem, choose_target, default_target, refuse_kind
from gancli.explore.walks import PATHS
from gancli.explore.writing import save_folder, writing
from gancli.monitor.grids import Picture, save_png
from gancli.options import typed

STEPS, ANIMATION_STEPS = 10, 30
SPACES = ("z", "w")


@dataclass
class InterpolateOptions(StyleOptions):
    """Which path `gan interpolate` walks; the defaults stand in conf/interpolate.yaml."""

    seeds: list[int] | None  # points of one path; None for n paths of two points each
    latents: str | None  # an archive, whose latents or styles are the points of one path
    n: int
    seed: int
    steps: int | None  # images from one point to the next, both included
    space: str  # one of SPACES
    path: str | None  # one of PATHS; None: spherical between latents, linear between styles
    loop: bool
    label: Any  # a class, a list of classes to blend from point to point, or None
    fps: float

    def __post_init__(self) -> None:
        super().__post_init__()
        for seed in [self.seed, *(self.seeds or [])]:
            check_range("seed", seed, 0)
        check_range("n", self.n, 1)
        check_range("steps", self.steps, 2)
        check_range("fps", self.fps, 0.5, 50)
        check_choice("space", self.space, SPACES)
        if self.path is not None:
            check_choice("path", self.path, PATHS)
        if self.latents is not None and self.seeds is not None:
            raise ValueError("seeds= and latents= both say which points a path has: give one of them")
        labels = len(self.label) if isinstance(self.label, list) else 1
        if self.seeds is not None and (not self.seeds or max(len(self.seeds), labels) < 2):
            raise ValueError("seeds needs two points or more, or one and several labels: give seeds=[0,1]")


def interpolate(values: Mapping[str, Any]) -> list[Path]:
    """Walk between latents as conf/interpolate.yaml describes and return what was written.

    Raises:
        UserError: nothing has been written, unless the disk became full.
    """
    options = typed(InterpolateOptions, values, "")
    chosen = choose_target(options.out, (".png", *ANIMATED), options.overwrite)
    loaded = with_changed_styles(load(options.ckpt, options.device, options.weights), options)
    if options.space == "w":
        require_styles(loaded, "space=w")
    found = None if options.latents is None else _found(loaded, options, options.latents)
    first = "latents" if found is not None else f"seed{options.seed if options.seeds is None else options.seeds[0]}"
    if found is not None:
        options.seeds = list(range(len(found.points)))  # so many points of one path
    target = chosen or default_target("interpolate", f"{checkpoint_stem(loaded)}-{first}", ".png")
    refuse_kind(loaded, target, ANIMATED if loaded.spec.kind == "points" else ())
    steps = options.steps or (ANIMATION_STEPS if target.kind in ANIMATED else STEPS)
    if target.kind in ANIMATED:
        check_frames(loaded, options.n if options.seeds is None else 1, options.zoom)
    grid = _grid(loaded, options, steps) if target.kind == ".png" else None
    check_room(loaded, _examples(options, steps), "steps", target.path, target.kind == FOLDER)
    paths, path = _paths(loaded, options, found), options.path or "spherical"
    if options.space == "w":
        if found is None or found.space == "z":
            paths = [(loaded.styles(*each), None) for each in paths]
        path = options.path or "linear"
        loaded = with_styles_for_latents(loaded, options)
    walks = [loaded.walk(points, weights, steps, path, options.loop) for points, weights in paths]

    with writing(target.path):
        if target.kind in ANIMATED:
            save_animation(target, frames(loaded, walks, options.zoom, options.batch_size), options.fps)
        elif target.kind == FOLDER:
            batches = (loaded.generate_batches(*walk, options.batch_size) for walk in walks)
            save_folder(target.path, chain.from_iterable(batches), sum(len(z) for z, _ in walks))
        else:
            save_png(target.path, grid.draw(_rows(loaded, options, walks, grid.columns)))
    return [target.path]


def _examples(options: InterpolateOptions, steps: int) -> int:
    """Return how many examples all paths have together, at most."""
    if options.seeds is None:
        return options.n * 2 * steps
    return max(len(options.seeds), len(options.label) if isinstance(options.label, list) else 1) * steps


def _grid(loaded: Loaded, options: InterpolateOptions, steps: int) -> Grid:
    """Lay out a path a row; a single path of many points takes a row for each stretch, both of its ends shown.

    Raises:
        UserError: it would be too large; nothing has been computed yet.
    """
    if options.seeds is None:
        paths, points = options.n, 2
    else:
        paths, points = 1, max(len(options.seeds), len(options.label) if isinstance(options.label, list) else 1)
    stretches = points - 1 + options.loop
    length = stretches * (steps - 1) + (not options.loop)
    rows, columns = (stretches, steps) if paths == 1 and length > steps else (paths, length)
    grid = Grid.of(loaded.spec.shape, rows * columns, columns, options.zoom)
    grid.check("fewer steps")
    return grid


def _found(loaded: Loaded, options: InterpolateOptions, archive: str) -> Points:
    """Return the points of an archive; those that are styles are walked between in their space."""
    found = read_points(archive, loaded)
    if len(found.points) < 2:
        raise UserError(f"{archive} holds one point and a path needs two: give an archive of several.")
    if found.space != "z":
        options.space = "w"
    return found


def _paths(loaded: Loaded, options: InterpolateOptions, found: Points | None) -> list[tuple[Tensor, Tensor | None]]:
    """Return the points [K, Z] and label weights [K, classes] of each path."""
    if found is not None and found.space != "z":
        return [(found.points, None)]
    chosen = class_indices(options.label, loaded.model, loaded.name)
    classes = len(loaded.spec.classes)
    if found is not None:
        points = [found.points]
        chosen = found.labels.tolist() if chosen is None and found.labels is not None else chosen
    elif options.seeds is None:
        points = list(loaded.latents(2 * options.n, options.seed).split(2))
    else:
        points = [torch.cat([loaded.latents(1, seed) for seed in options.seeds])]
    if not loaded.model.needs.labels:
        return [(each, None) for each in points]
    paths = []
    for row, each in enumerate(points):
        ends = [row % classes] if chosen is None else chosen
        count = max(len(each), len(ends))
        if 1 not in (len(each), len(ends)) and len(each) != len(ends):
            raise UserError(f"label= names {len(ends)} classes for the {len(each)} points of a path: give one class, "
                            "or one for each point.")
        labels = torch.tensor(ends).expand(count) if len(ends) == 1 else torch.tensor(ends)
        paths.append((each.expand(count, *each.shape[1:]), blend(labels, classes)))
    return paths


def _rows(loaded: Loaded, options: InterpolateOptions, walks: Sequence[Walk], columns: int) -> Picture:
    """Return the images of all walks as pictures [N, H, W, 1 or 3], `columns` of them a row."""
    pictures = [pictures_of(loaded.generate_batches(*walk, options.batch_size)) for walk in walks]
    if len(pictures) == 1 and len(pictures[0]) > columns:
        path = np.concatenate([pictures[0], pictures[0][:1]]) if options.loop else pictures[0]
        pictures = [path[start:start + columns] for start in range(0, len(path) - 1, columns - 1)]
    return np.concatenate(pictures)
