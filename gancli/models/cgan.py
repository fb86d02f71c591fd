"""Conditional GAN: the label is given to both players (Mirza 2014).

Sizes, latents, dropout and batch are the paper's (section 4.1); its initial weights are not given, and are He's
(with the small ones of Goodfellow 2014 every label gave the same image for longer).  The default backbone is conv, since
the MLPs' images of one label collapsed to a single one on MNIST (seen at 300 kimg).  One recipe serves both backbones:
Adam as in Radford 2016, in place of SGD with a learning rate falling from 0.1 and a momentum rising from 0.5 to 0.7.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gancli.data.spec import Batch, DataSpec
from gancli.errors import check_range
from gancli.game.backbone import check_backbone, check_backbone_data
from gancli.game.model import Fixed, Needs
from gancli.game.pair import Inputs, PairModel
from gancli.game.prior import Uniform
from gancli.losses.objective import Objective
from gancli.networks.convolution import check_kernel
from gancli.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from gancli.networks.initialization import he_init
from gancli.networks.layers import label_weights
from gancli.networks.mlp import ConditionalGenerator, ConditionalMaxoutDiscriminator
from gancli.options import Recipe
from gancli.registry import models


@dataclass(kw_only=True)
class CGANOptions:
    """The paper's MLPs, or DCGAN's networks with the label as a condition."""

    name: str
    backbone: str  # mlp (the paper) or conv (Radford 2016)
    latent_size: int
    latent_units: int  # mlp, generator: ReLU units over z
    label_units: int  # mlp, generator: ReLU units over the label
    joint_units: int  # mlp, generator: ReLU units over both
    maxout_units: int  # mlp, discriminator: over the image, and over image and label
    label_maxout_units: int  # mlp, discriminator: over the label
    dropout: float  # mlp: hidden layers of both players
    width: int  # conv: channels of the largest maps
    discriminator_norm: str  # conv: batch, layer, instance or none
    kernel: int = 4  # conv: side of the convolutions: 5 (Radford 2016) or 4; checkpoints older than this option have 4
    recipe: Recipe

    @property
    def uses_discriminator_norm(self) -> bool:
        """Whether discriminator_norm means anything: the maxout networks have no norm."""
        return self.backbone != "mlp"

    def __post_init__(self) -> None:
        check_backbone(self.backbone, self.discriminator_norm if self.uses_discriminator_norm else "none")
        for key in ("latent_size", "latent_units", "label_units", "joint_units", "maxout_units", "label_maxout_units",
                    "width"):
            check_range(f"model.{key}", getattr(self, key), 1)
        check_range("model.dropout", self.dropout, 0, 0.99)
        check_kernel("model.kernel", self.kernel)


class _LabeledDCGANGenerator(nn.Module):
    """DCGAN's generator over the latent and the label side by side."""

    def __init__(self, latent_size: int, classes: int, shape: tuple[int, int, int], width: int, kernel: int) -> None:
        super().__init__()
        self.network = DCGANGenerator(latent_size + classes, shape, width, kernel)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        return self.network(torch.cat((z, labels), 1))


@models.register("cgan", options=CGANOptions)
class CGAN(PairModel):
    """Both players see the label: as an input of an MLP, or as a condition of DCGAN's networks.

    z is uniform in the unit hypercube as in the paper for mlp, in [-1, 1] as in Radford 2016 for conv.
    """

    needs = Needs(kinds=("images", "points"), labels=True, min_side=1)
    small = {"latent_size": 6, "latent_units": 8, "label_units": 8, "joint_units": 16, "maxout_units": 12,
             "label_maxout_units": 4, "width": 4}
    variants = ({}, {"backbone": "mlp"})

    def __init__(self, options: CGANOptions, spec: DataSpec, objective: Objective) -> None:
        mlp = options.backbone == "mlp"
        generator, discriminator = (_mlp if mlp else _conv)(options, spec)
        super().__init__(spec, objective, generator, discriminator,
                         Uniform(options.latent_size, low=0.0 if mlp else -1.0, high=1.0))
        self.classes = len(spec.classes)

    @classmethod
    def check_data(cls, options: Any, spec: DataSpec) -> None:
        super().check_data(options, spec)
        check_backbone_data(options.name, options.backbone, spec)

    def pairs(self, batch: Batch) -> tuple[Inputs, Inputs]:
        fake = self.generate(self.latents_for(batch.real), batch.labels)
        return (batch.real, batch.labels), (fake, batch.labels)

    def judge(self, x: Tensor, labels: Tensor) -> Tensor:
        return self.discriminator(x, label_weights(labels, self.classes))

    def generate(self, z: Tensor, labels: Tensor) -> Tensor:
        """Return an example for each latent and label; labels are [N] int64 or weights [N, classes]."""
        return self.generator(z, label_weights(labels, self.classes))

    def sample(self, n: int, generator: torch.Generator, labels: Tensor | None = None) -> Tensor:
        """Return n generated examples; labels that are not given are drawn at random."""
        if labels is None:
            labels = torch.randint(self.classes, (n,), generator=generator)
        return super().sample(n, generator, labels)

    def showcase(self, fixed: Fixed) -> dict[str, Tensor]:
        return {"samples": self.generate(fixed.z, fixed.labels)}


def _mlp(options: CGANOptions, spec: DataSpec) -> tuple[nn.Module, nn.Module]:
    classes = len(spec.classes)
    generator = ConditionalGenerator(options.latent_size, classes, options.latent_units, options.label_units,
                                     options.joint_units, spec.shape, spec.is_image, options.dropout)
    discriminator = ConditionalMaxoutDiscriminator(spec.shape, classes, options.maxout_units,
                                                   options.label_maxout_units, spec.is_image, options.dropout)
    he_init(generator)
    he_init(discriminator)
    return generator, discriminator


def _conv(options: CGANOptions, spec: DataSpec) -> tuple[nn.Module, nn.Module]:
    classes = len(spec.classes)
    generator = _LabeledDCGANGenerator(options.latent_size, classes, spec.shape, options.width, options.kernel)
    discriminator = DCGANDiscriminator(spec.shape, options.width, options.discriminator_norm, classes, options.kernel)
    return generator, discriminator
