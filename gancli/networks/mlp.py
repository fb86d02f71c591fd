"""Multilayer perceptrons: plain ones, maxout ones with dropout (Goodfellow 2014), conditional ones (Mirza 2014).

Images are in [-1, 1] outside.  Where `unit_range`, a network works in [0, 1] as its paper does: a generator ends in
a sigmoid, a discriminator or encoder maps its input.  Points of the plane need neither.

Legend: N batch, X values of an example, Z latent size, K condition size, Y label classes.
"""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, relu

from gancli.errors import check_range
from gancli.networks.layers import Dropout, Maxout, norm_layer


def check_units(key: str, units: Sequence[int]) -> None:
    """Raise a ValueError naming `key` unless there is a hidden layer, and each has a unit."""
    if not units:
        raise ValueError(f"{key}=[] leaves no hidden layer: give the units of each, as [500,500]")
    for size in units:
        check_range(key, size, 1)


def flat_values(x: Tensor, unit_range: bool) -> Tensor:
    """Flatten examples to [N, X], images to [0, 1] where `unit_range`."""
    x = x.flatten(1)
    return (x + 1) / 2 if unit_range else x


def shaped_values(x: Tensor, shape: tuple[int, ...], unit_range: bool) -> Tensor:
    """Give the last layer's outputs the data's shape; through a sigmoid, then to [-1, 1], where `unit_range`."""
    return (x.sigmoid() * 2 - 1 if unit_range else x).unflatten(1, shape)


class MLPFeatures(nn.Module):
    """Hidden layers, each linear, normalized, and (leaky) ReLU (as Donahue 2017's code for MNIST).

    The norm is free of parameters unless `affine`; the first layer goes without unless `norm_first`.  A condition joins every
    layer from number `condition_from` on (the last in any case) through a linear map of its own.
    """

    def __init__(self, inputs: int, units: int, layers: int, norm: str, slope: float, condition_size: int = 0,
                 condition_from: int = 0, norm_first: bool = False, affine: bool = False) -> None:
        super().__init__()
        self.features, self.slope = units, slope
        self.condition_from = min(condition_from, layers - 1)
        kinds = [norm if norm_first else "none", *[norm] * (layers - 1)]
        self.layers = nn.ModuleList(
            nn.Linear(inputs if i == 0 else units, units, bias=kind == "none") for i, kind in enumerate(kinds))
        self.norms = nn.ModuleList(norm_layer(kind, units, affine) for kind in kinds)
        self.conditions = nn.ModuleList(
            nn.Linear(condition_size, units, bias=False) for _ in (kinds[self.condition_from:] if condition_size else []))

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:  # [N, X], [N, K] -> [N, units]
        for i, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            x = layer(x)
            if self.conditions and i >= self.condition_from:
                x = x + self.conditions[i - self.condition_from](condition)
            x = leaky_relu(norm(x), self.slope)
        return x


class MLPGenerator(nn.Module):
    """z through hidden ReLU layers to data.

    Where `rejoined`, z joins every layer after the first again, and the first is normalized too (as Donahue 2017's code).
    """

    def __init__(self, latent_size: int, units: int, layers: int, shape: tuple[int, ...], unit_range: bool,
                 norm: str = "none", rejoined: bool = False) -> None:
        super().__init__()
        self.shape, self.unit_range = shape, unit_range
        again = latent_size if rejoined and layers > 1 else 0
        self.body = MLPFeatures(latent_size, units, layers, norm, 0.0, again, condition_from=1, norm_first=rejoined)
        self.head = nn.Linear(units, prod(shape))

    def forward(self, z: Tensor) -> Tensor:  # [N, Z] -> [N, *shape]
        return shaped_values(self.head(self.body(z, z)), self.shape, self.unit_range)


class MLPDiscriminator(nn.Module):
    """LeakyReLU layers over an example and, where there is one, its condition (as Donahue 2017's code for MNIST)."""

    def __init__(self, shape: tuple[int, ...], units: int, layers: int, unit_range: bool, norm: str,
                 condition_size: int = 0, condition_from: int = 0) -> None:
        super().__init__()
        self.unit_range = unit_range
        self.body = MLPFeatures(prod(shape), units, layers, norm, 0.2, condition_size, condition_from)
        self.head = nn.Linear(units, 1)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:  # [N, *shape], [N, K] -> [N]
        return self.head(self.body(flat_values(x, self.unit_range), condition)).flatten()


class MLPEncoder(nn.Module):
    """An example through LeakyReLU layers to a latent in [-1, 1] (as Donahue 2017's code for MNIST)."""

    def __init__(self, shape: tuple[int, ...], units: int, layers: int, unit_range: bool, latent_size: int) -> None:
        super().__init__()
        self.unit_range = unit_range
        self.body = MLPFeatures(prod(shape), units, layers, "batch", 0.2)
        self.head = nn.Linear(units, latent_size)

    def forward(self, x: Tensor) -> Tensor:  # [N, *shape] -> [N, Z]
        return self.head(self.body(flat_values(x, self.unit_range))).sigmoid() * 2 - 1


class DropoutDiscriminator(nn.Module):
    """Maxout layers with dropout on the input and on every hidden layer (Goodfellow 2014, section 5).

    Without `pieces` the layers have LeakyReLU units.
    """

    def __init__(self, shape: tuple[int, ...], units: int, layers: int, pieces: int | None, unit_range: bool,
                 dropout: float, input_dropout: float) -> None:
        super().__init__()
        self.unit_range = unit_range
        parts, inputs = [Dropout(input_dropout)], prod(shape)
        for _ in range(layers):
            layer = [Maxout(inputs, units, pieces)] if pieces else [nn.Linear(inputs, units), nn.LeakyReLU(0.2)]
            parts += [*layer, Dropout(dropout)]
            inputs = units
        self.layers = nn.Sequential(*parts, nn.Linear(inputs, 1))

    def forward(self, x: Tensor) -> Tensor:  # [N, *shape] -> [N]
        return self.layers(flat_values(x, self.unit_range)).flatten()


class ConditionalGenerator(nn.Module):
    """z and label each through a ReLU layer of its own, both through a joint one (Mirza 2014, section 4.1)."""

    def __init__(self, latent_size: int, classes: int, latent_units: int, label_units: int, joint_units: int,
                 shape: tuple[int, ...], unit_range: bool, dropout: float) -> None:
        super().__init__()
        self.shape, self.unit_range = shape, unit_range
        self.latent = nn.Linear(latent_size, latent_units)
        self.label = nn.Linear(classes, label_units)
        self.joint = nn.Linear(latent_units + label_units, joint_units)
        self.head = nn.Linear(joint_units, prod(shape))
        self.dropout = Dropout(dropout)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:  # [N, Z], [N, Y] -> [N, *shape]
        hidden = self.dropout(relu(torch.cat((self.latent(z), self.label(labels)), 1)))
        hidden = self.dropout(relu(self.joint(hidden)))
        return shaped_values(self.head(hidden), self.shape, self.unit_range)


class ConditionalMaxoutDiscriminator(nn.Module):
    """x and label each through a maxout layer of its own, both through a joint one (Mirza 2014, section 4.1)."""

    def __init__(self, shape: tuple[int, ...], classes: int, units: int, label_units: int, unit_range: bool,
                 dropout: float) -> None:
        super().__init__()
        self.unit_range = unit_range
        self.image = Maxout(prod(shape), units, pieces=5)
        self.label = Maxout(classes, label_units, pieces=5)
        self.joint = Maxout(units + label_units, units, pieces=4)
        self.head = nn.Linear(units, 1)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:  # [N, *shape], [N, Y] -> [N]
        hidden = torch.cat((self.image(flat_values(x, self.unit_range)), self.label(labels)), 1)
        return self.head(self.dropout(self.joint(self.dropout(hidden)))).flatten()
