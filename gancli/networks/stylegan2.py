"""The networks of StyleGAN2 (Karras 2020, 1912.04958) as its authors' code for ADA has them (2006.06676).

Legend: N batch, C channels of images, H, W sides of the image, F channels of maps, S style size, L layers that take a style.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from gancli.networks.equalized import GAIN, EqualizedConv2d, EqualizedLinear, MinibatchStddev
from gancli.networks.maps import channels_last
from gancli.networks.progressive import Size
from gancli.networks.resampling import smoothed, smoothly_doubled, smoothly_halved
from gancli.networks.second_order import convolved
from gancli.networks.styled import SLOPE, Mapping, ModulatedLayer, ModulatedToImages, Noise, NoiseMaps, active

SYNTHESES = ("skip", "residual")
DISCRIMINATORS = ("residual", "skip", "plain")
HALF = math.sqrt(0.5)  # of both branches of a residual block


class _SynthesisLevel(nn.Module):
    """The layers of one size: one at the smallest, else two, the first of which doubles; images where they are wanted."""

    def __init__(self, inputs: int | None, outputs: int, channels: int | None, style_size: int, residual: bool) -> None:
        super().__init__()
        first = [] if inputs is None else [ModulatedLayer(inputs, outputs, style_size, double=True)]
        self.layers = nn.ModuleList([*first, ModulatedLayer(outputs, outputs, style_size, double=False)])
        self.skip = EqualizedConv2d(inputs, outputs, 1, gain=1) if residual and inputs is not None else None
        if self.skip is not None:
            self.skip.bias = None
        self.to_images = None if channels is None else ModulatedToImages(outputs, channels, style_size)

    def forward(self, x: Tensor, styles: Sequence[Tensor], noise: Noise) -> Tensor:
        y = x
        for layer, style, each in zip(self.layers, styles, noise, strict=False):  # a style more is that of the images
            y = layer(y, style, each)
        return y if self.skip is None else (y + smoothly_doubled(self.skip(x))) * HALF


class Synthesis(nn.Module):
    """Styles to images: a learned constant, modulated convolutions, and images summed over the sizes or made at the end.

    The images of a size have the style of the next size's first layer (the last ones have one of their own), as in the
    authors' code: two styles for each size.
    """

    def __init__(self, channels: int, sizes: Sequence[Size], widths: Sequence[int], style_size: int, form: str) -> None:
        super().__init__()
        self.constant = nn.Parameter(torch.randn(1, widths[0], *sizes[0]))
        wanted = [form == "skip" or size == sizes[-1] for size in sizes]
        self.levels = nn.ModuleList(
            _SynthesisLevel(inputs, outputs, channels if images else None, style_size, form == "residual")
            for inputs, outputs, images in zip((None, *widths), widths, wanted, strict=False))
        self.noise = NoiseMaps([size for number, size in enumerate(sizes) for _ in range(1 if number == 0 else 2)])
        self.styles = 2 * len(sizes)  # L

    def forward(self, styles: Tensor, noise: Noise | None = None) -> Tensor:  # [N, L, S] -> [N, C, H, W], not squashed
        maps, each = self.noise(noise, styles), styles.unbind(1)
        x, images = channels_last(self.constant.expand(styles.shape[0], -1, -1, -1)), None
        place = 0
        for level in self.levels:
            count = len(level.layers)
            x = level(x, each[place:place + count], maps[place:place + count])
            place += count
            images = None if images is None else smoothly_doubled(images)
            if level.to_images is not None:
                made = level.to_images(x, each[place]).float()
                images = made if images is None else images + made
        assert images is not None  # the last size makes some
        return images


class _DiscriminatorLevel(nn.Module):
    """Two convolutions, the second of which halves the maps."""

    def __init__(self, inputs: int, outputs: int, residual: bool) -> None:
        super().__init__()
        self.first = EqualizedConv2d(inputs, inputs, 3, gain=1)
        self.second = EqualizedConv2d(inputs, outputs, 3, gain=1)
        self.skip = EqualizedConv2d(inputs, outputs, 1, gain=1) if residual else None
        if self.skip is not None:
            self.skip.bias = None

    def forward(self, x: Tensor) -> Tensor:  # [N, F, H, W] -> [N, F', H/2, W/2]
        y = smoothed(leaky_relu(self.first(x, GAIN), SLOPE), padding=2)
        gain = GAIN if self.skip is None else GAIN * HALF
        y = leaky_relu(convolved(y, self.second.weight * (self.second.scale * gain), self.second.bias * gain, stride=2), SLOPE)
        return y if self.skip is None else y + self.skip(smoothly_halved(x), HALF)


class StyleDiscriminator(nn.Module):
    """Images to logits: residual blocks, images added at every size (skip), or neither (plain); a minibatch's deviation.

    With labels the last features' dot product with a mapped label is the logit (projection, Karras 2020, ADA, appendix D).
    """

    def __init__(self, channels: int, sizes: Sequence[Size], widths: Sequence[int], form: str, stddev_group: int,
                 classes: int) -> None:
        super().__init__()
        wide, small = widths[::-1], widths[0]
        self.from_images = nn.ModuleList(EqualizedConv2d(channels, width, 1, gain=1)
                                         for width in (wide if form == "skip" else wide[:1]))
        self.levels = nn.ModuleList(_DiscriminatorLevel(inputs, outputs, form == "residual")
                                    for inputs, outputs in pairwise(wide))
        self.deviation = MinibatchStddev(stddev_group)
        self.last = EqualizedConv2d(small + 1, small, 3, gain=1)
        self.dense = EqualizedLinear(small * sizes[0][0] * sizes[0][1], small, gain=1)
        self.head = EqualizedLinear(small, small if classes else 1, gain=1)
        self.condition = Mapping(0, classes, small, layers=8) if classes else None

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:  # [N, C, H, W] -> [N]
        images = channels_last(images)
        x = leaky_relu(self.from_images[0](images, GAIN), SLOPE)
        for number, level in enumerate(self.levels, 1):
            x = level(x)
            if len(self.from_images) > 1:
                images = smoothly_halved(images)
                x = x + leaky_relu(self.from_images[number](images, GAIN), SLOPE)
        x = leaky_relu(self.last(self.deviation(x), GAIN), SLOPE)
        x = self.head(active(self.dense(x.flatten(1))))
        if self.condition is None:
            return x.flatten()
        return (x * self.condition(None, labels)).sum(1) / math.sqrt(x.shape[1])
