"""Networks that look at an image with a hole, or with a pasted part, and make what should be there (Pathak 2016; Wu 2017).

Layers, widths and initial weights are those of the authors' code (github.com/pathak22/context-encoder, train.lua and
train_random.lua; github.com/wuhuikai/GP-GAN, model.py) for 64x64 and 128x128 images; other sizes have as many halvings as
lead to a map whose shorter side is below 8, at least two.

Legend: N batch, C channels, H height, W width, F feature channels, P pixels of the smallest map, B bottleneck units.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, relu

from gancli.networks.convolution import Doubling, Halving
from gancli.networks.dcgan import WEIGHT_STD, halvings
from gancli.networks.initialization import normal_init
from gancli.networks.layers import norm_layer

STEPS = 3  # halvings after which the widest maps are reached, eight times the first ones
SLOPE = 0.2


def map_sizes(height: int, width: int, least: int = 2) -> list[tuple[int, int]]:
    """Return the sizes of maps from the image down: halved while the shorter side is at least 8, and so often at least."""
    sizes = halvings(height, width)
    while len(sizes) <= least:
        sizes.append((max(1, sizes[-1][0] // 2), max(1, sizes[-1][1] // 2)))
    return sizes


def map_widths(width: int, layers: int) -> list[int]:
    """Return the channels after each halving: doubled in the last three alone, so that 128x128 images have 64, 64, 128, 256,
    512 of them."""
    return [width * 2 ** max(0, layer - max(0, layers - 1 - STEPS)) for layer in range(layers)]


class ContextGenerator(nn.Module):
    """Halvings with LeakyReLU, a bottleneck in which every place meets every other, doublings with ReLU, tanh."""

    def __init__(self, shape: tuple[int, int, int], width: int, bottleneck: int | None, level: int = 0) -> None:
        """Build the network.

        Args:
            bottleneck: units of a fully connected one, 4,000 in the released code; None: fully connected within each
                channel, and a convolution across channels behind it (the paper, section 3.1).
            level: 0 for a whole image, 1 for a part of half its sides.
        """
        super().__init__()
        channels, *size = shape
        sizes = map_sizes(*size)
        widths = [channels, *map_widths(width, len(sizes) - 1)]
        self.halvings = nn.ModuleList(Halving(inputs, outputs, bias=not number)
                                      for number, (inputs, outputs) in enumerate(pairwise(widths)))
        self.half_norms = nn.ModuleList(norm_layer("batch" if number else "none", outputs)
                                        for number, outputs in enumerate(widths[1:]))
        self.bottleneck = (ChannelwiseBottleneck(widths[-1], *sizes[-1]) if bottleneck is None
                           else DenseBottleneck(widths[-1], *sizes[-1], bottleneck))
        self.double_norms, self.doublings = nn.ModuleList(), nn.ModuleList()
        for below in range(len(sizes) - 1, level, -1):  # from the smallest map to the part that is made
            (height, breadth), larger = sizes[below], sizes[below - 1]
            outputs = channels if below - 1 == level else widths[below - 1]
            self.double_norms.append(norm_layer("batch", widths[below]))
            odd = larger[0] - 2 * height, larger[1] - 2 * breadth
            self.doublings.append(Doubling(widths[below], outputs, below - 1 == level, odd))
        normal_init(self, WEIGHT_STD)

    def forward(self, x: Tensor) -> Tensor:  # [N, C, H, W] -> [N, C, H, W], or [N, C, H/2, W/2], in [-1, 1]
        for layer, norm in zip(self.halvings, self.half_norms, strict=True):
            x = leaky_relu(norm(layer(x)), SLOPE)
        x = self.bottleneck(x)
        for norm, layer in zip(self.double_norms, self.doublings, strict=True):
            x = layer(relu(norm(x)))
        return x.tanh()


class ChannelwiseBottleneck(nn.Module):
    """Each channel's map to one of its size, every place from every place; then a 1x1 convolution across channels."""

    def __init__(self, features: int, height: int, width: int) -> None:
        super().__init__()
        places = height * width
        self.weight = nn.Parameter(torch.empty(features, places, places).normal_(0.0, WEIGHT_STD))
        self.bias = nn.Parameter(torch.zeros(features, places))
        self.across = nn.Conv2d(features, features, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:  # [N, F, h, w] -> [N, F, h, w]
        within = torch.einsum("nfp,fpq->nfq", x.flatten(2), self.weight) + self.bias
        return self.across(within.view_as(x))


class DenseBottleneck(nn.Module):
    """All values to some units, with batch norm and LeakyReLU, and back to maps."""

    def __init__(self, features: int, height: int, width: int, units: int) -> None:
        super().__init__()
        values = features * height * width
        self.down, self.up = nn.Linear(values, units, bias=False), nn.Linear(units, values, bias=False)
        self.norm = norm_layer("batch", units)

    def forward(self, x: Tensor) -> Tensor:  # [N, F, h, w] -> [N, F, h, w]
        return self.up(leaky_relu(self.norm(self.down(x.flatten(1))), SLOPE)).view_as(x)


class ContextDiscriminator(nn.Module):
    """The encoder's layers, and one logit from the last map."""

    def __init__(self, shape: tuple[int, int, int], width: int, norm: str) -> None:
        super().__init__()
        channels, *size = shape
        sizes = map_sizes(*size, least=1)
        widths = [channels, *map_widths(width, len(sizes) - 1)]
        kinds = ["none", *[norm] * (len(widths) - 2)]
        self.layers = nn.ModuleList(Halving(inputs, outputs, kind == "none")
                                    for (inputs, outputs), kind in zip(pairwise(widths), kinds, strict=True))
        self.norms = nn.ModuleList(norm_layer(kind, outputs) for outputs, kind in zip(widths[1:], kinds, strict=True))
        self.head = nn.Linear(widths[-1] * sizes[-1][0] * sizes[-1][1], 1)
        normal_init(self, WEIGHT_STD)

    def forward(self, x: Tensor) -> Tensor:  # [N, C, H, W] -> [N]
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = leaky_relu(norm(layer(x)), SLOPE)
        return self.head(x.flatten(1)).flatten()
