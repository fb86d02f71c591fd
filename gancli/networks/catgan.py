"""The fully connected networks of CatGAN for MNIST, as smayru/catgan has them (Springenberg 2016), for images and points.

Legend: N batch, K categories, Z latent size.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from gancli.networks.layers import GaussianNoise, norm_layer
from gancli.networks.mlp import flat_values, shaped_values

SLOPE = 0.1


class CategoricalDiscriminator(nn.Module):
    """Layers with Gaussian noise, batch norm and LeakyReLU, noise on the input, too, and one logit a category."""

    def __init__(self, shape: tuple[int, ...], units: Sequence[int], categories: int, unit_range: bool, noise: float) -> None:
        super().__init__()
        self.unit_range, self.noise = unit_range, GaussianNoise(noise)
        self.layers = nn.ModuleList(nn.Linear(one, two, bias=False) for one, two in pairwise((prod(shape), *units)))
        self.norms = nn.ModuleList(norm_layer("batch", size) for size in units)
        self.head = nn.Linear(units[-1], categories)

    def forward(self, x: Tensor) -> Tensor:  # [N, *shape] -> [N, K]
        x = self.noise(flat_values(x, self.unit_range))
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = leaky_relu(norm(self.noise(layer(x))), SLOPE)
        return self.head(x)


class LeakyGenerator(nn.Module):
    """LeakyReLU layers with batch norm; a sigmoid for images."""

    def __init__(self, latent_size: int, units: Sequence[int], shape: tuple[int, ...], unit_range: bool) -> None:
        super().__init__()
        self.shape, self.unit_range = shape, unit_range
        self.layers = nn.ModuleList(nn.Linear(one, two, bias=False) for one, two in pairwise((latent_size, *units)))
        self.norms = nn.ModuleList(norm_layer("batch", size) for size in units)
        self.head = nn.Linear(units[-1], prod(shape))

    def forward(self, z: Tensor) -> Tensor:  # [N, Z] -> [N, *shape]
        for layer, norm in zip(self.layers, self.norms, strict=True):
            z = leaky_relu(norm(layer(z)), SLOPE)
        return shaped_values(self.head(z), self.shape, self.unit_range)
