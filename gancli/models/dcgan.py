"""Deep convolutional GAN (Radford 2016)."""

from dataclasses import dataclass

from gancli.data.spec import DataSpec
from gancli.errors import check_choice, check_range
from gancli.game.pair import PairModel
from gancli.game.prior import Uniform
from gancli.losses.objective import Objective
from gancli.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from gancli.networks.layers import NORMS
from gancli.options import Recipe
from gancli.registry import models


@dataclass
class DCGANOptions:
    """The paper's networks at any width."""

    name: str
    latent_size: int
    width: int  # channels of the largest maps; the paper's 1024 channels at 4x4 are width=128 with 64x64 images
    discriminator_norm: str  # batch (the paper), layer, instance or none
    recipe: Recipe

    def __post_init__(self) -> None:
        check_range("model.latent_size", self.latent_size, 1)
        check_range("model.width", self.width, 1)
        check_choice("model.discriminator_norm", self.discriminator_norm, NORMS)


@models.register("dcgan", options=DCGANOptions)
class DCGAN(PairModel):
    """Strided and fractionally strided convolutions, batch norm, latents uniform in [-1, 1] (Radford 2016)."""

    small = {"width": 4, "latent_size": 6}

    def __init__(self, options: DCGANOptions, spec: DataSpec, objective: Objective) -> None:
        generator = DCGANGenerator(options.latent_size, spec.shape, options.width)
        discriminator = DCGANDiscriminator(spec.shape, options.width, options.discriminator_norm)
        super().__init__(spec, objective, generator, discriminator, Uniform(options.latent_size, low=-1.0, high=1.0))
