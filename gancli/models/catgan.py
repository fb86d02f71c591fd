"""CatGAN: a discriminator of K categories, sure of real examples and unsure of generated ones (Springenberg 2016, 1511.06390).

With the data's labels, of some examples or of all, the categories are its classes; with model.categories=K they are clusters
that it finds by itself, without labels and in an order of no meaning.

No code of the author's is known.  Networks and optimizer are those of a re-implementation for MNIST
(github.com/smayru/catgan), whose generator lets its classes' marginal entropy fall; the sign here is that of eq. 7 as
github.com/xinario/catgan_pytorch has it, too.  The weight of the labels is 1; the paper's is not known to us.  Running
statistics of the discriminator, by which it classifies after training, are of real examples alone.

model.unlabeled_weight=0 leaves a classifier that learns from the labeled examples alone, to compare with.
"""

from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor
from torch.nn.functional import cross_entropy

from gancli.data.spec import Batch, DataSpec
from gancli.errors import UserError, check_range
from gancli.game.model import Needs, Progress, no_loss_for
from gancli.game.pair import PairModel
from gancli.game.phase import Phase, in_turn
from gancli.game.prior import Uniform
from gancli.losses.objective import Objective
from gancli.losses.semi_supervised import certainty, conditional_entropy, marginal_entropy
from gancli.networks.catgan import CategoricalDiscriminator, LeakyGenerator
from gancli.networks.layers import statistics_kept
from gancli.networks.mlp import check_units
from gancli.options import Recipe
from gancli.registry import models


@dataclass
class CatGANOptions:
    """Fully connected networks; the data's shape is free."""

    name: str
    categories: int | None  # clusters to find without labels; null: the data's classes, with labels
    latent_size: int
    units: list[int]  # of the discriminator's hidden layers
    generator_units: list[int]
    noise: float  # its deviation on images in [0, 1] and on every hidden layer of the discriminator
    lambda_class: float  # weight of the labels' cross-entropy
    unlabeled_weight: float  # of the entropies; 0: supervised learning alone, and no generator
    recipe: Recipe

    def __post_init__(self) -> None:
        check_range("model.categories", self.categories, 2)
        check_range("model.latent_size", self.latent_size, 1)
        for key in ("units", "generator_units"):
            check_units(f"model.{key}", getattr(self, key))
        for key in ("noise", "lambda_class", "unlabeled_weight"):
            check_range(f"model.{key}", getattr(self, key), 0)
        if self.categories is not None and self.unlabeled_weight == 0:
            raise ValueError("model.unlabeled_weight=0 leaves nothing to find model.categories by: give one of them")


@models.register("catgan", options=CatGANOptions)
class CatGAN(PairModel):
    """D is sure of each real example and unsure of fakes, G makes it sure of them; both want all classes alike (eq. 7)."""

    needs = Needs(kinds=("images", "points"), labeled=True, min_side=1)
    losses = ()
    small = {"latent_size": 6, "units": [16, 12], "generator_units": [12, 10]}
    variants = ({}, {"categories": 4})

    def __init__(self, options: CatGANOptions, spec: DataSpec, objective: Objective) -> None:
        self.clusters = options.categories is not None
        categories = options.categories or len(spec.classes)
        generator = LeakyGenerator(options.latent_size, options.generator_units, spec.shape, spec.is_image)
        discriminator = CategoricalDiscriminator(spec.shape, options.units, categories, spec.is_image, options.noise)
        super().__init__(spec, objective, generator, discriminator, Uniform(options.latent_size, low=0.0, high=1.0))
        self.lambda_class, self.unlabeled_weight = options.lambda_class, options.unlabeled_weight

    @classmethod
    def needs_of(cls, options: Any) -> Needs:
        return replace(cls.needs, labeled=options.categories is None)

    @classmethod
    def check_data(cls, options: Any, spec: DataSpec) -> None:
        if options.categories is None and not spec.classes:
            raise UserError("model=catgan learns the data's classes from some labels and this data set has none: give "
                            "model.categories=20 for clusters that it finds by itself, or data with labels.")
        super().check_data(options, spec)

    def phase(self, progress: Progress, default: Phase) -> Phase:
        return default if self.unlabeled_weight else in_turn(["discriminator"], name="supervised")

    def player_loss(self, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, dict[str, Tensor]]:
        if player == "discriminator":
            return self._discriminator_loss(batch)
        if player == "generator":
            return self._generator_loss(batch)
        raise no_loss_for(player, self)

    def classify(self, x: Tensor) -> Tensor:
        """Return the logits [N, categories] of the data's classes, or of clusters (`clusters`)."""
        return self.discriminator(x).float()

    def _discriminator_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        loss, scalars = 0.0, {}
        if self.unlabeled_weight:
            entropies, scalars = self._entropies(batch)
            loss = self.unlabeled_weight * entropies
        if not self.clusters:
            known = batch.known
            with statistics_kept(self.discriminator) if self.unlabeled_weight else nullcontext():
                logits = self.classify(known.real)
            of_labels = cross_entropy(logits, known.labels)
            accuracy = (logits.argmax(1) == known.labels).float().mean()
            scalars |= {"class": of_labels.detach(), "class_accuracy": accuracy}
            loss = loss + self.lambda_class * of_labels
        return loss, scalars

    def _entropies(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return what the discriminator minimizes of examples without labels, -Hm(real) + H(real) - H(fake)."""
        (x,), (made,) = self.pairs(batch) if batch.prepared is None else batch.prepared
        real = self.classify(x)
        fake = self._of_fakes(made if batch.prepared is None else made.detach())  # its graph is the generator's
        marginal = marginal_entropy(real)
        loss = conditional_entropy(real) - conditional_entropy(fake) - marginal
        return loss, {"adversarial": loss.detach(), "D(x)": certainty(real.detach()), "D(G(z))": certainty(fake.detach()),
                      "marginal_entropy": marginal.detach()}

    def _generator_loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return -Hm(fake) + H(fake)."""
        _, (made,) = self.pairs(batch) if batch.prepared is None else batch.prepared
        fake = self._of_fakes(made)
        marginal = marginal_entropy(fake)
        loss = conditional_entropy(fake) - marginal
        return loss, {"adversarial": loss.detach(), "D(G(z))": certainty(fake.detach()), "marginal_entropy": marginal.detach()}

    def _of_fakes(self, made: Tensor) -> Tensor:
        """Return the logits of generated examples, which running statistics pass over."""
        with statistics_kept(self.discriminator):
            return self.classify(made)
