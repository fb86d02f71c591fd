"""Laplacian pyramid of adversarial networks: a chain of pairs, each of which makes images sharper (Denton 2015).

The coarsest pair makes small images from latents.  Every further pair k is conditioned on l = up(down(x)), a blurred image
x of its size: G_k(z, l) draws the residual h that l lacks, and D_k judges h + l.  Each pair is a game of its own on images
from the data; the chain is joined for sampling only: enlarge, add a residual, enlarge again.

Differs from the authors' code (facebook/eyescream): images are standardized by the mean and deviation of each channel of
the run's first batch, not of each pixel of the data; D's generated half has the coarse images of its real half (there:
other ones); D's loss is the sum, not the mean, of both halves' (a rate half as high for the discriminators is the same);
Adam in place of SGD with 0.01 or 0.02 and a momentum that grows by 0.0008 an epoch up to 0.7; the networks' default widths
are smaller, as the YAML says.  The sum h + l, D's first operation there, is made before D, so that penalties and
augmentations see whole images in [-1, 1].

Legend: N batch, C channels, H height, W width, K levels, Z latent size, Y label classes.
"""

from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from gancli.data.spec import Batch, DataSpec
from gancli.errors import UserError, check_range
from gancli.game.model import Fixed, Model, Needs, Progress, no_loss_for
from gancli.game.prior import Uniform
from gancli.game.showcase import interleave_rows
from gancli.losses.objective import Objective
from gancli.losses.output import Inputs
from gancli.networks.laplacian import (
    CoarseDiscriminator,
    CoarseGenerator,
    ResidualDiscriminator,
    ResidualGenerator,
    down,
    gaussian_pyramid,
    up,
)
from gancli.networks.layers import label_weights
from gancli.networks.progressive import levels_of, nearest_sizes
from gancli.options import Recipe
from gancli.registry import models


@dataclass
class LAPGANOptions:
    """The pyramid and the widths of its networks."""

    name: str
    coarsest: int  # pixels that the shorter side of the smallest images has at least; sides are halved while it does
    conditional: bool  # both networks of each pair see the label
    latent_size: int  # of the coarsest pair; the others' noise is a map of their images' size
    coarse_units: int  # of each hidden layer of the coarsest generator
    coarse_discriminator_units: int
    width: int  # channels of the other generators
    discriminator_width: int
    dropout: float  # of the discriminators
    recipe: Recipe

    def __post_init__(self) -> None:
        check_range("model.coarsest", self.coarsest, 2)
        for key in ("latent_size", "coarse_units", "coarse_discriminator_units", "width", "discriminator_width"):
            check_range(f"model.{key}", getattr(self, key), 1)
        check_range("model.dropout", self.dropout, 0, 0.99)


class Pair(NamedTuple):
    """What a level's discriminator compares."""

    real: Inputs  # whole images of the level, with labels where they count
    fake: Inputs


@models.register("lapgan", options=LAPGANOptions)
class LAPGAN(Model):
    """Players discriminator_k and generator_k, k = 1 for the coarsest level to K for whole images; z uniform in [-1, 1].

    The latent of an image is one row: the coarsest generator's, then the noise maps of all further levels.
    """

    small: ClassVar = {"coarsest": 4, "latent_size": 6, "coarse_units": 12, "coarse_discriminator_units": 8, "width": 4,
                       "discriminator_width": 4}
    variants: ClassVar = ({}, {"conditional": True})

    mean: Tensor  # [C, 1, 1] of the data, and
    std: Tensor  # their deviation

    def __init__(self, options: LAPGANOptions, spec: DataSpec, objective: Objective) -> None:
        super().__init__(spec, objective)
        channels, *size = spec.shape
        self.sizes = levels_of(*size, options.coarsest) or []
        self.classes = len(spec.classes) if options.conditional else 0
        first, *others = [(channels, *side) for side in self.sizes]
        self.generators, self.judges = torch.nn.ModuleList(), torch.nn.ModuleList()
        self.generators.append(CoarseGenerator(options.latent_size, first, options.coarse_units, self.classes))
        self.judges.append(CoarseDiscriminator(first, options.coarse_discriminator_units, self.classes, options.dropout))
        for shape in others:
            self.generators.append(ResidualGenerator(shape, options.width, self.classes))
            self.judges.append(ResidualDiscriminator(shape, options.discriminator_width, self.classes, options.dropout))
        self.priors = [Uniform(options.latent_size, low=-1.0, high=1.0)]
        self.priors += [Uniform(1, *side, low=-1.0, high=1.0) for side in self.sizes[1:]]
        self.prior = Uniform(sum(prod(prior.shape) for prior in self.priors), low=-1.0, high=1.0)
        numbers = range(1, len(self.sizes) + 1)
        self.discriminators = tuple(f"discriminator_{number}" for number in numbers)
        self.level_of = {f"{role}_{number}": number - 1 for role in ("discriminator", "generator") for number in numbers}
        self.players = {player: [(self.judges if player in self.discriminators else self.generators)[level]]
                        for player, level in self.level_of.items()}
        self.register_buffer("mean", torch.zeros(channels, 1, 1))
        self.register_buffer("std", torch.ones(channels, 1, 1))

    @classmethod
    def needs_of(cls, options: Any) -> Needs:
        return replace(cls.needs, labels=options.conditional)

    @classmethod
    def check_data(cls, options: Any, spec: DataSpec) -> None:
        super().check_data(options, spec)
        height, width = spec.shape[1:]
        sizes = levels_of(height, width, options.coarsest)
        if sizes is None:
            near = " or ".join(f"{h}" if height == width else f"[{h},{w}]"
                               for h, w in nearest_sizes(height, width, options.coarsest))
            raise UserError(f"model={options.name} halves images until a side has less than {2 * options.coarsest} pixels, "
                            f"and {height}x{width} cannot be halved so far: give dataset.size={near}, or another "
                            "model.coarsest=.")
        if len(sizes) < 2:
            raise UserError(f"model={options.name} is a pyramid of two sizes at least, and {height}x{width} is not halved "
                            f"with model.coarsest={options.coarsest}: give model.coarsest={max(2, min(height, width) // 2)} "
                            f"or less, or dataset.size={2 * options.coarsest} or more.")

    def begin(self, reference: Batch) -> None:
        self.mean.copy_(reference.real.mean((0, 2, 3))[:, None, None])
        self.std.copy_(reference.real.std((0, 2, 3))[:, None, None].clamp_min(1e-3))  # of a channel that says nothing
        super().begin(reference)

    def pairs(self, batch: Batch, level: int) -> Pair:
        """Return what a level's discriminator compares for a batch: its images and what is made of their blurred selves."""
        x = gaussian_pyramid(batch.real, len(self.sizes))[level]
        given = (label_weights(batch.labels, self.classes),) if self.classes else ()
        noise = self.priors[level].like(x)
        fake = self._draw(noise, *given) if level == 0 else self.sharpen(level, noise, up(down(x)), *given)
        return Pair((x, *given), (fake, *given))

    def prepare(self, batch: Batch) -> dict[int, Pair]:
        return {level: self.pairs(batch, level) for level in range(len(self.sizes))}

    def player_loss(self, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, dict[str, Tensor]]:
        if player not in self.level_of:
            raise no_loss_for(player, self)
        level = self.level_of[player]
        real, fake = self.pairs(batch, level) if batch.prepared is None else batch.prepared[level]
        judge = partial(self.judge, level)
        if player not in self.discriminators:
            judged = self.objective.generator(judge, fake, real)
            return judged.loss, judged.scalars
        if batch.prepared is not None:  # its graph is the generator's
            fake = tuple(x.detach() for x in fake)
        judged = self.objective.discriminator(judge, real, fake, progress.turns.get(player, 0))
        return judged.loss, judged.scalars

    def judge(self, level: int, x: Tensor, *labels: Tensor) -> Tensor:
        """Return logits [N] of a level's whole images h + l [N, C, h, w] in [-1, 1]."""
        return self.judges[level]((x - self.mean) / self.std, *labels)

    def sharpen(self, level: int, noise: Tensor, blurred: Tensor, *labels: Tensor) -> Tensor:
        """Return l + G(z, l) of a level for noise maps [N, 1, h, w] and blurred images l [N, C, h, w] in [-1, 1]."""
        residual = self.generators[level](noise, (blurred - self.mean) / self.std, *labels)
        return blurred + residual * self.std

    def _draw(self, z: Tensor, *labels: Tensor) -> Tensor:
        return self.generators[0](z, *labels) * self.std + self.mean

    # Sampling: the chain

    def draw_latents(self, n: int, generator: torch.Generator) -> Tensor:
        """Return n latents [n, Z]: the coarsest level's, then the noise maps of all others, flat."""
        return self.prior.draw(n, generator)

    def levels(self, z: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        """Return the images of latents [N, Z] at every level, [N, C, h, w] each, not cut off at -1 and 1.

        Args:
            labels: [N] int64 or weights [N, Y], where the model is conditional.
        """
        given = () if labels is None else (label_weights(labels, self.classes),)
        first, *maps = z.split([prod(prior.shape) for prior in self.priors], 1)
        made = [self._draw(first, *given)]
        for level, noise in enumerate(maps, 1):
            made.append(self.sharpen(level, noise.unflatten(1, self.priors[level].shape), up(made[-1]), *given))
        return made

    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return images of latents [N, Z], cut off at -1 and 1."""
        return self.levels(z, labels)[-1].clamp(-1, 1)

    def sample(self, n: int, generator: torch.Generator, labels: Tensor | None = None) -> Tensor:
        """Return n generated examples; labels that are not given are drawn at random."""
        if labels is None and self.classes:
            labels = torch.randint(self.classes, (n,), generator=generator)
        return super().sample(n, generator, labels)

    def stages(self, z: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Return every level by its size, as large as the last: [N, C, H, W] in [-1, 1]."""
        height, width = self.sizes[-1]
        return {f"{h}x{w}": _enlarged(x.clamp(-1, 1), height // h)
                for x, (h, w) in zip(self.levels(z, labels), self.sizes, strict=True)}

    def bands(self, name: str, fixed: Fixed) -> tuple[str, ...]:
        return ("blurred", "sharpened", "real") if name == "sharpened" else ()

    def showcase(self, fixed: Fixed) -> dict[str, Tensor]:
        assert fixed.z is not None  # it draws latents
        labels = fixed.labels if self.classes else None
        stages = list(self.stages(fixed.z, labels).values())
        shown = max(fixed.columns, len(fixed.z) // (2 * len(stages)))
        rows = interleave_rows(fixed.columns, *(stage[:shown] for stage in stages))
        return {"samples": stages[-1], "levels": rows, "sharpened": self._sharpened(fixed)}

    def _sharpened(self, fixed: Fixed) -> Tensor:
        """Return rows of blurred real images, of what the finest level makes of them, and of the real ones."""
        assert fixed.z is not None
        real = fixed.batch.real[:max(fixed.columns, len(fixed.batch) // 2)]
        cells = prod(self.priors[-1].shape)
        noise = fixed.z[:len(real), -cells:].unflatten(1, self.priors[-1].shape)
        real, blurred = real[:len(noise)], up(down(real[:len(noise)]))
        given = ()
        if self.classes and fixed.batch.labels is not None:
            given = (label_weights(fixed.batch.labels[:len(real)], self.classes),)
        made = self.sharpen(len(self.sizes) - 1, noise, blurred, *given).clamp(-1, 1)
        return interleave_rows(fixed.columns, blurred.clamp(-1, 1), made, real)


def _enlarged(x: Tensor, times: int) -> Tensor:
    """Return images with each pixel as a square."""
    return x.repeat_interleave(times, 2).repeat_interleave(times, 3)
