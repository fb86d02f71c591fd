"""Sliced Wasserstein distance (Rabin 2012): the mean over directions of the distance between projections.

Points are projected as they are.  Images give 7x7 patches of every level of a Laplacian pyramid (Karras 2018, section 5):
each level tells how alike the sets are at one scale, from coarse shapes to pixels.

Legend: N images, C channels, H height, W width, L descriptors, D numbers in one, K directions, P coordinates.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gancli.metrics.measures.pyramid import laplacian_pyramid
from gancli.seeds import mix

PATCH = 7  # pixels a side
COARSEST = 12  # pixels, the least smaller side of a level: 16 for powers of two, as in the paper, and 14 for 28
GRAY_LEVEL = 1 / 127.5  # a spread below it is no spread


class LevelReference(NamedTuple):
    """What is kept of the real patches of one level."""

    mean: Tensor  # [C, 1, 1]
    std: Tensor  # [C, 1, 1]
    directions: Tensor  # [D, K], of unit length
    projections: Tensor  # [K, L], each row in order


class ImageDistance(NamedTuple):
    """The distance at each level, finest first, times 1000 as Karras 2018 prints it, and their mean."""

    mean: float
    levels: list[float]


def patches_per_image(images: int, budget: int) -> int:
    """Return how many patches to draw of each of so many images, at least 1, to get about `budget` in all."""
    return max(1, round(budget / images))


def draw_patches(images: Tensor, per_image: int, seed: int) -> list[Tensor]:
    """Return patches [N * per_image, C, 7, 7] at random places of images [N, C, H, W] in [-1, 1], for each level.

    Karras draws 128 of each of 16,384 images.  Batches are joined level by level with `torch.cat`; give each batch a seed
    of its own.
    """
    levels = []
    for number, level in enumerate(laplacian_pyramid(images.float(), COARSEST)):
        n, _, height, width = level.shape
        tall, wide = min(PATCH, height), min(PATCH, width)
        random = torch.Generator().manual_seed(mix(seed, number))
        tops = torch.randint(height - tall + 1, (n * per_image,), generator=random).to(level.device)
        lefts = torch.randint(width - wide + 1, (n * per_image,), generator=random).to(level.device)
        rows = torch.arange(n, device=level.device).repeat_interleave(per_image)
        windows = level.unfold(2, tall, 1).unfold(3, wide, 1)  # [N, C, h, w, 7, 7], a view
        levels.append(windows[rows, :, tops, lefts])
    return levels


def reference_of(patches: list[Tensor], directions: int, seed: int) -> list[LevelReference]:
    """Return what `image_distance` needs of the real patches of every level, small enough to be cached."""
    levels = []
    for number, level in enumerate(patches):
        mean, std = level.mean((0, 2, 3))[:, None, None], level.std((0, 2, 3))[:, None, None].clamp_min(GRAY_LEVEL)
        unit = random_directions(level[0].numel(), directions, mix(seed, number)).to(level.device)
        levels.append(LevelReference(mean, std, unit, ordered_projections(((level - mean) / std).flatten(1), unit)))
    return levels


def image_distance(reference: list[LevelReference], patches: list[Tensor]) -> ImageDistance:
    """Return the distance of generated patches from the real ones, in real standard deviations x 1000.

    Both sets are brought to the real set's mean and spread of each channel.  The paper's code brings each to its own,
    which hides wrong colors and contrast, and divides by 0 when all samples are one gray.
    """
    values = []
    for real, level in zip(reference, patches, strict=True):
        scaled = ((level - real.mean) / real.std).flatten(1)
        cost = transport_cost(real.projections, ordered_projections(scaled, real.directions), order=1)
        values.append(1000 * cost.mean().item())
    return ImageDistance(sum(values) / len(values), values)


def sliced_points(real: Tensor, generated: Tensor, directions: int, seed: int, order: int = 2) -> float:
    """Return the sliced W_order of points [N, P] and [M, P], in the points' unit (Rabin 2012).

    On the line there is one direction, and the distance is the exact W_order.
    """
    unit = random_directions(real.shape[1], directions, seed).to(real.device)
    cost = transport_cost(ordered_projections(real.float(), unit), ordered_projections(generated.float(), unit), order)
    return cost.mean().item() ** (1 / order)


def random_directions(size: int, directions: int, seed: int) -> Tensor:
    """Return directions [D, K], uniform on the sphere; the only one there is where D is 1."""
    if size == 1:
        return torch.ones(1, 1)
    drawn = torch.randn(size, directions, generator=torch.Generator().manual_seed(seed))
    return drawn / drawn.norm(dim=0)


def ordered_projections(x: Tensor, directions: Tensor) -> Tensor:
    """Return x [L, D] projected on directions [D, K] as [K, L], each row in order."""
    projections = (x @ directions).T.contiguous()
    if projections.device.type == "cpu":  # numpy sorts floats four times as fast
        return torch.from_numpy(np.sort(projections.numpy(), axis=1))
    return projections.sort(dim=1).values


def transport_cost(a: Tensor, b: Tensor, order: int) -> Tensor:
    """Return W_order^order [K] between the rows of a [K, L] and b [K, M], which are in order."""
    n, m = a.shape[1], b.shape[1]
    if n == m:
        return (a - b).abs().pow(order).mean(1)
    steps = torch.cat([torch.arange(1, n + 1) * m, torch.arange(1, m + 1) * n]).unique()  # of both quantile functions
    shares = torch.diff(steps, prepend=steps.new_zeros(1)).to(a.device, a.dtype) / (n * m)
    first, second = ((steps - 1) // m).to(a.device), ((steps - 1) // n).to(a.device)
    return ((a[:, first] - b[:, second]).abs().pow(order) * shares).sum(1)
