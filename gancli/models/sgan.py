"""Semi-supervised GAN with K + 1 classes, the fake one's logit fixed at 0, and feature matching (Salimans 2016).

Networks, losses, rates and lengths are those of the authors' code (github.com/openai/improved-gan, mnist_svhn_cifar10):
backbone=mlp is its script for MNIST, backbone=conv, with features matched by absolute differences, its script for CIFAR-10
(dataset=cifar10 has these settings: conf/data_recipe/sgan-cifar10.yaml).  The generator learns by feature matching alone.

As there, the classifier is used with the average of its weights.  Here the average's half-life grows with the run up to the
script's (a ten-thousandth a step of 100 images is half of it in 693 kimg) where the script's starts at 0 without correction.

Differs: rates for MNIST are 1e-3 (classifier) and 3e-4 (generator).  With the script's 3e-3 for both, features grew, the
generator's images became one and the unlabeled loss 0 within a few hundred rounds, here and in a second program written
from the script; 1e-3 for both went the same way after 100,000 images, 3e-4 for both is stable and slower.  Adam's eps, 1e-8
within the root there, is 1e-4 outside of it.  Gains start from one batch of training (500 images there); both players of a
round see the same unlabeled images, of which the generator has other ones there.  With dataset.labeled=null all examples are
labeled.  model.unlabeled_weight=0 leaves a classifier that learns from the labeled examples alone, to compare with.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gancli.data.spec import Batch, DataSpec
from gancli.errors import check_choice, check_range
from gancli.game.backbone import BACKBONES, check_backbone_data
from gancli.game.model import Needs, Progress, no_loss_for
from gancli.game.pair import PairModel
from gancli.game.phase import Phase, in_turn
from gancli.game.prior import Uniform
from gancli.losses.objective import Objective
from gancli.losses.semi_supervised import feature_distance, real_or_fake, realness
from gancli.networks.mlp import check_units
from gancli.networks.sgan import ConvClassifier, ConvGenerator, NoisyClassifier, SoftplusGenerator
from gancli.networks.weight_norm import initializing
from gancli.options import Recipe
from gancli.registry import models

MATCHINGS = ("squares", "absolute")


@dataclass
class SGANOptions:
    """The authors' networks for MNIST, or those for CIFAR-10."""

    name: str
    backbone: str  # mlp (MNIST) or conv (CIFAR-10)
    latent_size: int
    units: list[int]  # mlp: of the classifier's hidden layers
    generator_units: list[int]  # mlp: of the generator's
    input_noise: float  # mlp: deviation of the noise on images in [0, 1]
    noise: float  # mlp: on every hidden layer
    width: int  # conv: channels of the classifier's first maps
    generator_width: int  # conv: channels of the generator's last maps before the image
    input_dropout: float  # conv
    dropout: float  # conv: between blocks
    matching: str  # of features: squares (MNIST) or absolute (CIFAR-10)
    unlabeled_weight: float  # of the loss without labels; 0: supervised learning alone, and no generator
    recipe: Recipe

    def __post_init__(self) -> None:
        check_choice("model.backbone", self.backbone, BACKBONES)
        check_choice("model.matching", self.matching, MATCHINGS)
        for key in ("latent_size", "width", "generator_width"):
            check_range(f"model.{key}", getattr(self, key), 1)
        for key in ("units", "generator_units"):
            check_units(f"model.{key}", getattr(self, key))
        for key in ("input_noise", "noise", "unlabeled_weight"):
            check_range(f"model.{key}", getattr(self, key), 0)
        for key in ("input_dropout", "dropout"):
            check_range(f"model.{key}", getattr(self, key), 0, 0.99)


@models.register("sgan", options=SGANOptions)
class SGAN(PairModel):
    """D learns the labels of some examples and to tell the others from G's; G matches the means of D's features."""

    needs = Needs(kinds=("images", "points"), labeled=True, min_side=1)
    losses = ()
    averaged = ("discriminator",)
    small = {"latent_size": 6, "units": [16, 12], "generator_units": [12, 10], "width": 4, "generator_width": 4}
    variants = ({}, {"backbone": "conv", "matching": "absolute"})

    def __init__(self, options: SGANOptions, spec: DataSpec, objective: Objective) -> None:
        generator, discriminator = (_mlp if options.backbone == "mlp" else _conv)(options, spec)
        super().__init__(spec, objective, generator, discriminator, Uniform(options.latent_size, low=0.0, high=1.0))
        self.squared, self.unlabeled_weight = options.matching == "squares", options.unlabeled_weight

    @classmethod
    def check_data(cls, options: Any, spec: DataSpec) -> None:
        super().check_data(options, spec)
        check_backbone_data(options.name, options.backbone, spec)

    @torch.no_grad()
    def begin(self, reference: Batch) -> None:
        """Start gains and biases from a batch of training images, and of as many generated ones."""
        super().begin(reference)
        with initializing():
            self.discriminator(reference.real)
            self.generate(self.latents_for(reference.real))

    def phase(self, progress: Progress, default: Phase) -> Phase:
        return default if self.unlabeled_weight else in_turn(["discriminator"], name="supervised")

    def player_loss(self, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, dict[str, Tensor]]:
        if player == "discriminator":
            return self._classifier_loss(batch)
        if player == "generator":
            return self._matching_loss(batch)
        raise no_loss_for(player, self)

    def prepare(self, batch: Batch) -> None:
        """Share nothing: each turn draws latents of its own, as in the authors' code."""
        return None

    def classify(self, x: Tensor) -> Tensor:
        """Return the logits [N, classes] of the data's classes."""
        return self.discriminator(x)[0].float()

    def _classifier_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of labels and, where it counts, that without them; all examples share a pass, which mixes none."""
        known = batch.known
        others = (batch.real, self.generate(self.latents_for(batch.real))) if self.unlabeled_weight else ()
        logits, *unlabeled = self.discriminator(known.real, *others)[0].float().split(len(batch))
        loss = cross_entropy(logits, known.labels)
        scalars = {"class": loss.detach(), "class_accuracy": (logits.argmax(1) == known.labels).float().mean()}
        if unlabeled:
            real, fake = unlabeled
            adversarial = real_or_fake(real, fake)
            scalars |= {"adversarial": adversarial.detach(), "D(x)": _score(real), "D(G(z))": _score(fake)}
            loss = loss + self.unlabeled_weight * adversarial
        return loss, scalars

    def _matching_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        logits, features = self.discriminator(self.generate(self.latents_for(batch.real)))
        loss = feature_distance(self.discriminator(batch.real)[1], features, self.squared)
        return loss, {"adversarial": loss.detach(), "D(G(z))": _score(logits.float())}


def _score(logits: Tensor) -> Tensor:
    """Return the mean probability of not being fake."""
    return realness(logits.detach()).sigmoid().mean()


def _mlp(options: SGANOptions, spec: DataSpec) -> tuple[nn.Module, nn.Module]:
    generator = SoftplusGenerator(options.latent_size, options.generator_units, spec.shape, spec.is_image)
    return generator, NoisyClassifier(spec.shape, options.units, len(spec.classes), spec.is_image, options.input_noise,
                                      options.noise)


def _conv(options: SGANOptions, spec: DataSpec) -> tuple[nn.Module, nn.Module]:
    generator = ConvGenerator(options.latent_size, spec.shape, options.generator_width)
    return generator, ConvClassifier(spec.shape, options.width, len(spec.classes), options.input_dropout, options.dropout)
