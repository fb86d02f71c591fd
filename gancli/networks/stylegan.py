"""The networks of StyleGAN (Karras 2019, 1812.04948): a synthesis network that grows, and progressive growing's mirror of it.

Nearest neighbors and a 3x3 convolution are one 4x4 transposed convolution, and a 3x3 convolution and the mean of 2x2 pixels
one strided 4x4 convolution, as the authors' code has them for large maps: the same numbers with 16 of 36 products.

Legend: N batch, C channels of images, H, W sides of the whole image, h, w of the present level's, F channels of maps,
S style size, L layers that take a style.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, pad

from gancli.networks.equalized import EPSILON, EqualizedConv2d, EqualizedLinear, MinibatchStddev
from gancli.networks.maps import channels_last
from gancli.networks.progressive import Size, doubled, halved, level_at
from gancli.networks.resampling import blurred
from gancli.networks.second_order import convolved, transposed
from gancli.networks.styled import SLOPE, Mapping, Noise, NoiseMaps


def spread_kernel(weight: Tensor) -> Tensor:
    """Return the sum of a kernel [F, C, 3, 3] at its four places in 4x4 taps: what it does to pixels that are seen twice."""
    wide = pad(weight, (1, 1, 1, 1))
    return wide[..., 1:, 1:] + wide[..., 1:, :-1] + wide[..., :-1, 1:] + wide[..., :-1, :-1]


def instance_norm(x: Tensor) -> Tensor:
    """Return maps [N, F, H, W] of mean 0 and mean square 1 each."""
    centered = x.float() - x.float().mean((2, 3), keepdim=True)
    return (centered * (centered.square().mean((2, 3), keepdim=True) + EPSILON).rsqrt()).to(x.dtype)


class StyledLayer(nn.Module):
    """A convolution (none for the constant), noise with a strength for each map, bias, leaky ReLU, then AdaIN (figure 1b)."""

    def __init__(self, inputs: int | None, outputs: int, style_size: int, double: bool) -> None:
        super().__init__()
        self.convolution = None if inputs is None else EqualizedConv2d(inputs, outputs, 3)
        if self.convolution is not None:
            self.convolution.bias = None
        self.doubles = double
        self.strength = nn.Parameter(torch.zeros(outputs))  # of the noise
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.style = EqualizedLinear(style_size, 2 * outputs, gain=1)

    def forward(self, x: Tensor, style: Tensor, noise: Tensor | None) -> Tensor:  # [N, F, H, W], [N, S] -> [N, F', H', W']
        if self.convolution is not None and self.doubles:
            weight = spread_kernel(self.convolution.weight * self.convolution.scale)
            x = blurred(transposed(x, weight.transpose(0, 1), padding=1))
        elif self.convolution is not None:
            x = self.convolution(x)
        if noise is not None:
            x = x + (noise * self.strength[:, None, None]).to(x.dtype)
        x = instance_norm(leaky_relu(x + self.bias[:, None, None].to(x.dtype), SLOPE))
        scale, shift = self.style(style)[:, :, None, None].to(x.dtype).chunk(2, 1)
        return x * (scale + 1) + shift


class GrowingSynthesis(nn.Module):
    """Styles to images of the level that has grown so far; two layers a size, from a constant of ones."""

    def __init__(self, channels: int, sizes: Sequence[Size], widths: Sequence[int], style_size: int, first: int) -> None:
        super().__init__()
        self.first, self.styles = first, 2 * len(sizes)
        self.constant = nn.Parameter(torch.ones(1, widths[0], *sizes[0]))
        self.levels = nn.ModuleList(
            nn.ModuleList((StyledLayer(inputs, outputs, style_size, double=inputs is not None),
                           StyledLayer(outputs, outputs, style_size, double=False)))
            for inputs, outputs in zip((None, *widths), widths, strict=False))
        self.to_images = nn.ModuleList(EqualizedConv2d(width, channels, 1, gain=1) for width in widths[first:])
        self.noise = NoiseMaps([size for size in sizes for _ in range(2)])

    def forward(self, styles: Tensor, noise: Noise | None, growth: float) -> Tensor:  # [N, L, S] -> [N, C, h, w]
        level, alpha = level_at(growth)
        maps, each = self.noise(noise, styles), styles.unbind(1)
        x = below = channels_last(self.constant.expand(styles.shape[0], -1, -1, -1))
        for number, layers in enumerate(self.levels[:level + 1]):
            below = x
            for half, layer in enumerate(layers):
                x = layer(x, each[2 * number + half], maps[2 * number + half])
        images = self.to_images[level - self.first](x)
        return images if alpha == 1 else torch.lerp(doubled(self.to_images[level - 1 - self.first](below)), images, alpha)


class GrowingDiscriminator(nn.Module):
    """Progressive growing's discriminator with maps blurred before they are halved; with labels, a projection."""

    def __init__(self, channels: int, sizes: Sequence[Size], widths: Sequence[int], stddev_group: int, first: int,
                 classes: int) -> None:
        super().__init__()
        self.first, small = first, widths[0]
        self.from_images = nn.ModuleList(EqualizedConv2d(channels, width, 1) for width in widths[first:])
        self.levels = nn.ModuleList(
            nn.ModuleList((EqualizedConv2d(inputs, inputs, 3), EqualizedConv2d(inputs, outputs, 3)))
            for outputs, inputs in pairwise(widths))
        self.deviation = MinibatchStddev(stddev_group)
        self.last = EqualizedConv2d(small + 1, small, 3)
        self.dense = EqualizedLinear(small * sizes[0][0] * sizes[0][1], small)
        self.head = EqualizedLinear(small, small if classes else 1, gain=1)
        self.condition = Mapping(0, classes, small, layers=8) if classes else None

    def forward(self, images: Tensor, labels: Tensor | None, growth: float) -> Tensor:  # [N, C, h, w] -> [N]
        level, alpha = level_at(growth)
        images = channels_last(images)
        x = leaky_relu(self.from_images[level - self.first](images), SLOPE)
        for number in range(level, 0, -1):
            first, second = self.levels[number - 1]
            x = blurred(leaky_relu(first(x), SLOPE))
            weight = spread_kernel(second.weight * second.scale) / 4
            x = leaky_relu(convolved(x, weight, second.bias, stride=2, padding=1), SLOPE)
            if number == level and alpha < 1:
                below = leaky_relu(self.from_images[level - 1 - self.first](halved(images)), SLOPE)
                x = torch.lerp(below, x, alpha)
        x = leaky_relu(self.last(self.deviation(x)), SLOPE)
        x = self.head(leaky_relu(self.dense(x.flatten(1)), SLOPE))
        if self.condition is None:
            return x.flatten()
        return (x * self.condition(None, labels)).sum(1) / math.sqrt(x.shape[1])
