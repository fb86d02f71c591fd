"""Encoders and decoders of autoencoders: unbounded outputs, which parametrize the laws of latents and of data.

A decoder's output for an image's value is a logit: the sigmoid of it is the value in [0, 1].

Legend: N batch, C channels, H height, W width, Z latent size, O outputs (Z, or 2 Z for mean and log variance).
"""

from math import prod

import torch
from torch import Tensor, nn

from gancli.networks.dcgan import WEIGHT_STD, ConvFeatures, DCGANGenerator
from gancli.networks.initialization import normal_init
from gancli.networks.layers import label_weights
from gancli.networks.mlp import MLPFeatures, flat_values


class MLPReader(nn.Module):
    """An example, images in [0, 1], through ReLU layers, with a norm or without, to unbounded numbers (Kingma 2014)."""

    def __init__(self, shape: tuple[int, ...], units: int, layers: int, unit_range: bool, outputs: int,
                 norm: str = "none") -> None:
        super().__init__()
        self.unit_range = unit_range
        self.body = MLPFeatures(prod(shape), units, layers, norm, slope=0.0, norm_first=True, affine=True)
        self.head = nn.Linear(units, outputs)

    def forward(self, x: Tensor) -> Tensor:  # [N, *shape] -> [N, O]
        return self.head(self.body(flat_values(x, self.unit_range)))


class MLPDecoder(nn.Module):
    """A latent through ReLU layers, with a norm or without, to logits of an image's values, or to a point (Kingma 2014)."""

    def __init__(self, latent_size: int, units: int, layers: int, shape: tuple[int, ...], norm: str = "none") -> None:
        super().__init__()
        self.shape = shape
        self.body = MLPFeatures(latent_size, units, layers, norm, slope=0.0, norm_first=True, affine=True)
        self.head = nn.Linear(units, prod(shape))

    def forward(self, z: Tensor) -> Tensor:  # [N, Z] -> [N, *shape]
        return self.head(self.body(z)).unflatten(1, self.shape)


class CodeDiscriminator(nn.Module):
    """Judges codes, with their labels where there are any: ReLU layers to one logit (Makhzani 2016)."""

    def __init__(self, code_size: int, units: int, layers: int, labels: int = 0) -> None:
        super().__init__()
        self.labels = labels
        self.body = MLPFeatures(code_size + labels, units, layers, "none", slope=0.0)
        self.head = nn.Linear(units, 1)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:  # [N, Z], [N] int64 -> [N]
        if labels is not None:
            z = torch.cat((z, label_weights(labels, self.labels)), 1)
        return self.head(self.body(z)).flatten()


class ConvReader(nn.Module):
    """The body of DCGAN's discriminator, batch norm and all, with unbounded numbers for its outputs."""

    def __init__(self, shape: tuple[int, int, int], width: int, outputs: int) -> None:
        super().__init__()
        self.body = ConvFeatures(shape, width, "batch")
        self.head = nn.Linear(self.body.features, outputs)
        normal_init(self.head, WEIGHT_STD)

    def forward(self, x: Tensor) -> Tensor:  # [N, C, H, W] -> [N, O]
        return self.head(self.body(x))


class ConvDecoder(nn.Module):
    """DCGAN's generator as a decoder: its tanh(a) in [-1, 1] is sigmoid(2 a) in [0, 1], so that 2 a are the logits."""

    def __init__(self, latent_size: int, shape: tuple[int, int, int], width: int) -> None:
        super().__init__()
        self.generator = DCGANGenerator(latent_size, shape, width)

    def forward(self, z: Tensor) -> Tensor:  # [N, Z] -> [N, C, H, W]
        return 2 * self.generator.unbounded(z)
