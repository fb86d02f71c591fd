"""What `gan sample` and `gan interpolate` do with a composed configuration.

Legend: N images, C channels, H height, W width, K points of a path, M images on it, Z latent size.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gancli.errors import UserError
from gancli.explore.labels import blend, class_indices, spread
from gancli.explore.loaded import Loaded, load
from gancli.explore.options import InterpolateOptions, SampleOptions
from gancli.explore.targets import FOLDER, choose_target, default_target
from gancli.explore.writing import save_folder, save_npz
from gancli.monitor.grids import (
    Picture,
    grid_size,
    picture_grid,
    preview_zoom,
    save_gif,
    save_mp4,
    save_png,
    scatter,
    scatter_limits,
    to_pictures,
)
from gancli.options import typed
from gancli.runs.checkpoint import kimg_name
from gancli.runs.files import CHECKPOINTS
from gancli.runs.find import OUTPUTS

PADDING = 2
MAX_GRID_PIXELS = 10**8
STEPS, ANIMATION_STEPS = 10, 30
MAX_FRAME_SIDE = 4096  # what players of H.264 commonly take


def sample(values: Mapping[str, Any]) -> list[Path]:
    """Draw images as conf/sample.yaml describes and return what was written.

    Raises:
        UserError: nothing has been written, unless the disk became full.
    """
    options = typed(SampleOptions, values, "")
    target = choose_target(options.out, (".png", ".npz"), options.overwrite)
    loaded = load(options.ckpt, options.device, options.weights)
    chosen = class_indices(options.label, loaded.model, loaded.name)
    if chosen is None and loaded.model.needs.labels:
        chosen = list(range(len(loaded.spec.classes)))
    labels = None if chosen is None else spread(options.n, chosen)
    path, kind = target or (_default(loaded, "sample", options.seed), ".png")
    _refuse_points(loaded, path, kind, (".png", ".npz"))

    batches = loaded.sample_batches(options.n, options.seed, labels, options.batch_size)
    with _writing(path):
        if kind == ".npz":
            latents = (loaded.latents(min(options.batch_size, options.n - start), options.seed, start)
                       for start in range(0, options.n, options.batch_size))
            save_npz(path, batches, latents, options.n, options.seed)
        elif kind == FOLDER:
            save_folder(path, batches, options.n, loaded.spec.classes)
        else:
            save_png(path, _sample_picture(loaded, options, labels, batches))
    return [path]


def interpolate(values: Mapping[str, Any]) -> list[Path]:
    """Walk between latents as conf/interpolate.yaml describes and return what was written.

    Raises:
        UserError: nothing has been written, unless the disk became full.
    """
    options = typed(InterpolateOptions, values, "")
    target = choose_target(options.out, (".png", ".gif", ".mp4"), options.overwrite)
    loaded = load(options.ckpt, options.device, options.weights)
    first_seed = options.seed if options.seeds is None else options.seeds[0]
    path, kind = target or (_default(loaded, "interpolate", first_seed), ".png")
    animated = kind in (".gif", ".mp4")
    _refuse_points(loaded, path, kind, (".gif", ".mp4"))
    steps = options.steps or (ANIMATION_STEPS if animated else STEPS)
    if kind != FOLDER:
        _check_interpolation(loaded, options, steps, animated)
    walks = [loaded.walk(points, weights, steps, options.path, options.loop)
             for points, weights in _paths(loaded, options)]

    with _writing(path):
        if animated:
            frames = _frames(loaded, walks, options)
            save_gif(path, frames, options.fps) if kind == ".gif" else save_mp4(path, frames, options.fps)
        elif kind == FOLDER:
            batches = ((None, None, loaded.generate(z, weights, options.batch_size)) for z, weights in walks)
            save_folder(path, batches, sum(len(z) for z, _ in walks))
        else:
            save_png(path, _walks_picture(loaded, walks, steps, options))
    return [path]


def _paths(loaded: Loaded, options: InterpolateOptions) -> list[tuple[Tensor, Tensor | None]]:
    """Return the points [K, Z] and label weights [K, classes] of each path."""
    chosen = class_indices(options.label, loaded.model, loaded.name)
    classes = len(loaded.spec.classes)
    if options.seeds is None:
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


def _sample_picture(loaded: Loaded, options: SampleOptions, labels: Tensor | None,
                    batches: Iterator[tuple[Tensor, Tensor | None, Tensor]]) -> Picture:
    """Return a grid of all images, one class a row where there are several; a plot of points."""
    if not loaded.spec.is_image:
        return scatter(torch.cat([x for _, _, x in batches]), size=512 * (options.zoom or 1))
    columns, cells = _arrange(options.n, labels, options.columns)
    _, height, width = loaded.spec.shape
    grid_height, grid_width = grid_size(height, width, max(cells) + 1, columns, PADDING)
    zoom = options.zoom or preview_zoom(grid_height, grid_width)
    _check_grid(options.n, grid_height * grid_width * zoom**2, "out=FOLDER or out=FILE.npz")
    pictures = torch.cat([torch.from_numpy(to_pictures(x)) for _, _, x in batches]).numpy()
    return picture_grid(pictures, columns, PADDING, zoom, cells=cells)


def _arrange(n: int, labels: Tensor | None, columns: int | None) -> tuple[int, list[int]]:
    """Return the columns of a grid and the cell of each image: every class begins a row where that fills the grid."""
    counts = [] if labels is None else torch.unique_consecutive(labels, return_counts=True)[1].tolist()
    if len(counts) < 2 or max(counts) == 1:
        return columns or math.ceil(math.sqrt(n)), list(range(n))
    columns = columns or max(counts)
    cells, row = [], 0
    for count in counts:
        cells += [row * columns + place for place in range(count)]
        row += math.ceil(count / columns)
    return columns, cells


def _walks_picture(loaded: Loaded, walks: Sequence[tuple[Tensor, Tensor | None]], steps: int,
                   options: InterpolateOptions) -> Picture:
    """Return one path a row; a single path of many points takes a row for each stretch, both of its ends shown."""
    pictures = [torch.from_numpy(to_pictures(loaded.generate(z, weights, options.batch_size))) for z, weights in walks]
    if len(pictures) == 1 and len(pictures[0]) > steps:
        path = torch.cat([pictures[0], pictures[0][:1]]) if options.loop else pictures[0]
        pictures = [path[start:start + steps] for start in range(0, len(path) - 1, steps - 1)]
    columns = len(pictures[0])
    rows = torch.cat(pictures).numpy()
    height, width = grid_size(*rows.shape[1:3], len(rows), columns, PADDING)
    return picture_grid(rows, columns, PADDING, options.zoom or preview_zoom(height, width))


def _frames(loaded: Loaded, walks: Sequence[tuple[Tensor, Tensor | None]],
            options: InterpolateOptions) -> Iterator[Picture]:
    """Yield the frames of an animation in which all paths advance together, in bounded memory."""
    if not loaded.spec.is_image:
        yield from _plots(loaded, walks, options)
        return
    columns = math.ceil(math.sqrt(len(walks)))
    height, width = grid_size(*loaded.spec.shape[1:], len(walks), columns, PADDING)
    zoom = options.zoom or preview_zoom(height, width)
    for z, weights in _by_frame(walks):
        pictures = to_pictures(loaded.generate(z, weights, options.batch_size))
        yield picture_grid(pictures, columns, PADDING, zoom)


def _plots(loaded: Loaded, walks: Sequence[tuple[Tensor, Tensor | None]],
           options: InterpolateOptions) -> Iterator[Picture]:
    """Yield plots of points that move along their paths, on axes that hold all of them."""
    points = torch.stack([loaded.generate(z, weights, options.batch_size) for z, weights in walks], 1)  # [M, paths, P]
    limits = scatter_limits(points.flatten(0, 1))
    for frame in points:
        yield scatter(frame, limits=limits, size=512 * (options.zoom or 1))


def _by_frame(walks: Sequence[tuple[Tensor, Tensor | None]]) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Yield the latents and label weights of all paths at each step."""
    for step in range(len(walks[0][0])):
        weights = None if walks[0][1] is None else torch.stack([weights[step] for _, weights in walks])
        yield torch.stack([z[step] for z, _ in walks]), weights


def _check_grid(images: int, pixels: int, instead: str) -> None:
    """Raise a UserError for a picture that is too large to be looked at."""
    if pixels > MAX_GRID_PIXELS:
        raise UserError(f"A grid of {images:,} images has {pixels / 1e6:,.0f} million pixels, which few programs open: "
                        f"give {instead}, or a smaller n or zoom.")


def _check_interpolation(loaded: Loaded, options: InterpolateOptions, steps: int, framed: bool) -> None:
    """Raise a UserError for a grid or frames (one image a path) that are too large, before anything is computed."""
    if not loaded.spec.is_image:
        return
    paths, points = (options.n, 2) if options.seeds is None else (1, len(options.seeds))
    height, width = grid_size(*loaded.spec.shape[1:], paths, math.ceil(math.sqrt(paths)), PADDING)
    zoom = options.zoom or preview_zoom(height, width)
    if framed and max(height, width) * zoom > MAX_FRAME_SIDE:
        raise UserError(f"A frame of {paths:,} paths has {width * zoom} x {height * zoom} pixels: give n or zoom "
                        f"smaller, so that its sides are at most {MAX_FRAME_SIDE}.")
    images = paths * (points - 1 + options.loop) * steps
    if not framed:
        cell = (loaded.spec.shape[1] + PADDING) * (loaded.spec.shape[2] + PADDING)
        _check_grid(images, images * cell * (options.zoom or 1) ** 2, "fewer steps")


def _default(loaded: Loaded, command: str, seed: int) -> Path:
    """Return outputs/<command>/<run>-<kimg>-seed<seed>.png, with a number behind it if that exists."""
    parent = loaded.path.absolute().parent
    run = parent.parent if parent.name == CHECKPOINTS else None
    if run is None:
        stem = loaded.path.stem
    else:
        sweep = f"{run.parent.name}-" if run.parent.parent.name == "sweep" else ""
        stem = f"{sweep}{run.name}-{kimg_name(loaded.images)}"
    return default_target(Path(OUTPUTS) / command, f"{stem}-seed{seed}", ".png")


def _refuse_points(loaded: Loaded, path: Path, kind: str, able: Sequence[str]) -> None:
    if not loaded.spec.is_image and kind not in able:
        raise UserError(f"This model makes points, of which {path} can hold no pictures: "
                        f"end out= in {' or '.join(able)}.")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn a full disk or a folder that cannot be made into a UserError."""
    try:
        yield
    except OSError as error:
        raise UserError(f"Writing {path} failed: {error.strerror or error}.") from None
