"""The first GAN: two multilayer perceptrons (Goodfellow 2014).

Sizes, latents, initial weights, dropout, optimizer and simultaneous steps are those of the settings published with the
paper (github.com/goodfeli/adversarial, mnist.yaml).  That code halves the discriminator's cost; with SGD this is half its
learning rate, which the recipe gives.  Two things differ: the biases of the generator's output start at the logits of the
values' means over one batch and not over all data, and the schedules (momentum rising to 0.7, learning rate divided by
1.000004 a step) are left out.  With biases of 0 and players in turn D(x) came to 1.00 on MNIST and samples to one image
(3 of 3 runs at 32x32 within 120 kimg); D(x) did so with players in turn alone, too (2 of 2 runs, 32x32 and 28x28, within 130
kimg).  Narrower networks (400 and 100 units) do better in turn.

Those settings are for images.  On points of the plane weights within 0.005 of 0, dropout of whole coordinates and SGD find no
mode at all (0 of ring's 8 after 600 kimg): conf/data_recipe/gan-points.yaml has what `dataset=ring` and its like change.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import sqrt

import torch

from gancli.data.spec import Batch, DataSpec
from gancli.errors import check_choice, check_range
from gancli.game.model import Needs
from gancli.game.pair import PairModel
from gancli.game.prior import Normal, Prior, Uniform
from gancli.losses.objective import Objective
from gancli.networks.initialization import he_init, uniform_init
from gancli.networks.mlp import DropoutDiscriminator, MLPGenerator, flat_values
from gancli.options import Recipe
from gancli.registry import models

PRIORS: dict[str, Callable[[int], Prior]] = {"normal": Normal, "uniform": partial(Uniform, low=-sqrt(3), high=sqrt(3))}


@dataclass
class GANOptions:
    """Two MLPs; the data's shape is free (images are flattened, points taken as they are)."""

    name: str
    latent_size: int
    generator_units: int  # of every hidden layer
    generator_layers: int
    discriminator_units: int
    discriminator_layers: int
    pieces: int | None  # linear functions of which each maxout unit takes the largest; null: LeakyReLU units
    dropout: float  # of the discriminator's hidden layers
    input_dropout: float
    generator_init: float | None  # weights start uniform in [-generator_init, generator_init]; null: He 2015
    discriminator_init: float | None
    prior: str  # normal, or uniform with its mean and variance
    marginals: bool  # the generator's last biases begin at the means of images' values, not at 0
    recipe: Recipe

    def __post_init__(self) -> None:
        for key in ("latent_size", "generator_units", "generator_layers", "discriminator_units",
                    "discriminator_layers", "pieces"):
            check_range(f"model.{key}", getattr(self, key), 1)
        check_choice("model.prior", self.prior, tuple(PRIORS))
        for key in ("dropout", "input_dropout"):
            check_range(f"model.{key}", getattr(self, key), 0, 0.99)
        for key in ("generator_init", "discriminator_init"):
            check_range(f"model.{key}", getattr(self, key), 0, open_low=True)


@models.register("gan", options=GANOptions)
class GAN(PairModel):
    """ReLU generator, maxout (or LeakyReLU) discriminator; images are in [0, 1] inside, points are generated linearly."""

    needs = Needs(kinds=("images", "points"), min_side=1)
    small = {"generator_units": 16, "discriminator_units": 12, "latent_size": 6}

    def __init__(self, options: GANOptions, spec: DataSpec, objective: Objective) -> None:
        generator = MLPGenerator(options.latent_size, options.generator_units, options.generator_layers, spec.shape,
                                 unit_range=spec.is_image)
        discriminator = DropoutDiscriminator(spec.shape, options.discriminator_units, options.discriminator_layers,
                                             options.pieces, spec.is_image, options.dropout, options.input_dropout)
        for network, bound in ((generator, options.generator_init), (discriminator, options.discriminator_init)):
            he_init(network) if bound is None else uniform_init(network, bound)
        super().__init__(spec, objective, generator, discriminator, PRIORS[options.prior](options.latent_size))
        self.marginals = options.marginals and spec.is_image

    @torch.no_grad()
    def begin(self, reference: Batch) -> None:
        """Start the generator at the mean of a batch of N images, its values at least 1 / 2N away from 0 and 1."""
        super().begin(reference)
        if self.marginals:
            values, least = flat_values(reference.real, True), 0.5 / len(reference.real)
            self.generator.head.bias.copy_(values.mean(0).clamp(least, 1 - least).logit())
