"""The networks of Salimans 2016's semi-supervised experiments (github.com/openai/improved-gan, mnist_svhn_cifar10).

The fully connected ones are those for MNIST (train_mnist_feature_matching.py), of any size of images or of points; the
convolutional ones those for CIFAR-10 (train_cifar_feature_matching.py), for any size from 8 up: at 32x32 the generator has
the script's three doublings, at other sizes as many as end at a map with a side of 4 to 7.

Legend: N batch, C channels, H height, W width, K classes, F features, Z latent size.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, relu, softplus

from gancli.networks.convolution import Doubling
from gancli.networks.dcgan import halvings
from gancli.networks.layers import Dropout, GaussianNoise, norm_layer
from gancli.networks.mlp import flat_values, shaped_values
from gancli.networks.weight_norm import WeightNorm

MLP_STD, CONV_STD = 0.1, 0.05  # of the directions
EPS = 1e-6  # of variances and squared norms
SLOPE = 0.2
KERNEL = 5  # of the generator
WIDEST = 4  # times `width`, the generator's channels before the image


class NoisyClassifier(nn.Module):
    """Weight-normed ReLU layers with Gaussian noise on the input and behind each; gains stay as they start but the last."""

    def __init__(self, shape: tuple[int, ...], units: Sequence[int], classes: int, unit_range: bool, input_noise: float,
                 noise: float) -> None:
        super().__init__()
        self.unit_range = unit_range
        self.input_noise, self.noise = GaussianNoise(input_noise), GaussianNoise(noise)
        sizes = pairwise((prod(shape), *units))
        self.layers = nn.ModuleList(WeightNorm(_linear(one, two, MLP_STD), two) for one, two in sizes)
        self.head = WeightNorm(_linear(units[-1], classes, MLP_STD), classes, trained_gain=True)

    def forward(self, *parts: Tensor) -> tuple[Tensor, Tensor]:  # [n, *shape] each -> [N, K], [N, F]
        """Return logits, and the last hidden layer before its noise, of several batches of one size, one behind the other."""
        x = joined(self.input_noise, flat_values(torch.cat(parts), self.unit_range), len(parts))
        for layer in self.layers[:-1]:
            x = joined(self.noise, relu(layer(x)), len(parts))
        features = relu(self.layers[-1](x))
        return self.head(joined(self.noise, features, len(parts))), features


def joined(noise: nn.Module, x: Tensor, parts: int) -> Tensor:
    """Return what a layer of random numbers makes of batches one behind the other: each has a draw of its own, on any rank."""
    return noise(x) if parts == 1 or not noise.training else torch.cat([noise(part) for part in x.chunk(parts)])


class SoftplusGenerator(nn.Module):
    """Softplus layers with batch norm, which has an offset and no gain; a weight-normed last layer and a sigmoid."""

    def __init__(self, latent_size: int, units: Sequence[int], shape: tuple[int, ...], unit_range: bool) -> None:
        super().__init__()
        self.shape, self.unit_range = shape, unit_range
        self.layers = nn.ModuleList(nn.Linear(one, two, bias=False) for one, two in pairwise((latent_size, *units)))
        self.norms = nn.ModuleList(OffsetNorm(size) for size in units)
        head = nn.Linear(units[-1], prod(shape), bias=False)
        for layer in (*self.layers, head):
            nn.init.xavier_uniform_(layer.weight)
        self.head = WeightNorm(head, prod(shape), trained_gain=True, spread=None, eps=EPS)

    def forward(self, z: Tensor) -> Tensor:  # [N, Z] -> [N, *shape]
        for layer, norm in zip(self.layers, self.norms, strict=True):
            z = softplus(norm(layer(z)))
        return shaped_values(self.head(z), self.shape, self.unit_range)


class OffsetNorm(nn.Module):
    """Batch norm over everything but dimension 1, then an offset and no gain."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = norm_layer("batch", channels, affine=False)
        self.norm.eps = EPS
        self.offset = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:  # [N, C, ...] -> the same
        x = self.norm(x)
        return x + self.offset.to(x.dtype).view(1, -1, *[1] * (x.dim() - 2))


class ConvClassifier(nn.Module):
    """Nine weight-normed convolutions with LeakyReLU and dropout, the mean of the last maps, and one output a class."""

    def __init__(self, shape: tuple[int, int, int], width: int, classes: int, input_dropout: float, dropout: float) -> None:
        super().__init__()
        channels, *size = shape
        smallest = min(-(-side // 4) for side in size)  # after two layers of stride 2
        narrow, wide = width, 2 * width
        self.input_dropout, self.dropout = Dropout(input_dropout), Dropout(dropout)
        self.blocks = nn.ModuleList([
            _block(_conv(channels, narrow), _conv(narrow, narrow), _conv(narrow, narrow, stride=2)),
            _block(_conv(narrow, wide), _conv(wide, wide), _conv(wide, wide, stride=2)),
            _block(_conv(wide, wide, padding=0 if smallest >= 3 else 1), _conv(wide, wide, 1, padding=0),
                   _conv(wide, wide, 1, padding=0))])
        self.head = WeightNorm(_linear(wide, classes, CONV_STD), classes, trained_gain=True, spread=0.1, eps=EPS)

    def forward(self, *parts: Tensor) -> tuple[Tensor, Tensor]:  # [n, C, H, W] each -> [N, K], [N, F]
        """Return logits, and the means of the last maps, of several batches of one size, one behind the other."""
        x = joined(self.input_dropout, torch.cat(parts), len(parts))
        for number, block in enumerate(self.blocks):
            x = joined(self.dropout, x, len(parts)) if number else x
            for layer in block:
                x = leaky_relu(layer(x), SLOPE)
        features = x.mean((2, 3))
        return self.head(features), features


class ConvGenerator(nn.Module):
    """z projected to a small map, 5x5 transposed convolutions with batch norm and ReLU, a weight-normed last one, tanh."""

    def __init__(self, latent_size: int, shape: tuple[int, int, int], width: int) -> None:
        super().__init__()
        channels, *size = shape
        sizes = halvings(*size)[::-1]  # from the smallest map up to the image
        widths = [width * min(2**i, WIDEST) for i in range(len(sizes) - 1)][::-1]
        self.start = (widths[0], *sizes[0])
        self.project = _linear(latent_size, prod(self.start), CONV_STD)
        self.norms = nn.ModuleList([OffsetNorm(prod(self.start)), *map(OffsetNorm, widths[1:])])
        odd = [(large[0] - 2 * small[0], large[1] - 2 * small[1]) for small, large in pairwise(sizes)]
        self.layers = nn.ModuleList(Doubling(one, two, False, more, KERNEL)
                                    for (one, two), more in zip(pairwise(widths), odd, strict=False))
        last = Doubling(widths[-1], channels, False, odd[-1], KERNEL)
        for layer in (*self.layers, last):
            nn.init.normal_(layer.weight, 0.0, CONV_STD)
        self.head = WeightNorm(last, channels, trained_gain=True, spread=0.1, eps=EPS)

    def forward(self, z: Tensor) -> Tensor:  # [N, Z] -> [N, C, H, W] in [-1, 1]
        x = relu(self.norms[0](self.project(z))).unflatten(1, self.start)
        for norm, layer in zip(self.norms[1:], self.layers, strict=True):
            x = relu(norm(layer(x)))
        return self.head(x).tanh()


def _linear(inputs: int, outputs: int, std: float) -> nn.Linear:
    layer = nn.Linear(inputs, outputs, bias=False)
    nn.init.normal_(layer.weight, 0.0, std)
    return layer


def _conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, padding: int = 1) -> WeightNorm:
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
    nn.init.normal_(layer.weight, 0.0, CONV_STD)
    return WeightNorm(layer, outputs, eps=EPS)


def _block(*layers: WeightNorm) -> nn.ModuleList:
    return nn.ModuleList(layers)
