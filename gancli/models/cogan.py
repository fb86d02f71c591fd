"""Coupled GANs: two domains, two generators and two discriminators with shared layers, one latent for both (Liu & Tuzel 2016).

Networks, weights, rates, weight decay and batch are those of the authors' code for digits and their edges
(github.com/mingyuliutw/CoGAN, cogan_pytorch), at any size of images; its images are 28x28, which dataset.size=28 gives.

Differs from that code: the discriminator has one output where that has two with a softmax, whose difference it is; the
generator's turn judges the images that the discriminator has just seen (there new ones: trainer.reuse_generated=false);
and samples are drawn from an average of the generator's weights (trainer.ema_kimg=null: from the weights themselves).
Training a classifier of the first domain for the second (the paper's domain adaptation) is not here.
"""

from dataclasses import dataclass

from torch import Tensor

from gancli.data.spec import Batch, DataSpec
from gancli.errors import check_range
from gancli.game.model import Fixed, Needs
from gancli.game.pair import Inputs, PairModel
from gancli.game.prior import Normal
from gancli.game.showcase import interleave_rows
from gancli.losses.objective import Objective
from gancli.networks.coupled import CoupledDiscriminator, CoupledGenerator
from gancli.options import Recipe
from gancli.registry import models


@dataclass
class CoGANOptions:
    """Transposed convolutions against LeCun 1998's convolutions."""

    name: str
    latent_size: int
    width: int  # channels of the generators' largest shared maps
    filters: list[int]  # of the discriminators' convolutions: each domain's own first, then the shared ones
    units: int  # of the discriminators' full layer
    recipe: Recipe

    def __post_init__(self) -> None:
        for key in ("latent_size", "width", "units"):
            check_range(f"model.{key}", getattr(self, key), 1)
        if not self.filters:
            raise ValueError("model.filters is empty: give model.filters=[20,50]")
        for filters in self.filters:
            check_range("model.filters", filters, 1)


@models.register("cogan", options=CoGANOptions)
class CoGAN(PairModel):
    """Both generators against both discriminators, in one game (Liu & Tuzel 2016, eq. 3).

    The generators share all layers but the last, the discriminators all but the first.  No pair of images is ever seen:
    what makes the domains' images of one latent belong together is the sharing alone.
    """

    needs = Needs(domains=2)
    small = {"latent_size": 6, "width": 4, "filters": [4, 6], "units": 8}

    def __init__(self, options: CoGANOptions, spec: DataSpec, objective: Objective) -> None:
        generator = CoupledGenerator(options.latent_size, spec.shape, options.width)
        discriminator = CoupledDiscriminator(spec.shape, options.filters, options.units)
        super().__init__(spec, objective, generator, discriminator, Normal(options.latent_size))

    def pairs(self, batch: Batch) -> tuple[Inputs, Inputs]:
        return batch.domains, self.generate_domains(self.latents_for(batch.real))

    def judge(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the logits of both domains' images, [2 N], those of one example side by side."""
        return self.discriminator(first, second).flatten()

    def generate(self, z: Tensor) -> Tensor:
        """Return the first domain's images of latents [N, Z]."""
        return self.generate_domains(z)[0]

    def generate_domains(self, z: Tensor) -> tuple[Tensor, ...]:
        """Return the images of latents [N, Z] in the first and in the second domain, [N, C, H, W] each."""
        return self.generator(z)

    def bands(self, name: str, fixed: Fixed) -> tuple[str, ...]:
        return self.spec.domains

    def showcase(self, fixed: Fixed) -> dict[str, Tensor]:
        """Rows of the first domain, each with the second's images of the same latents below."""
        assert fixed.z is not None  # a pair draws latents
        return {"samples": interleave_rows(fixed.columns, *self.generate_domains(fixed.z))}
