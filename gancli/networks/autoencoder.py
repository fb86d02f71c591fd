"""Encoders and decoders of autoencoders: unbounded outputs, which parametrize the laws of latents and of data.

A decoder's output for an image's value is a logit: the sigmoid of it is the value in [0, 1].

Legend: N batch, C channels, H height, W width, Z latent size, O outputs (Z, or 2 Z for mean and log variance).
"""

from math import prod

from torch import Tensor, nn

from gancli.networks.dcgan import WEIGHT_STD, ConvFeatures, DCGANGenerator
from gancli.networks.initialization import normal_init
from gancli.networks.mlp import MLPFeatures, flat_values


class MLPReader(nn.Module):
    """An example, images in [0, 1], through ReLU layers to unbounded numbers (Kingma 2014, appendix C)."""

    def __init__(self, shape: tuple[int, ...], units: int, layers: int, unit_range: bool, outputs: int) -> None:
        super().__init__()
        self.unit_range = unit_range
        self.body = MLPFeatures(prod(shape), units, layers, "none", slope=0.0)
        self.head = nn.Linear(units, outputs)

    def forward(self, x: Tensor) -> Tensor:  # [N, *shape] -> [N, O]
        return self.head(self.body(flat_values(x, self.unit_range)))


class MLPDecoder(nn.Module):
    """A latent through ReLU layers to logits of an image's values, or to a point (Kingma 2014, appendix C)."""

    def __init__(self, latent_size: int, units: int, layers: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape
        self.body = MLPFeatures(latent_size, units, layers, "none", slope=0.0)
        self.head = nn.Linear(units, prod(shape))

    def forward(self, z: Tensor) -> Tensor:  # [N, Z] -> [N, *shape]
        return self.head(self.body(z)).unflatten(1, self.shape)


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
