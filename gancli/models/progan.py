"""Progressive growing: both networks begin with small images and fade in one larger level after the other (Karras 2018).

The lengths of the growth are ours, for two cores; the paper shows 600 kimg in each fade and in each stretch between
two (800 for CelebA-HQ, 400 for CIFAR-10), and 12,000 to 20,000 in all.  Other things that are not the paper's: its
16 images a batch (fewer from 256x256 on) and rate of 1e-3 hold for all levels unless model.batch_sizes= or model.rates=
say otherwise (the authors' code for one GPU has 128 images up to 16x16), the networks are narrower, and the average of
the generator is trainer.ema_kimg's (about the paper's 0.999 a step of 16 images).  On CIFAR-10 the paper's gradient
penalty aims at a norm of 750 and both players step at once.

Each turn draws its own latents, as in the authors' code, whatever trainer.reuse_generated says.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, tensor

from gancli.data.spec import Batch, DataSpec
from gancli.errors import UserError, check_range
from gancli.game.growth import Growth, check_doubling, sizes_and_widths
from gancli.game.model import Progress, no_loss_for
from gancli.game.pair import PairModel
from gancli.game.phase import Phase
from gancli.game.prior import Normal
from gancli.losses.objective import Objective
from gancli.networks.progressive import ProgressiveDiscriminator, ProgressiveGenerator, doubled, level_at, shrunk
from gancli.options import Recipe
from gancli.registry import models


@dataclass
class ProGANOptions:
    """Widths of the networks, and the lengths, batches and rates of their growth."""

    name: str
    latent_size: int
    channel_base: int  # maps whose shorter side is s have channel_base / s channels, and
    channel_max: int  # no more than this
    stddev_group: int  # examples whose deviation the discriminator sees; 0: the whole batch
    drift: float  # weight of E D(x)^2 under a Wasserstein loss, which leaves the critic's zero open
    stable_kimg: float  # for which each level but the last is trained before the next comes
    fade_kimg: float  # in which a level is faded in; with both 0 nothing grows
    batch_sizes: list[int]  # of each level from the smallest; the last counts for all larger ones; []: trainer.batch_size
    rates: list[float]  # of both players likewise; []: optimizer.lr
    fresh_optimizers: bool  # both optimizers begin anew with every fade and after it
    recipe: Recipe

    def __post_init__(self) -> None:
        for key in ("latent_size", "channel_base", "channel_max"):
            check_range(f"model.{key}", getattr(self, key), 1)
        for key in ("stddev_group", "drift", "stable_kimg", "fade_kimg"):
            check_range(f"model.{key}", getattr(self, key), 0)
        for size in self.batch_sizes:
            check_range("model.batch_sizes", size, 1)
        for rate in self.rates:
            check_range("model.rates", rate, 0)


@models.register("progan", options=ProGANOptions)
class ProGAN(PairModel):
    """A Wasserstein game with gradient penalty on images that become larger; normal latents."""

    small = {"latent_size": 6, "channel_base": 32, "channel_max": 6, "stable_kimg": 0.004, "fade_kimg": 0.004}

    growth: Tensor  # of the last turn: how far the networks had grown (gancli.networks.progressive)

    def __init__(self, options: ProGANOptions, spec: DataSpec, objective: Objective) -> None:
        channels, *size = spec.shape
        sizes, widths = sizes_and_widths(options, *size)
        super().__init__(spec, objective, ProgressiveGenerator(options.latent_size, channels, sizes, widths),
                         ProgressiveDiscriminator(channels, sizes, widths, options.stddev_group),
                         Normal(options.latent_size))
        self.options, self.sizes = options, sizes
        self.schedule = Growth(sizes, options.stable_kimg, options.fade_kimg)
        self.drift = options.drift if objective.options.rule == "wgan" else 0.0
        self.register_buffer("growth", tensor(0.0))

    @classmethod
    def check_data(cls, options: Any, spec: DataSpec) -> None:
        super().check_data(options, spec)
        check_doubling(options.name, *spec.shape[1:])
        if max(options.batch_sizes, default=0) > spec.count:
            raise UserError(f"model.batch_sizes={options.batch_sizes} holds a batch larger than the data set of "
                            f"{spec.count}: give {spec.count} or less.")

    def growth_at(self, images: int) -> float:
        """Return how far the networks have grown when so many real images have been shown."""
        return self.schedule.at(images)

    def phase(self, progress: Progress, default: Phase) -> Phase:
        options = self.options
        return self.schedule.phase(progress.images, default, options.batch_sizes, options.rates, list(self.players),
                                   options.fresh_optimizers)

    def prepare(self, batch: Batch) -> None:
        """Let each turn draw its own latents."""

    def player_loss(self, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, dict[str, Tensor]]:
        growth = self.growth_at(progress.images)
        self.growth.fill_(growth)
        real = (shrunk(batch.real, len(self.sizes), growth),)
        fake = (self.generator(self.latents_for(batch.real), growth),)
        judge = partial(self.discriminator, growth=growth)
        if player == "generator":
            judged = self.objective.generator(judge, fake, real)
            return judged.loss, judged.scalars
        if player != "discriminator":
            raise no_loss_for(player, self)
        judged = self.objective.discriminator(judge, real, fake, progress.turns.get(player, 0))
        if not self.drift:
            return judged.loss, judged.scalars
        drift = judged.real.logits.square().mean()
        return judged.loss + self.drift * drift, {**judged.scalars, "drift": drift.detach()}

    def generate(self, z: Tensor) -> Tensor:
        """Return images of latents [N, Z] as the last turn's networks show them, at full size and cut off at -1 and 1."""
        growth = self.growth.item()
        images = self.generator(z, growth)
        for _ in self.sizes[level_at(growth)[0] + 1:]:
            images = doubled(images)
        return images.clamp(-1, 1)
