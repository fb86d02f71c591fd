"""Layers of style-based generators: the mapping from latents to styles, noise, and modulated convolutions.

Legend: N batch, C, F channels, H height, W width, Z latent size, S style size, L layers that take a style.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from gancli.networks.equalized import EPSILON, GAIN, EqualizedLinear, pixel_norm
from gancli.networks.layers import label_weights
from gancli.networks.resampling import smoothed
from gancli.networks.second_order import convolved, transposed
from gancli.ranks import shards

SLOPE = 0.2
MAPPING_RATE = 0.01  # the mapping learns at this part of the other layers' speed (Karras 2019, appendix C)

Noise = Sequence[Tensor | None]  # a map [1 or N, 1, H, W] for each layer, None for none


def active(x: Tensor) -> Tensor:
    """Return leaky ReLU times sqrt 2, which keeps the mean square (Karras 2020, appendix B).

    A layer before it can be multiplied in its place, as the slope is the same for all positive multiples.
    """
    return leaky_relu(x, SLOPE) * GAIN


class Mapping(nn.Module):
    """Latents to styles by fully connected layers; a label is embedded and stands beside the latent, each of unit norm.

    Karras 2019, figure 1, with the labels of Karras 2020 (ADA), appendix D; without latents it maps labels alone, as the
    discriminator there does.
    """

    def __init__(self, latent_size: int, classes: int, style_size: int, layers: int) -> None:
        super().__init__()
        self.classes = classes
        self.embedding = EqualizedLinear(classes, style_size, gain=1) if classes else None
        widths = [latent_size + (style_size if classes else 0), *[style_size] * layers]
        self.layers = nn.ModuleList(EqualizedLinear(inputs, outputs, gain=1, rate=MAPPING_RATE)
                                    for inputs, outputs in zip(widths, widths[1:], strict=False))

    def forward(self, z: Tensor | None, labels: Tensor | None = None) -> Tensor:  # [N, Z], [N] or [N, classes] -> [N, S]
        parts = [] if z is None else [pixel_norm(z)]
        if self.embedding is not None:
            assert labels is not None  # who takes labels is given some
            parts.append(pixel_norm(self.embedding(label_weights(labels, self.classes))))
        x = torch.cat(parts, 1)
        for layer in self.layers:
            x = active(layer(x))
        return x


class NoiseMaps(nn.Module):
    """The noise of a synthesis network: new for every image in training, else one fixed map for each layer."""

    def __init__(self, sizes: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self.sizes = sizes
        for number, size in enumerate(sizes):
            self.register_buffer(f"map{number}", torch.randn(1, 1, *size))

    def fixed(self) -> list[Tensor]:
        """Return the fixed maps, [1, 1, H, W] each."""
        return [self.get_buffer(f"map{number}") for number in range(len(self.sizes))]

    def forward(self, given: Noise | None, like: Tensor) -> Noise:
        """Return the maps that are given, or what training or looking at the network takes for images like x [N, ...]."""
        if given is not None:
            return given
        if not self.training:
            return self.fixed()
        return [shards.randn(len(like), 1, *size, device=like.device) for size in self.sizes]


def demodulation(weight: Tensor, style: Tensor) -> Tensor:
    """Return 1 / sqrt(sum_ik (s_i w_oik)^2 + 1e-8) for each example and output [N, F] (Karras 2020, eq. 3).

    Args:
        weight: [F, C, K, K].
        style: s, [N, C].
    """
    return (style.square() @ weight.square().sum((2, 3)).t() + EPSILON).rsqrt()


def modulated(x: Tensor, weight: Tensor, style: Tensor, demodulate: bool = True, double: bool = False,
              gain: float = 1.0) -> Tensor:
    """Return the convolution of x with weights that a style scales for each example (Karras 2020, eqs. 1 and 3).

    Maps are scaled before and after one convolution for all examples.  Forward and backward on one thread of a CPU took 74 ms
    so, against 112 ms by a grouped convolution with weights of each example's own (32 examples, 128 channels, 16x16), 103
    against 108 (32, 64, 32x32), and 232 against 174 (16, 64, 64x64, the one size at which the other is ahead).

    Args:
        x: [N, C, H, W].
        weight: [F, C, K, K].
        style: [N, C].
        double: the output is [N, F, 2H, 2W]: a transposed convolution, then the filter 1, 3, 3, 1.
        gain: what a demodulated output is multiplied by.
    """
    x = x * style[:, :, None, None].to(x.dtype)
    if double:
        x = smoothed(transposed(x, weight.transpose(0, 1)), padding=1, gain=4)
    else:
        x = convolved(x, weight, padding=weight.shape[-1] // 2)
    return x * (demodulation(weight, style) * gain)[:, :, None, None].to(x.dtype) if demodulate else x


class ModulatedLayer(nn.Conv2d):
    """A 3x3 convolution with modulated and demodulated weights, noise of one strength, bias, leaky ReLU (Karras 2020, 2)."""

    def __init__(self, inputs: int, outputs: int, style_size: int, double: bool) -> None:
        super().__init__(inputs, outputs, 3)
        self.doubles = double
        self.style = EqualizedLinear(style_size, inputs, gain=1, bias=1.0)
        self.strength = nn.Parameter(torch.zeros(()))  # of the noise

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor, style: Tensor, noise: Tensor | None) -> Tensor:  # [N, C, H, W], [N, S] -> [N, F, H, W]
        x = modulated(x, self.weight, self.style(style), double=self.doubles, gain=GAIN)
        if noise is not None:
            x = x + (noise * (self.strength * GAIN)).to(x.dtype)
        return leaky_relu(x + (self.bias * GAIN)[:, None, None].to(x.dtype), SLOPE)


class ModulatedToImages(nn.Conv2d):
    """A 1x1 convolution to images, modulated and not demodulated (Karras 2020, figure 2c)."""

    def __init__(self, inputs: int, channels: int, style_size: int) -> None:
        super().__init__(inputs, channels, 1)
        self.scale = 1 / math.sqrt(inputs)
        self.style = EqualizedLinear(style_size, inputs, gain=1, bias=1.0)

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:  # [N, F, H, W], [N, S] -> [N, C, H, W]
        made = modulated(x, self.weight, self.style(style) * self.scale, demodulate=False)
        return made + self.bias[:, None, None].to(made.dtype)
