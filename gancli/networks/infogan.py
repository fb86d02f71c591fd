"""The networks of Chen 2016 for MNIST (appendix C.1, and the authors' code), for any image size from 8 up.

Images are in [-1, 1] outside and in [0, 1] inside.  28x28 gives the paper's two strided layers; larger images get more of
them, as in Radford 2016.

Legend: N batch, C channels, H height, W width, F features, Z latent size, Q outputs of a head.
"""

from itertools import pairwise
from math import prod

from torch import Tensor, nn
from torch.nn.functional import leaky_relu, relu

from gancli.networks.convolution import Doubling, Halving
from gancli.networks.dcgan import WEIGHT_STD, feature_widths, halvings
from gancli.networks.initialization import normal_init
from gancli.networks.layers import norm_layer

SLOPE = 0.01  # of leaky units in the authors' code; the appendix says 0.1


class InfoGANGenerator(nn.Module):
    """Two fully connected layers, then transposed convolutions, all with batch norm and ReLU; a sigmoid at the end."""

    def __init__(self, latent_size: int, shape: tuple[int, int, int], width: int, units: int) -> None:
        super().__init__()
        channels, *size = shape
        sizes = halvings(*size)[::-1]  # from the smallest map up to the image
        widths = feature_widths(width, len(sizes) - 1)[::-1]
        self.start = (widths[0], *sizes[0])
        full = [latent_size, units, prod(self.start)]
        self.full = nn.ModuleList(nn.Linear(inputs, outputs, bias=False) for inputs, outputs in pairwise(full))
        self.full_norms = nn.ModuleList(norm_layer("batch", outputs) for outputs in full[1:])
        self.layers, self.norms = nn.ModuleList(), nn.ModuleList()
        for features, outputs, (small, large) in zip(widths, [*widths[1:], channels], pairwise(sizes), strict=True):
            last = len(self.layers) == len(widths) - 1
            odd = (large[0] - 2 * small[0], large[1] - 2 * small[1])
            self.layers.append(Doubling(features, outputs, bias=last, odd=odd))
            self.norms.append(nn.Identity() if last else norm_layer("batch", outputs))
        normal_init(self, WEIGHT_STD)

    def forward(self, z: Tensor) -> Tensor:  # [N, Z] -> [N, C, H, W] in [-1, 1]
        x = z
        for layer, norm in zip(self.full, self.full_norms, strict=True):
            x = relu(norm(layer(x)))
        x = x.unflatten(1, self.start)
        for layer, norm in zip(self.layers[:-1], self.norms[:-1], strict=True):
            x = relu(norm(layer(x)), inplace=True)
        return self.layers[-1](x).sigmoid() * 2 - 1


class InfoGANDiscriminator(nn.Module):
    """Strided convolutions and a fully connected layer, leaky and normalized except the first; one output."""

    def __init__(self, shape: tuple[int, int, int], width: int, units: int, norm: str) -> None:
        super().__init__()
        self.body = _Body(shape, width, units, norm)
        self.head = nn.Linear(units, 1)
        normal_init(self, WEIGHT_STD)

    def forward(self, x: Tensor) -> Tensor:  # [N, C, H, W] -> [N]
        return self.head(self.body(x)).flatten()


class _Body(nn.Module):
    """What the discriminator and Q share."""

    def __init__(self, shape: tuple[int, int, int], width: int, units: int, norm: str) -> None:
        super().__init__()
        channels, *size = shape
        sizes = halvings(*size)
        widths = feature_widths(width, len(sizes) - 1)
        kinds = ["none", *[norm] * (len(widths) - 1)]
        self.layers = nn.ModuleList(
            Halving(inputs, outputs, bias=kind == "none")
            for inputs, outputs, kind in zip([channels, *widths], widths, kinds, strict=False))
        self.norms = nn.ModuleList(norm_layer(kind, outputs) for outputs, kind in zip(widths, kinds, strict=True))
        self.full = _Full(widths[-1] * prod(sizes[-1]), units, norm)

    def forward(self, x: Tensor) -> Tensor:  # [N, C, H, W] -> [N, F]
        x = (x + 1) / 2
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = leaky_relu(norm(layer(x)), SLOPE, inplace=True)
        return self.full(x.permute(0, 2, 3, 1).flatten(1))  # as channels_last lies in memory


class _Full(nn.Module):
    """A fully connected layer with its norm, leaky."""

    def __init__(self, inputs: int, outputs: int, norm: str) -> None:
        super().__init__()
        self.layer = nn.Linear(inputs, outputs, bias=norm == "none")
        self.norm = norm_layer(norm, outputs)

    def forward(self, x: Tensor) -> Tensor:  # [N, inputs] -> [N, outputs]
        return leaky_relu(self.norm(self.layer(x)), SLOPE)


class CodeHead(nn.Module):
    """What Q has of its own: a hidden layer on the discriminator's features, and its outputs."""

    def __init__(self, features: int, units: int, outputs: int, norm: str) -> None:
        super().__init__()
        self.full = _Full(features, units, norm)
        self.head = nn.Linear(units, outputs)
        normal_init(self, WEIGHT_STD)

    def forward(self, features: Tensor) -> Tensor:  # [N, F] -> [N, Q]
        return self.head(self.full(features))
