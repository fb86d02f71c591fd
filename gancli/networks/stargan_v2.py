"""The four networks of StarGAN v2, at any size (Choi 2020, 1912.01865, appendix A).

Legend: N batch, C, F channels, H height, W width, K domains, S style size, Z latent size.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, leaky_relu

from gancli.networks.layers import norm_layer
from gancli.networks.second_order import Convolution

SLOPE = 0.2
BOTTLENECK = 16  # side of the translator's smallest maps in the paper
LAST_SIDE = 4  # of the maps that the style encoder and the discriminator end with


def halvings(height: int, width: int, last: int) -> int:
    """Return how often images are halved until their shorter side is `last`, or as near above as halving comes."""
    side, count = min(height, width), 0
    while side // 2 >= last:
        side, count = side // 2, count + 1
    return count


def _instance_norm(channels: int, affine: bool) -> nn.Module:
    return norm_layer("instance", channels, affine=affine)


class EncoderBlock(nn.Module):
    """A residual block, [N, C, H, W] -> [N, F, H, W] or half the sides, with instance norm or without one."""

    def __init__(self, inputs: int, outputs: int, halve: bool, norm: bool) -> None:
        super().__init__()
        self.halve = halve
        self.norm1, self.norm2 = (_instance_norm(inputs, affine=True) if norm else nn.Identity() for _ in range(2))
        self.first = Convolution(inputs, inputs, 3, padding=1)
        self.second = Convolution(inputs, outputs, 3, padding=1)
        self.skip = Convolution(inputs, outputs, 1, bias=False) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        around = self.skip(x)
        y = self.first(leaky_relu(self.norm1(x), SLOPE))
        if self.halve:
            around, y = avg_pool2d(around, 2), avg_pool2d(y, 2)
        y = self.second(leaky_relu(self.norm2(y), SLOPE))
        return (around + y) / math.sqrt(2)


class AdaIN(nn.Module):
    """Instance norm whose gain 1 + gamma and shift beta one linear layer makes of a style (Huang 2017; Choi 2020)."""

    def __init__(self, style_size: int, channels: int) -> None:
        super().__init__()
        self.norm = _instance_norm(channels, affine=False)
        self.style = nn.Linear(style_size, 2 * channels)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        gamma, beta = self.style(style)[:, :, None, None].chunk(2, 1)
        return (1 + gamma) * self.norm(x) + beta


class DecoderBlock(nn.Module):
    """A residual block that a style modulates, [N, C, h, w] -> [N, F, H, W] of the size that it is told."""

    def __init__(self, inputs: int, outputs: int, style_size: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = AdaIN(style_size, inputs), AdaIN(style_size, outputs)
        self.first = Convolution(inputs, outputs, 3, padding=1)
        self.second = Convolution(outputs, outputs, 3, padding=1)
        self.skip = Convolution(inputs, outputs, 1, bias=False) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, style: Tensor, size: tuple[int, int]) -> Tensor:
        y = leaky_relu(self.norm1(x, style), SLOPE)
        if size != tuple(x.shape[2:]):
            x, y = (interpolate(each, size=size) for each in (x, y))
        y = self.second(leaky_relu(self.norm2(self.first(y), style), SLOPE))
        return (self.skip(x) + y) / math.sqrt(2)


class StyleTranslator(nn.Module):
    """Images and styles to images, [N, C, H, W] and [N, S] to [N, C, H, W]; nothing bounds the output."""

    def __init__(self, channels: int, width: int, widest: int, depth: int, style_size: int) -> None:
        super().__init__()
        widths = [min(width * 2**i, widest) for i in range(depth + 1)]
        self.enter = Convolution(channels, widths[0], 3, padding=1)
        self.down = nn.ModuleList(EncoderBlock(inputs, outputs, halve=True, norm=True)
                                  for inputs, outputs in zip(widths, widths[1:], strict=False))
        self.middle = nn.Sequential(*[EncoderBlock(widths[-1], widths[-1], halve=False, norm=True) for _ in range(2)])
        self.styled = nn.ModuleList(DecoderBlock(widths[-1], widths[-1], style_size) for _ in range(2))
        self.up = nn.ModuleList(DecoderBlock(inputs, outputs, style_size)
                                for inputs, outputs in zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.norm = _instance_norm(widths[0], affine=True)
        self.leave = Convolution(widths[0], channels, 1)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        x, sizes = self.enter(x), []
        for block in self.down:
            sizes.append((x.shape[2], x.shape[3]))
            x = block(x)
        x, size = self.middle(x), (x.shape[2], x.shape[3])
        for block in self.styled:
            x = block(x, style, size)
        for block, size in zip(self.up, reversed(sizes), strict=True):
            x = block(x, style, size)
        return self.leave(leaky_relu(self.norm(x), SLOPE))


class StyleMapping(nn.Module):
    """Latents to a style of each domain, [N, Z] to [N, K, S]: four layers that domains share, and four of each one's own."""

    def __init__(self, latent_size: int, width: int, style_size: int, domains: int) -> None:
        super().__init__()
        self.shared = nn.Sequential(*_linear_and_relu(latent_size, *[width] * 4))
        self.own = nn.ModuleList(nn.Sequential(*_linear_and_relu(*[width] * 4), nn.Linear(width, style_size))
                                 for _ in range(domains))

    def forward(self, z: Tensor) -> Tensor:
        shared = self.shared(z)
        return torch.stack([own(shared) for own in self.own], 1)


def _linear_and_relu(*sizes: int) -> list[nn.Module]:
    return [part for inputs, outputs in zip(sizes, sizes[1:], strict=False)
            for part in (nn.Linear(inputs, outputs), nn.ReLU())]


class Trunk(nn.Sequential):
    """Residual blocks without a norm down to 4x4, and a convolution as large: [N, C, H, W] to [N, F, 1, 1]."""

    def __init__(self, channels: int, size: tuple[int, int], width: int, widest: int) -> None:
        depth = halvings(*size, LAST_SIDE)
        widths = [min(width * 2**i, widest) for i in range(depth + 1)]
        last = size[0] // 2**depth, size[1] // 2**depth
        super().__init__(Convolution(channels, widths[0], 3, padding=1),
                         *[EncoderBlock(inputs, outputs, halve=True, norm=False)
                           for inputs, outputs in zip(widths, widths[1:], strict=False)],
                         nn.LeakyReLU(SLOPE), Convolution(widths[-1], widths[-1], last), nn.LeakyReLU(SLOPE))
        self.features = widths[-1]


class StyleEncoder(nn.Module):
    """Images to their style in each domain, [N, C, H, W] to [N, K, S]."""

    def __init__(self, channels: int, size: tuple[int, int], width: int, widest: int, style_size: int, domains: int) -> None:
        super().__init__()
        self.trunk = Trunk(channels, size, width, widest)
        self.own = nn.ModuleList(nn.Linear(self.trunk.features, style_size) for _ in range(domains))

    def forward(self, x: Tensor) -> Tensor:
        features = self.trunk(x).flatten(1)
        return torch.stack([own(features) for own in self.own], 1)


class DomainDiscriminator(nn.Module):
    """Images to a logit of each domain, [N, C, H, W] to [N, K]."""

    def __init__(self, channels: int, size: tuple[int, int], width: int, widest: int, domains: int) -> None:
        super().__init__()
        self.trunk = Trunk(channels, size, width, widest)
        self.head = Convolution(self.trunk.features, domains, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.trunk(x)).flatten(1)


def of_domains(each: Tensor, labels: Tensor) -> Tensor:
    """Return of what there is for each domain [N, K, ...] that of each example's own domain [N, ...], labels [N] int64."""
    return each[torch.arange(len(labels), device=labels.device), labels]
