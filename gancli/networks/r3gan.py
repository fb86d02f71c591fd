"""The networks of R3GAN (Huang 2024, 2501.05441): residual blocks with grouped convolutions and no normalization.

Legend: N batch, C channels of images, H, W sides of the image, F channels of maps, Z latent size.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from gancli.networks.initialization import start_at_zero
from gancli.networks.layers import label_weights
from gancli.networks.maps import channels_last
from gancli.networks.progressive import Size
from gancli.networks.resampling import smoothly_doubled, smoothly_halved
from gancli.networks.second_order import Convolution

SLOPE = 0.2
GAIN = math.sqrt(2 / (1 + SLOPE**2))  # He 2015, for leaky rectifiers; the layers themselves have none
EXPANSION = 2  # channels within a block, over those of its ends


def scaled(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> nn.Conv2d | nn.Linear:
    """Give a layer weights N(0, gain^2 / inputs), and biases of 0."""
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def whole_groups(width: int, group: int) -> int:
    """Return the most channels up to `width`, at least some, that a block divides into groups of `group`."""
    step = group // math.gcd(group, EXPANSION)
    return max(step, width // step * step)


class ResidualBlock(nn.Module):
    """x + C1(a(b + C3(a(b + C1 x)))), the C3 grouped; the last weights start at 0, the others shrink with the depth.

    That is fix-up's initialization (Zhang 2019) for branches of three layers: gain times blocks^(-1/4).
    """

    def __init__(self, width: int, group: int, blocks: int) -> None:
        super().__init__()
        wide, gain = EXPANSION * width, GAIN * blocks**-0.25
        self.spread = scaled(Convolution(width, wide, 1), gain)
        self.grouped = scaled(Convolution(wide, wide, 3, padding=1, groups=wide // group), gain)
        self.gather = start_at_zero(Convolution(wide, width, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:  # [N, F, H, W], the same
        y = leaky_relu(self.spread(x), SLOPE)
        y = leaky_relu(self.grouped(y), SLOPE)
        return x + self.gather(y)


def _blocks(width: int, group: int, count: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(width, group, blocks) for _ in range(count)))


def _joint(inputs: int, outputs: int) -> nn.Module:
    return nn.Identity() if inputs == outputs else scaled(Convolution(inputs, outputs, 1, bias=False))


class ResidualGenerator(nn.Module):
    """A learned basis of the smallest maps times a linear map of the latent; blocks; doubled maps; a 1x1 convolution."""

    def __init__(self, latent_size: int, channels: int, sizes: Sequence[Size], widths: Sequence[int], group: int, count: int,
                 classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.embedding = scaled(nn.Linear(classes, latent_size, bias=False)) if classes else None
        self.basis = nn.Parameter(torch.randn(1, widths[0], *sizes[0]))
        self.project = scaled(nn.Linear(latent_size * (2 if classes else 1), widths[0], bias=False))
        self.levels = nn.ModuleList(_blocks(width, group, count, count * len(widths)) for width in widths)
        self.joints = nn.ModuleList(_joint(inputs, outputs) for inputs, outputs in pairwise(widths))
        self.to_images = scaled(Convolution(widths[-1], channels, 1, bias=False))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:  # [N, Z] -> [N, C, H, W], not squashed
        if self.embedding is not None:
            assert labels is not None  # who takes labels is given some
            z = torch.cat((z, self.embedding(label_weights(labels, self.classes))), 1)
        x = self.levels[0](channels_last(self.basis * self.project(z)[:, :, None, None]))
        for joint, level in zip(self.joints, self.levels[1:], strict=True):
            x = level(smoothly_doubled(joint(x)))
        return self.to_images(x)


class ResidualDiscriminator(nn.Module):
    """The generator's mirror image: it ends in one weight for each pixel of the smallest maps; with labels, a projection."""

    def __init__(self, channels: int, sizes: Sequence[Size], widths: Sequence[int], group: int, count: int,
                 classes: int) -> None:
        super().__init__()
        wide, small = widths[::-1], widths[0]
        self.classes = classes
        self.from_images = scaled(Convolution(channels, wide[0], 1, bias=False))
        self.levels = nn.ModuleList(_blocks(width, group, count, count * len(wide)) for width in wide)
        self.joints = nn.ModuleList(_joint(inputs, outputs) for inputs, outputs in pairwise(wide))
        self.basis = scaled(Convolution(small, small, sizes[0], groups=small, bias=False))
        self.head = scaled(nn.Linear(small, small if classes else 1, bias=False))
        self.embedding = scaled(nn.Linear(classes, small, bias=False), 1 / math.sqrt(small)) if classes else None

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:  # [N, C, H, W] -> [N]
        x = self.levels[0](self.from_images(channels_last(images)))
        for joint, level in zip(self.joints, self.levels[1:], strict=True):
            x = level(joint(smoothly_halved(x)))
        x = self.head(self.basis(x).flatten(1))
        if self.embedding is None:
            return x.flatten()
        assert labels is not None  # who takes labels is given some
        return (x * self.embedding(label_weights(labels, self.classes))).sum(1)
