"""Deep convolutional GAN (Radford 2016).

Differs from the paper's code (github.com/Newmu/dcgan_code): kernels are 4x4 unless model.kernel=5, its size (the 4x4 of the
widely used port, soumith/dcgan.torch, has 16 of its 25 products); no weight decay (its L2 is 1e-5 for faces, 2.5e-5 for
MNIST, added to the gradients before Adam: optimizer.weight_decay=1e-5); the generator's last layer and the discriminator's
first and last have biases; both players' turns are on one batch (trainer.reuse_generated=false gives each latents of its
own, as there), and samples are drawn from an average of the generator's weights, which the paper has not
(trainer.ema_kimg=null).
"""

from dataclasses import dataclass

from gancli.data.spec import DataSpec
from gancli.errors import check_choice, check_range
from gancli.game.pair import PairModel
from gancli.game.prior import Uniform
from gancli.losses.objective import Objective
from gancli.networks.convolution import check_kernel
from gancli.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from gancli.networks.layers import NORMS
from gancli.options import Recipe
from gancli.registry import models


@dataclass(kw_only=True)
class DCGANOptions:
    """The paper's networks at any width."""

    name: str
    latent_size: int
    width: int  # channels of the largest maps; the paper's 1024 channels at 4x4 are width=128 with 64x64 images
    discriminator_norm: str  # batch (the paper), layer, instance or none
    kernel: int = 4  # side of the convolutions: 5 (the paper) or 4; checkpoints older than this option have 4
    recipe: Recipe

    def __post_init__(self) -> None:
        check_range("model.latent_size", self.latent_size, 1)
        check_range("model.width", self.width, 1)
        check_choice("model.discriminator_norm", self.discriminator_norm, NORMS)
        check_kernel("model.kernel", self.kernel)


@models.register("dcgan", options=DCGANOptions)
class DCGAN(PairModel):
    """Strided and fractionally strided convolutions, batch norm, latents uniform in [-1, 1] (Radford 2016)."""

    small = {"width": 4, "latent_size": 6}

    def __init__(self, options: DCGANOptions, spec: DataSpec, objective: Objective) -> None:
        generator = DCGANGenerator(options.latent_size, spec.shape, options.width, options.kernel)
        discriminator = DCGANDiscriminator(spec.shape, options.width, options.discriminator_norm, kernel=options.kernel)
        super().__init__(spec, objective, generator, discriminator, Uniform(options.latent_size, low=-1.0, high=1.0))
