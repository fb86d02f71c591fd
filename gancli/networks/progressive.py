"""Networks that grow while they train, from small maps to whole images (Karras 2018, figures 1 and 2, table 2).

How far they have grown is one number: k means that they make, or judge, images of level k, and k - 1 + a that level k is
faded in with a weight of 0 < a < 1.

Legend: N batch, C channels of images, H, W sides of the whole image, h, w of the present level's, Z latent size.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, leaky_relu

from gancli.networks.equalized import EqualizedConv2d, EqualizedLinear, MinibatchStddev, pixel_norm
from gancli.networks.maps import channels_last

SMALLEST = 4  # shorter side of the maps that growth begins with; it is less than twice this
SLOPE = 0.2

Size = tuple[int, int]


def levels_of(height: int, width: int, smallest: int = SMALLEST) -> list[Size] | None:
    """Return the sizes from the smallest one to the whole image; None if it cannot be halved so far.

    32x32 gives 4x4, 8x8, 16x16, 32x32; 48x24 gives 12x6, 24x12, 48x24.

    Args:
        smallest: pixels that the shorter side keeps at least; sizes are halved while it does.
    """
    sizes = [(height, width)]
    while min(sizes[0]) >= 2 * smallest:
        if sizes[0][0] % 2 or sizes[0][1] % 2:
            return None
        sizes.insert(0, (sizes[0][0] // 2, sizes[0][1] // 2))
    return sizes


def nearest_sizes(height: int, width: int, smallest: int = SMALLEST) -> tuple[Size, Size]:
    """Return the next smaller and the next larger size that has levels."""
    step = _step(height, width, smallest)
    smaller = height // step * step, width // step * step
    larger = height, width
    while levels_of(*larger, smallest) is None:
        step = _step(*larger, smallest)
        larger = -(-larger[0] // step) * step, -(-larger[1] // step) * step
    return smaller, larger


def _step(height: int, width: int, smallest: int) -> int:
    """Return by what the sides would have to be divisible."""
    return 1 << (min(height, width) // smallest).bit_length() - 1


def level_at(growth: float) -> tuple[int, float]:
    """Return the level and the weight with which it is faded in, 1 where it is whole."""
    level = math.ceil(growth)
    return level, growth - level + 1


def halved(x: Tensor) -> Tensor:
    """Return the means of 2x2 pixels."""
    return avg_pool2d(x, 2)


def doubled(x: Tensor) -> Tensor:
    """Return each pixel four times."""
    return interpolate(x, scale_factor=2)


def shrunk(images: Tensor, levels: int, growth: float) -> Tensor:
    """Return whole images [N, C, H, W] as they look at this point of the growth, [N, C, h, w].

    While a level is faded in, real images, too, are mixed with what the level before can show.

    Args:
        levels: of the whole growth.
    """
    level, alpha = level_at(growth)
    for _ in range(levels - 1 - level):
        images = halved(images)
    return images if alpha == 1 else torch.lerp(doubled(halved(images)), images, alpha)


class ProgressiveGenerator(nn.Module):
    """Latents of unit length, pixel norm after every layer; nearest neighbors double the maps; no squashing at the end."""

    def __init__(self, latent_size: int, channels: int, sizes: list[Size], widths: list[int]) -> None:
        super().__init__()
        self.start = (widths[0], *sizes[0])
        cells = sizes[0][0] * sizes[0][1]
        self.project = EqualizedLinear(latent_size, widths[0] * cells, math.sqrt(2 / cells))  # as a convolution would have it
        self.first = EqualizedConv2d(widths[0], widths[0], 3)
        self.levels = nn.ModuleList(_pair(inputs, outputs, outputs) for inputs, outputs in pairwise(widths))
        self.to_images = nn.ModuleList(EqualizedConv2d(width, channels, 1, gain=1) for width in widths)

    def forward(self, z: Tensor, growth: float) -> Tensor:  # [N, Z] -> [N, C, h, w]
        level, alpha = level_at(growth)
        x = _normed(channels_last(self.project(pixel_norm(z)).unflatten(1, self.start)))
        x = below = _normed(self.first(x))
        for layers in self.levels[:level]:
            below, x = x, doubled(x)
            for layer in layers:
                x = _normed(layer(x))
        images = self.to_images[level](x)
        return images if alpha == 1 else torch.lerp(doubled(self.to_images[level - 1](below)), images, alpha)


class ProgressiveDiscriminator(nn.Module):
    """The generator's mirror image; means of 2x2 pixels halve the maps, and the smallest get a minibatch's deviation."""

    def __init__(self, channels: int, sizes: list[Size], widths: list[int], stddev_group: int) -> None:
        super().__init__()
        self.from_images = nn.ModuleList(EqualizedConv2d(channels, width, 1) for width in widths)
        self.levels = nn.ModuleList(_pair(inputs, inputs, outputs) for outputs, inputs in pairwise(widths))
        self.deviation = MinibatchStddev(stddev_group)
        self.last = EqualizedConv2d(widths[0] + 1, widths[0], 3)
        self.dense = EqualizedLinear(widths[0] * sizes[0][0] * sizes[0][1], widths[0])
        self.head = EqualizedLinear(widths[0], 1, gain=1)

    def forward(self, images: Tensor, growth: float) -> Tensor:  # [N, C, h, w] -> [N]
        level, alpha = level_at(growth)
        images = channels_last(images)
        x = _active(self.from_images[level](images))
        for number in range(level, 0, -1):
            for layer in self.levels[number - 1]:
                x = _active(layer(x))
            x = halved(x)
            if number == level and alpha < 1:
                x = torch.lerp(_active(self.from_images[level - 1](halved(images))), x, alpha)
        x = _active(self.last(self.deviation(x)))
        return self.head(_active(self.dense(x.flatten(1)))).flatten()


def _pair(inputs: int, inner: int, outputs: int) -> nn.ModuleList:
    return nn.ModuleList((EqualizedConv2d(inputs, inner, 3), EqualizedConv2d(inner, outputs, 3)))


def _active(x: Tensor) -> Tensor:
    return leaky_relu(x, SLOPE)


def _normed(x: Tensor) -> Tensor:
    return pixel_norm(_active(x))
