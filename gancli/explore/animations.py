"""GIF and MP4 files in which several paths through latent space advance together.

Legend: M images on a path, P coordinates of a point, Z latent size (any shape).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor

from gancli.errors import UserError
from gancli.explore.layout import Grid
from gancli.explore.loaded import Loaded
from gancli.explore.targets import Target
from gancli.monitor.grids import Picture, save_gif, save_mp4, scatter, scatter_limits, to_pictures

ANIMATED = (".gif", ".mp4")
MAX_SIDE = 4096  # what players of H.264 commonly take
Walk = tuple[Tensor, Tensor | None]  # latents [M, Z] and label weights [M, classes]
Make = Callable[[Tensor, Tensor | None, int], Tensor]  # examples of latents, label weights and a batch's size


def check_frames(loaded: Loaded, paths: int, zoom: int | None) -> None:
    """Raise a UserError for frames of `paths` images that are too large, before anything is computed."""
    if not loaded.spec.is_image:
        return
    grid = Grid.of(loaded.spec.shape, paths, zoom=zoom)
    if max(grid.height, grid.width) > MAX_SIDE:
        raise UserError(f"A frame of {paths:,} paths has {grid.width} x {grid.height} pixels: give n or zoom "
                        f"smaller, so that its sides are at most {MAX_SIDE}.")


def save_animation(target: Target, frames: Iterable[Picture], fps: float) -> None:
    """Write frames as the target's ending says."""
    save = save_gif if target.kind == ".gif" else save_mp4
    save(target.path, frames, fps)


def frames(loaded: Loaded, walks: Sequence[Walk], zoom: int | None, batch_size: int,
           make: Make | None = None) -> Iterator[Picture]:
    """Yield the frames of walks of one length, a grid or a plot of points each, images in bounded memory.

    Args:
        make: examples of what the walks hold; None: it is latents.
    """
    make = make or loaded.generate
    if not loaded.spec.is_image:
        yield from _plots(make, walks, zoom, batch_size)
        return
    grid = Grid.of(loaded.spec.shape, len(walks), zoom=zoom)
    for z, weights in _by_frame(walks):
        yield grid.draw(to_pictures(make(z, weights, batch_size)))


def _plots(make: Make, walks: Sequence[Walk], zoom: int | None, batch_size: int) -> Iterator[Picture]:
    """Yield plots of points that move along their paths, on axes that hold all of them."""
    points = torch.stack([make(z, weights, batch_size) for z, weights in walks], 1)  # [M, paths, P]
    limits = scatter_limits(points.flatten(0, 1))
    for frame in points:
        yield scatter(frame, limits=limits, size=512 * (zoom or 1))


def _by_frame(walks: Sequence[Walk]) -> Iterator[Walk]:
    """Yield the latents and label weights of all paths at each step."""
    for step in range(len(walks[0][0])):
        weights = None if walks[0][1] is None else torch.stack([weights[step] for _, weights in walks])
        yield torch.stack([z[step] for z, _ in walks]), weights
