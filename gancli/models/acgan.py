"""AC-GAN: the generator is told a class, and a classifier on the discriminator's features must find it (Odena 2017).

The networks are DCGAN's at any size of images, with the label beside the latent; the paper has others for each data set
(3x3 convolutions with dropout for CIFAR-10).  Weights, Adam's rate and moments and the batch are the paper's.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gancli.data.spec import Batch, DataSpec
from gancli.errors import check_choice, check_range
from gancli.game.headed import HeadedPair, Made, Scalars
from gancli.game.model import Fixed, Needs
from gancli.game.prior import Uniform
from gancli.losses.objective import Objective
from gancli.losses.output import Judged
from gancli.networks.dcgan import WEIGHT_STD, DCGANDiscriminator, DCGANGenerator
from gancli.networks.initialization import normal_init
from gancli.networks.layers import NORMS, label_weights
from gancli.options import Recipe
from gancli.registry import models


@dataclass
class ACGANOptions:
    """DCGAN's networks with a classifier."""

    name: str
    latent_size: int
    width: int  # channels of the largest maps
    lambda_class: float  # weight of the classifier's loss in both players' losses; the paper's is 1
    discriminator_norm: str  # batch (the paper), layer, instance or none
    recipe: Recipe

    def __post_init__(self) -> None:
        check_range("model.latent_size", self.latent_size, 1)
        check_range("model.width", self.width, 1)
        check_range("model.lambda_class", self.lambda_class, 0)
        check_choice("model.discriminator_norm", self.discriminator_norm, NORMS)


@models.register("acgan", options=ACGANOptions)
class ACGAN(HeadedPair):
    """D and its classifier maximize L_S + L_C, G maximizes L_C - L_S (Odena 2017, eqs. 2 and 3).

    L_C is the log-likelihood of the labels of real and of generated images; the discriminator does not see labels.
    """

    needs = Needs(labels=True)
    small = {"latent_size": 6, "width": 4}

    def __init__(self, options: ACGANOptions, spec: DataSpec, objective: Objective) -> None:
        self.classes = len(spec.classes)
        generator = DCGANGenerator(options.latent_size + self.classes, spec.shape, options.width)
        discriminator = DCGANDiscriminator(spec.shape, options.width, options.discriminator_norm)
        classifier = nn.Linear(discriminator.body.features, self.classes)
        normal_init(classifier, WEIGHT_STD)
        prior = Uniform(options.latent_size, low=-1.0, high=1.0)
        super().__init__(spec, objective, generator, discriminator, prior, classifier)
        self.lambda_class = options.lambda_class

    def make(self, batch: Batch) -> Made:
        return Made(self.generate(self.latents_for(batch.real), batch.labels), batch.labels)

    def head_loss(self, judged: Judged, made: Made, batch: Batch, discriminates: bool) -> tuple[Tensor, Scalars]:
        logits = self.tell(judged.fake)
        loss = cross_entropy(logits, made.given)
        scalars = {"class": loss.detach(), "class_accuracy": _accuracy(logits, made.given)}
        if discriminates:
            known = self.tell(judged.real)
            of_real = cross_entropy(known, batch.labels)
            scalars |= {"class_real": of_real.detach(), "class_real_accuracy": _accuracy(known, batch.labels)}
            loss = loss + of_real
        return self.lambda_class * loss, scalars

    def generate(self, z: Tensor, labels: Tensor) -> Tensor:
        """Return an image for each latent and label; labels are [N] int64 or weights [N, classes]."""
        return self.generator(torch.cat((z, label_weights(labels, self.classes)), 1))

    def sample(self, n: int, generator: torch.Generator, labels: Tensor | None = None) -> Tensor:
        """Return n generated images; labels that are not given are drawn at random."""
        if labels is None:
            labels = torch.randint(self.classes, (n,), generator=generator)
        return super().sample(n, generator, labels)

    def classify(self, x: Tensor) -> Tensor:
        """Return the classifier's logits [N, classes] of images."""
        return self.tell(self.judge(x))

    def showcase(self, fixed: Fixed) -> dict[str, Tensor]:
        return {"samples": self.generate(fixed.z, fixed.labels)}


def _accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits.argmax(1) == labels).float().mean()
