"""Histograms of oriented gradients that can be differentiated (Dalal & Triggs 2005; as an edge constraint, Zhu 2016).

Legend: N batch, C channels, H height, W width, K orientations, h, w cells.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d, pad

ORIENTATIONS = 8  # over half a turn: which side of an edge is the brighter one does not count (Zhu 2016's code)
CELLS = 8  # along the shorter side: its code has cells of 8 pixels in images of 64
TINY = 1e-8
LEVEL = 0.1  # of a cell's mean gradient, below which its histogram is not raised to unit length: noise in flat parts


def gradients(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the central differences to the right and down of the mean channel, [N, H, W] each; edges are repeated."""
    gray = pad(images.mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")[:, 0]
    return (gray[:, 1:-1, 2:] - gray[:, 1:-1, :-2]) / 2, (gray[:, 2:, 1:-1] - gray[:, :-2, 1:-1]) / 2


def oriented(right: Tensor, down: Tensor, orientations: int = ORIENTATIONS) -> Tensor:
    """Return the lengths of gradients [N, H, W] shared between the two nearest orientations, [N, K, H, W].

    Orientation k is the angle k pi / K of the gradient, of either sign; shares fall linearly with the angle between.
    """
    length = (right.square() + down.square() + TINY).sqrt()
    flat = (right == 0) & (down == 0)  # no direction, and none of arctan's infinite slopes
    angle = torch.atan2(torch.where(flat, 0.0, down), torch.where(flat, 1.0, right)) * (orientations / math.pi)
    places = torch.arange(orientations, device=right.device).view(1, -1, 1, 1)
    apart = (angle[:, None] - places).remainder(orientations)
    share = (1 - torch.minimum(apart, orientations - apart)).clamp_min(0)
    return torch.where(flat, 0.0, length)[:, None] * share


def histograms(images: Tensor, orientations: int = ORIENTATIONS) -> Tensor:
    """Return the histograms of overlapping cells, [N, K, h, w], each divided by about its length (L2).

    Args:
        images: [N, C, H, W] in [-1, 1].
    """
    size, step = cell_of(images)
    summed = avg_pool2d(oriented(*gradients(images), orientations), size, step)
    return summed / (summed.square().sum(1, keepdim=True) + LEVEL**2).sqrt()


def cells_touched(mask: Tensor) -> Tensor:
    """Return the cells of `histograms` in which a mask [N, 1, H, W] from 0 to 1 has its largest value, [N, 1, h, w]."""
    return max_pool2d(mask, *cell_of(mask))


def cell_of(images: Tensor) -> tuple[int, int]:
    """Return the side of a cell in pixels and the step from one to the next, half as far."""
    size = max(2, min(images.shape[2:]) // CELLS)
    return size, max(1, size // 2)
