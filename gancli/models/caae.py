"""CAAE: an autoencoder told a label, against discriminators of images with their labels and of codes (Zhang 2017, 1702.08423).

Labels are ages in the paper, and here any classes in an order: digits turned by some angles will do.  With z = E(x), G(z, l),
and z* uniform in [-1, 1] (eq. 5):

    autoencoder           lambda_reconstruction |x - G(E(x), l)|^2 + lambda_tv TV(G(E(x), l))
                          + lambda_image (its loss against D_img) + lambda_code (its loss against D_z)
    discriminator         D_img: (x, l) is real, (G(E(x), l), l) fake
    code_discriminator    D_z: z* is real, E(x) fake

All learn at one point and then step, as in the authors' code (github.com/ZZUTK/Face-Aging-CAAE), whose networks and rates
these are.  Squares are means over an image's values, and so is TV: the code's sums would need weights for every size.
lambda_image and lambda_code are the 1 of eq. 5, and the other weights ours.  The code as published has the absolute error
alone, or with 1e-4 for lambda_image: model.reconstruction=l1 model.lambda_reconstruction=1 model.lambda_tv=0
model.lambda_image=1e-4 model.lambda_code=0; its discriminator of codes learns, and nobody heeds it.

Differs: the label is the only condition (there a gender, too); D_img halves small images less often than four times;
norms of the discriminators have gains; no spectral norm in the encoder and D_img, which one version of that code has
(loss.spectral_norm=true normalizes the discriminators); the initial deviation is an option, since 0.02 is for the widths
of the code.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from gancli.data.spec import Batch, DataSpec
from gancli.errors import check_choice, check_range
from gancli.game.model import Fixed, Model, Needs, Progress, no_loss_for
from gancli.game.phase import Phase, in_turn
from gancli.game.prior import Uniform
from gancli.game.showcase import interleave_rows, reconstructions
from gancli.losses.objective import Objective
from gancli.losses.smoothness import total_variation
from gancli.networks.caae import CAAECodeDiscriminator, CAAEEncoder, CAAEGenerator, CAAEImageDiscriminator
from gancli.networks.initialization import normal_init
from gancli.networks.layers import NORMS, label_weights
from gancli.options import Recipe
from gancli.registry import models

ERRORS = ("l2", "l1")
Scalars = dict[str, Tensor]


@dataclass
class CAAEOptions:
    """The widths of the networks, and how the losses are weighed."""

    name: str
    latent_size: int
    width: int  # channels of the encoder's first maps, doubled with every halving
    generator_width: int  # of the generator's smallest map, halved with every doubling
    discriminator_width: int  # of the first maps of the discriminator of images
    discriminator_norm: str  # of both discriminators: batch (the authors' code), layer, instance or none
    reconstruction: str  # one of ERRORS: the mean of squared or of absolute differences
    lambda_reconstruction: float
    lambda_tv: float
    lambda_image: float
    lambda_code: float
    init_std: float  # of the weights at the start
    recipe: Recipe

    def __post_init__(self) -> None:
        for key in ("latent_size", "width", "generator_width", "discriminator_width"):
            check_range(f"model.{key}", getattr(self, key), 1)
        for key in ("lambda_reconstruction", "lambda_tv", "lambda_image", "lambda_code"):
            check_range(f"model.{key}", getattr(self, key), 0)
        check_range("model.init_std", self.init_std, 0, open_low=True)
        check_choice("model.discriminator_norm", self.discriminator_norm, NORMS)
        check_choice("model.reconstruction", self.reconstruction, ERRORS)


@models.register("caae", options=CAAEOptions)
class CAAE(Model):
    """Encoder and generator against a discriminator of images with their labels and one of codes."""

    discriminators = ("discriminator", "code_discriminator")
    needs = Needs(labels=True)
    refuses_augment = "one of its discriminators sees codes, and no images"
    small = {"latent_size": 6, "width": 4, "generator_width": 16, "discriminator_width": 4, "init_std": 0.1}
    variants = ({}, {"reconstruction": "l1"})

    def __init__(self, options: CAAEOptions, spec: DataSpec, objective: Objective) -> None:
        super().__init__(spec, objective)
        self.options, self.classes = options, len(spec.classes)
        self.prior = Uniform(options.latent_size, low=-1.0, high=1.0)
        self.encoder = CAAEEncoder(spec.shape, options.width, options.latent_size)
        self.generator = CAAEGenerator(options.latent_size, self.classes, spec.shape, options.generator_width)
        self.discriminator = CAAEImageDiscriminator(spec.shape, self.classes, options.discriminator_width,
                                                    options.discriminator_norm)
        self.code_discriminator = CAAECodeDiscriminator(options.latent_size, options.discriminator_norm)
        normal_init(self, options.init_std)
        self.players = {"discriminator": [self.discriminator], "code_discriminator": [self.code_discriminator],
                        "autoencoder": [self.encoder, self.generator]}

    def phase(self, progress: Progress, default: Phase) -> Phase:
        """All players step from one point; discriminators of several turns take them by themselves."""
        if len(default.turns) > len(self.players):
            return default
        return in_turn(list(self.players), together=True)

    def prepare(self, batch: Batch) -> "Coded":
        return self._coded(batch)

    def player_loss(self, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, Scalars]:
        made = self._coded(batch) if batch.prepared is None else batch.prepared
        if player == "autoencoder":
            return self._autoencoder_loss(batch, made)
        if player not in self.players:
            raise no_loss_for(player, self)
        if batch.prepared is not None:  # its graph is the autoencoder's
            made = Coded(*(part.detach() for part in made))
        turn = progress.turns.get(player, 0)
        images, codes = self._rivals(batch, made)
        judged = (self.objective.discriminator(self.judge, *images, turn) if player == "discriminator"
                  else self.objective.discriminator(self.code_discriminator, *codes, turn))
        return judged.loss, judged.scalars

    def _autoencoder_loss(self, batch: Batch, made: "Coded") -> tuple[Tensor, Scalars]:
        options = self.options
        difference = made.reconstruction.float() - batch.real
        error = (difference.square() if options.reconstruction == "l2" else difference.abs()).mean()
        variation = total_variation(made.reconstruction.float())
        (real, fake), (drawn, codes) = self._rivals(batch, made)
        image = self.objective.generator(self.judge, fake, real)
        code = self.objective.generator(self.code_discriminator, codes, drawn)
        loss = (options.lambda_reconstruction * error + options.lambda_tv * variation
                + options.lambda_image * image.loss + options.lambda_code * code.loss)
        return loss, image.scalars | {"code_adversarial": code.loss.detach(), "reconstruction": error.detach(),
                                      "total_variation": variation.detach()}

    def _rivals(self, batch: Batch, made: "Coded") -> tuple[tuple[tuple[Tensor, ...], tuple[Tensor, ...]], ...]:
        """Return the real and the fake inputs of the discriminator of images, and those of the one of codes."""
        assert batch.labels is not None  # the data were checked
        images = (batch.real, batch.labels), (made.reconstruction, batch.labels)
        return images, ((made.drawn,), (made.codes,))

    def judge(self, x: Tensor, labels: Tensor) -> Tensor:
        """Return the logits [N] of images with their labels."""
        return self.discriminator(x, label_weights(labels, self.classes))

    def _coded(self, batch: Batch) -> "Coded":
        codes = self.encoder(batch.real)
        return Coded(codes, self.generate(codes, batch.labels), self.prior.like(batch.real))

    # Abilities

    def draw_latents(self, n: int, generator: torch.Generator) -> Tensor:
        """Return n latents [n, Z] of the prior, on the CPU."""
        return self.prior.draw(n, generator)

    def generate(self, z: Tensor, labels: Tensor) -> Tensor:
        """Return the images of latents [N, Z] at labels, [N] int64 or weights [N, classes]."""
        return self.generator(z, label_weights(labels, self.classes))

    def sample(self, n: int, generator: torch.Generator, labels: Tensor | None = None) -> Tensor:
        """Return n generated images; labels that are not given are drawn at random."""
        if labels is None:
            labels = torch.randint(self.classes, (n,), generator=generator)
        return super().sample(n, generator, labels)

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes [N, Z] of images, which say nothing of the label if all went well."""
        return self.encoder(x)

    def reconstruct(self, x: Tensor, labels: Tensor) -> Tensor:
        """Return images as their codes and their labels [N] tell them."""
        return self.generate(self.encode(x), labels)

    def bands(self, name: str, fixed: Fixed) -> tuple[str, ...]:
        if name != "labels":
            return super().bands(name, fixed)
        rows = self._label_rows(fixed)
        return "real", *(self.spec.classes[row * self.classes // rows] for row in range(rows))

    def showcase(self, fixed: Fixed) -> dict[str, Tensor]:
        assert fixed.z is not None  # the prior is there to be drawn from
        return {"samples": self.generate(fixed.z, fixed.labels), "reconstructions": reconstructions(self, fixed),
                "labels": self._over_labels(fixed)}

    def _label_rows(self, fixed: Fixed) -> int:
        """Return how many labels are shown."""
        return min(self.classes, max(1, len(fixed.batch) // fixed.columns - 1))

    def _over_labels(self, fixed: Fixed) -> Tensor:
        """Return a row of real images, and below it what their codes become at labels, a row each, evenly spread over all."""
        real = fixed.batch.real[:fixed.columns]
        z = self.encode(real)
        rows = self._label_rows(fixed)
        told = [self.generate(z, torch.full((len(z),), row * self.classes // rows, device=z.device)) for row in range(rows)]
        return interleave_rows(fixed.columns, real, *told)


class Coded(NamedTuple):
    """What was made of a batch."""

    codes: Tensor  # [N, Z]
    reconstruction: Tensor  # [N, C, H, W]
    drawn: Tensor  # latents of the prior, [N, Z]
