"""Laplacian pyramid: an image as its details at every scale, of any size and shape (Burt & Adelson 1983).

Legend: N images, C channels, H height, W width.
"""

import torch
from torch import Tensor

BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)  # their kernel for a = 3/8, which Karras 2018 takes


def laplacian_pyramid(images: Tensor, coarsest: int) -> list[Tensor]:
    """Return the levels [N, C, H / 2^i, W / 2^i] (rounded up), finest first, of images [N, C, H, W].

    The last level is the small image that is left; its smaller side is at least `coarsest`, and it is the image itself
    where that is smaller already.  Adding each level to the enlarged sum of those after it gives the image back.
    """
    levels = []
    while (min(images.shape[2:]) + 1) // 2 >= coarsest:
        half = halved(halved(images, 2), 3)
        levels.append(images - doubled(doubled(half, 2, images.shape[2]), 3, images.shape[3]))
        images = half
    return [*levels, images]


def halved(x: Tensor, dim: int) -> Tensor:
    """Return every second value of x, smoothed along `dim`; borders are mirrored.

    Sums of slices are four times as fast on a CPU as a convolution of one channel each.
    """
    size = x.shape[dim]
    before, after = x.narrow(dim, 1, 2).flip(dim), x.narrow(dim, size - 3, 2).flip(dim)
    padded = torch.cat([before, x, after], dim)
    return sum(weight * every_second(padded, dim, start, size) for start, weight in enumerate(BINOMIAL))


def every_second(x: Tensor, dim: int, start: int, size: int) -> Tensor:
    """Return x at start, start + 2, ..., below start + size along `dim`, as a view."""
    return x.narrow(dim, start, size)[(slice(None),) * dim + (slice(None, None, 2),)]


def doubled(x: Tensor, dim: int, size: int) -> Tensor:
    """Return x with zeros between its values up to `size`, smoothed along `dim` and scaled by 2; borders are mirrored."""
    length = x.shape[dim]
    mirrored_end = x.narrow(dim, length - 1 if size % 2 == 0 else length - 2, 1)
    padded = torch.cat([x.narrow(dim, 1, 1), x, mirrored_end], dim)
    left, middle, right = (padded.narrow(dim, start, length) for start in range(3))
    outer, inner, center = (2 * weight for weight in BINOMIAL[:3])
    pairs = torch.stack([outer * (left + right) + center * middle, inner * (middle + right)], dim + 1)
    return pairs.flatten(dim, dim + 1).narrow(dim, 0, size)
