"""R3GAN: a relativistic game with R1 and R2 on every turn, on residual networks without tricks (Huang 2024, 2501.05441).

Networks, initial weights, losses and schedules are those of the authors' code (github.com/brownvc/R3GAN), counted
parameter by parameter; conf/experiment/r3gan-cifar10.yaml has its CIFAR-10 setting.  Within model.burn_in_kimg rate,
penalties and 1 - beta2 move along half a cosine to model.lr_end, gamma_end and forgetting_end times what they are at
first (optimizer.lr, loss.r1.weight and r2.weight, optimizer.betas).  Differences: the defaults are narrow networks and a
short burn-in for two cores, at five times the rate (2e-4 there), with stacked MNIST's penalties, 1 falling to 0.1; both
players' turns are on one batch unless trainer.reuse_generated=false; the average's half-life rises with the images shown
to trainer.ema_kimg (there: along the cosine); an augmentation's probability is its own affair (there: from 0 to 0.55
along the cosine, with cutout).
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from gancli.data.spec import Batch, DataSpec
from gancli.errors import check_range
from gancli.game.growth import check_doubling, sizes_and_widths
from gancli.game.model import Fixed, Model, Needs, Progress
from gancli.game.pair import Inputs, PairModel
from gancli.game.phase import Phase
from gancli.game.prior import Normal
from gancli.game.styles import needs_with
from gancli.losses.objective import Objective
from gancli.networks.r3gan import ResidualDiscriminator, ResidualGenerator, whole_groups
from gancli.options import Recipe
from gancli.registry import models


@dataclass
class R3GANOptions:
    """Widths of the networks, and where the schedules of the burn-in lead."""

    name: str
    conditional: bool  # both players see the label
    latent_size: int
    channel_base: int  # maps whose shorter side is s have channel_base / s channels, and
    channel_max: int  # no more than this; both rounded down to whole groups
    group_width: int  # channels of a group of the 3x3 convolutions, which have twice the channels of their block
    blocks: int  # of each size
    burn_in_kimg: float  # of the schedules; 0: they are at their end from the start
    lr_end: float  # what the rate is multiplied by after it
    gamma_end: float  # the loss's penalties
    forgetting_end: float  # 1 - beta2
    recipe: Recipe

    def __post_init__(self) -> None:
        for key in ("latent_size", "channel_base", "channel_max", "group_width", "blocks"):
            check_range(f"model.{key}", getattr(self, key), 1)
        for key in ("burn_in_kimg", "lr_end", "gamma_end", "forgetting_end"):
            check_range(f"model.{key}", getattr(self, key), 0)


@models.register("r3gan", options=R3GANOptions)
class R3GAN(PairModel):
    """Each real image is judged beside a generated one; normal latents, no mapping, no normalization."""

    labels_by_option = True
    small = {"latent_size": 6, "channel_base": 32, "channel_max": 6, "group_width": 4, "blocks": 1, "burn_in_kimg": 0.1}
    variants = ({}, {"conditional": True, "channel_base": 64})

    def __init__(self, options: R3GANOptions, spec: DataSpec, objective: Objective) -> None:
        channels, *size = spec.shape
        sizes, most = sizes_and_widths(options, *size)
        widths = [whole_groups(width, options.group_width) for width in most]
        shape = (sizes, widths, options.group_width, options.blocks, len(spec.classes) if options.conditional else 0)
        super().__init__(spec, objective, ResidualGenerator(options.latent_size, channels, *shape),
                         ResidualDiscriminator(channels, *shape), Normal(options.latent_size))
        self.options = options
        self.needs = self.needs_of(options)

    @classmethod
    def needs_of(cls, options: Any) -> Needs:
        return needs_with(cls.needs, options)

    @classmethod
    def check_data(cls, options: Any, spec: DataSpec) -> None:
        super().check_data(options, spec)
        check_doubling(options.name, *spec.shape[1:])

    def phase(self, progress: Progress, default: Phase) -> Phase:
        options = self.options
        return replace(default, lr_factor=self._factor(options.lr_end, progress),
                       forgetting=self._factor(options.forgetting_end, progress))

    def penalty_factor(self, progress: Progress) -> float:
        return self._factor(self.options.gamma_end, progress)

    def _factor(self, end: float, progress: Progress) -> float:
        """Return where a schedule stands between 1 and its end: half a cosine over the burn-in."""
        burn_in = 1000 * self.options.burn_in_kimg
        if progress.images >= burn_in:
            return end
        return end + (1 - end) * 0.5 * (1 + math.cos(math.pi * progress.images / burn_in))

    def pairs(self, batch: Batch) -> tuple[Inputs, Inputs]:
        labels = (batch.labels,) if self.options.conditional else ()
        return (batch.real, *labels), (self.generator(self.latents_for(batch.real), *labels), *labels)

    def judge(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.discriminator(x, labels)

    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return images of latents [N, Z], cut off at -1 and 1; labels are [N] int64 or weights [N, classes]."""
        return self.generator(z, labels).clamp(-1, 1)

    def sample(self, n: int, generator: torch.Generator, labels: Tensor | None = None) -> Tensor:
        """Return n generated images; labels that are not given are drawn at random."""
        if labels is None and self.options.conditional:
            labels = torch.randint(len(self.spec.classes), (n,), generator=generator)
        return Model.sample(self, n, generator, labels)

    def showcase(self, fixed: Fixed) -> dict[str, Tensor]:
        return {"samples": self.generate(fixed.z, *((fixed.labels,) if self.options.conditional else ()))}
