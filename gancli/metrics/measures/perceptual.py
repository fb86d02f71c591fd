"""How far apart images look, by the maps of a frozen network's layers (Zhang 2018, 1801.03924, eq. 1).

Legend: N pairs, L layers, C channels of a layer, H, W sides of its map, S styles.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

EPSILON = 1e-10  # beside the length of a place's channels, as in the authors' code

Maps = Sequence[Tensor]  # L maps [N, C, H, W]


def unit(maps: Tensor) -> Tensor:
    """Return maps [N, C, H, W] whose channels have length 1 at every place."""
    return maps / (maps.square().sum(1, keepdim=True).sqrt() + EPSILON)


def perceptual_distance(x: Maps, y: Maps, weights: Sequence[Tensor] | None = None) -> Tensor:
    """Return the distance [N]: squared differences of unit-length channels, averaged over space, summed over layers.

    Args:
        weights: of each layer's channels, L times [C]; None: 1 for all, which makes it twice one minus the cosine.
    """
    total = x[0].new_zeros(len(x[0]))
    for layer, (one, other) in enumerate(zip(x, y, strict=True)):
        apart = (unit(one) - unit(other)).square()
        if weights is not None:
            apart = apart * weights[layer].to(apart)[None, :, None, None]
        total = total + apart.sum(1).mean((1, 2))
    return total


def spread(maps: Sequence[Maps], weights: Sequence[Tensor] | None = None) -> Tensor:
    """Return the mean distance [N] between two of S renderings of each image, whose maps are given one rendering each."""
    pairs = [perceptual_distance(one, other, weights) for number, one in enumerate(maps) for other in maps[:number]]
    return torch.stack(pairs).mean(0)
