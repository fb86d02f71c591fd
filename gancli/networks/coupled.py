"""Networks of two domains that share their layers: the first ones of the generators, the last ones of the discriminators.

Those of the authors' code for 28x28 (github.com/mingyuliutw/CoGAN, cogan_pytorch/src/net_cogan_mnistedge.py; Liu & Tuzel 2016,
section 3), for any image size from 8 up.  Images are in [-1, 1] outside and in [0, 1] inside.

Legend: N batch, C channels, H height, W width, Z latent size.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from gancli.networks.initialization import xavier_init
from gancli.networks.layers import norm_layer

SMALLEST = 4  # side at which a generator's first map is small enough
POOLED = 8  # side from which on a discriminator's map is convolved and pooled once more
LAST_KERNEL = 6  # of a generator's last layer, which adds three pixels to a side
KERNEL = 5  # of a discriminator's convolutions
BIAS = 0.1  # of every convolution at the start
WIDEST = 8  # times `width`: a generator's first map


class CoupledGenerator(nn.Module):
    """z through transposed convolutions with batch norm and PReLU that both domains share, then a last one for each."""

    def __init__(self, latent_size: int, shape: tuple[int, int, int], width: int, domains: int = 2) -> None:
        super().__init__()
        channels, *size = shape
        sizes = map_sizes(*size)
        widths = [width * min(2**place, WIDEST) for place in range(len(sizes))][::-1]
        self.shared = nn.Sequential(*_step(nn.ConvTranspose2d(latent_size, widths[0], sizes[0])))
        for (inputs, outputs), (small, large) in zip(pairwise(widths), pairwise(sizes), strict=True):
            more = tuple(after - (2 * before - 1) for before, after in zip(small, large, strict=True))
            self.shared.extend(_step(nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, more)))
        self.heads = nn.ModuleList(nn.ConvTranspose2d(widths[-1], channels, LAST_KERNEL, 1, 1) for _ in range(domains))
        xavier_init(self, math.sqrt(2), BIAS)

    def forward(self, z: Tensor) -> tuple[Tensor, ...]:  # [N, Z] -> [N, C, H, W] in [-1, 1], one for each domain
        shared = self.shared(z[:, :, None, None])
        return tuple(head(shared).sigmoid() * 2 - 1 for head in self.heads)


class CoupledDiscriminator(nn.Module):
    """A convolution for each domain, then convolutions, a full layer and one output that both share (LeCun 1998's sizes)."""

    def __init__(self, shape: tuple[int, int, int], filters: list[int], units: int, domains: int = 2) -> None:
        super().__init__()
        channels, *size = shape
        self.first = nn.ModuleList(_pooled(channels, filters[0]) for _ in range(domains))
        size, features = [_pooled_side(side) for side in size], filters[0]
        self.shared = nn.Sequential()
        while min(size) >= POOLED:
            outputs = filters[min(len(self.shared) + 1, len(filters) - 1)]
            self.shared.append(_pooled(features, outputs))
            size, features = [_pooled_side(side) for side in size], outputs
        self.full = nn.Sequential(nn.Conv2d(features, units, tuple(size)), nn.Flatten(), nn.PReLU())
        self.head = nn.Linear(units, 1)
        xavier_init(self, math.sqrt(2), BIAS)

    def forward(self, *domains: Tensor) -> Tensor:  # [N, C, H, W] of each domain -> [N, domains]
        firsts = torch.cat([first(x.add(1).div(2)) for first, x in zip(self.first, domains, strict=True)])
        logits = self.head(self.full(self.shared(firsts)))  # [domains N, 1], the first domain's before the second's
        return logits.view(len(domains), -1).t()


def map_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Return the generator's map sizes from the smallest up to the one before the image.

    28x28 gives 4, 7, 13, 25; 32x32 gives 4, 8, 15, 29.
    """
    grown = LAST_KERNEL - 3
    sizes = [(height - grown, width - grown)]
    while min(sizes[-1]) > SMALLEST:
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    return sizes[::-1]


def _step(layer: nn.ConvTranspose2d) -> list[nn.Module]:
    return [layer, norm_layer("batch", layer.out_channels, affine=False), nn.PReLU()]


def _pooled(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(inputs, outputs, KERNEL), nn.MaxPool2d(2))


def _pooled_side(side: int) -> int:
    return (side - KERNEL + 1) // 2
