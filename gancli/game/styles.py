"""What style-based systems share: styles mixed and averaged in training, truncation, the noise, and the penalties on turns of
their own.

Legend: N batch, C channels, H, W sides of images, Z latent size, S style size, L layers that take a style.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from gancli.data.spec import Batch, DataSpec
from gancli.errors import check_range
from gancli.game.growth import check_doubling
from gancli.game.model import Fixed, Model, Needs, Progress
from gancli.game.pair import Inputs, PairModel
from gancli.game.phase import Phase, Turn
from gancli.game.prior import Normal
from gancli.losses.objective import Objective
from gancli.networks.styled import Mapping, Noise
from gancli.ranks import shards

GAMMA = 2e-4  # of R1 for each pixel, over the images of a batch: the heuristic of Karras 2020 (ADA), "auto" of its code


@dataclass
class StyleOptions:
    """What style-based systems are told alike."""

    name: str
    conditional: bool  # both players see the label
    latent_size: int
    style_size: int
    mapping_layers: int
    channel_base: int  # maps whose shorter side is s have channel_base / s channels, and
    channel_max: int  # no more than this
    mixing: float  # probability of a batch whose later layers take other latents' styles (Karras 2019, section 3.1)
    style_decay: float  # of the average of styles that truncation leads to
    stddev_group: int  # examples whose deviation the discriminator sees; 0: the whole batch
    r1_gamma: float | None  # of R1, gamma/2 E |grad D(x)|^2; null: 0.0002 H W / batch; it yields to penalties of the loss
    r1_interval: int  # rounds from one R1 to the next, in turns of their own; 1: it is part of every turn

    def __post_init__(self) -> None:
        for key in ("latent_size", "style_size", "mapping_layers", "channel_base", "channel_max", "r1_interval"):
            check_range(f"model.{key}", getattr(self, key), 1)
        for key in ("mixing", "style_decay"):
            check_range(f"model.{key}", getattr(self, key), 0, 1)
        for key in ("stddev_group", "r1_gamma"):
            check_range(f"model.{key}", getattr(self, key), 0)


def needs_with(needs: Needs, options: Any) -> Needs:
    """Return what a system asks of data that takes labels with model.conditional=true alone."""
    return replace(needs, labels=True) if options.conditional else needs


class StyleModel(PairModel):
    """A mapping and a synthesis network against a discriminator.

    R1 has turns of its own in every r1_interval-th round, whose steps have the rate and moments of Karras 2020, appendix B
    (Phase); it is taken at the images before the augmentation.  Its gamma of null reads the batch of one pass: with
    trainer.accumulate= give a number.  Where the loss itself punishes gradients (loss.r1.weight, rpgan, wgan_gp) it is off.
    """

    labels_by_option = True
    mean_style: Tensor  # the styles' moving average, [S]

    def __init__(self, options: StyleOptions, spec: DataSpec, objective: Objective, synthesis: nn.Module,
                 discriminator: nn.Module) -> None:
        self.options = options
        classes = len(spec.classes) if options.conditional else 0
        mapping = Mapping(options.latent_size, classes, options.style_size, options.mapping_layers)
        super().__init__(spec, objective, nn.ModuleDict({"mapping": mapping, "synthesis": synthesis}), discriminator,
                         Normal(options.latent_size))
        self.needs = self.needs_of(options)
        self.r1 = options.r1_gamma != 0 and not objective.options.punishes_input_gradients
        self.register_buffer("mean_style", torch.zeros(options.style_size))

    @classmethod
    def needs_of(cls, options: Any) -> Needs:
        return needs_with(cls.needs, options)

    @classmethod
    def check_data(cls, options: Any, spec: DataSpec) -> None:
        super().check_data(options, spec)
        check_doubling(options.name, *spec.shape[1:])

    # The ability "styles" (gancli.game.model)

    @property
    def synthesis(self) -> Any:
        """The network from styles to images, a part of the generator."""
        return cast(nn.ModuleDict, self.generator)["synthesis"]

    @property
    def style_layers(self) -> int:
        return self.synthesis.styles

    def mapping(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return cast(nn.ModuleDict, self.generator)["mapping"](z, labels)

    def synthesize(self, styles: Tensor, noise: Noise | None = None) -> Tensor:
        return self.synthesis(self.every_layer(styles), noise)

    def every_layer(self, styles: Tensor) -> Tensor:
        """Return a style for each layer [N, L, S] from such, or from one for all layers [N, S]."""
        return styles[:, None].expand(-1, self.style_layers, -1) if styles.dim() == 2 else styles

    def noise_maps(self) -> list[Tensor]:
        return self.synthesis.noise.fixed()

    # Training

    def phase(self, progress: Progress, default: Phase) -> Phase:
        if not self.r1 or self.options.r1_interval == 1:
            return default
        last = max(place for place, turn in enumerate(default.turns) if turn.player == "discriminator")
        return default.with_turn(last, Turn("discriminator", draws=False, every=self.options.r1_interval, part="r1"))

    def pairs(self, batch: Batch) -> tuple[Inputs, Inputs]:
        real, *labels = self.real_inputs(batch)
        fake = self.make(self.styles_for(batch.real, labels[0] if labels else None))
        return (real, *labels), (fake, *labels)

    def real_inputs(self, batch: Batch) -> Inputs:
        """Return what the discriminator sees of real examples: images, and labels where it takes some."""
        return (batch.real,) if batch.labels is None or not self.options.conditional else (batch.real, batch.labels)

    def make(self, styles: Tensor) -> Tensor:
        """Return images of styles [N, L, S] as the discriminator sees them in training."""
        return self.synthesis(styles)

    def styles_for(self, x: Tensor, labels: Tensor | None = None, tracked: bool = True) -> Tensor:
        """Return styles [N, L, S] of new latents for the examples x, mixed, and let the average follow them."""
        style = self.mapping(self.latents_for(x), labels)
        if tracked and self.training:
            mean = style.detach().float().mean(0)
            shards.average(mean)
            self.mean_style.lerp_(mean, 1 - self.options.style_decay)
        styles = style[:, None].expand(-1, self.style_layers, -1)
        if not self.options.mixing:
            return styles
        other = self.mapping(self.latents_for(x), labels)[:, None]
        layers = self.layers_in_use()
        crossover = torch.randint(1, layers, (), device=x.device)  # one for the batch, as in the authors' code
        mixes = torch.rand((), device=x.device) < self.options.mixing
        later = torch.arange(self.style_layers, device=x.device) >= crossover
        return torch.where((later & mixes)[:, None], other, styles)

    def layers_in_use(self) -> int:
        """Return the layers that make images now, from the first."""
        return self.style_layers

    def judge(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.discriminator(x, labels)

    def player_loss(self, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, dict[str, Tensor]]:
        loss, scalars = super().player_loss(player, batch, progress)
        if player != "discriminator" or not self.r1 or self.options.r1_interval > 1:
            return loss, scalars
        penalty, more = self.part_loss("r1", player, batch, progress)
        return loss + penalty, {**scalars, **more}

    def part_loss(self, part: str, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, dict[str, Tensor]]:
        if part != "r1":
            return super().part_loss(part, player, batch, progress)
        real = self.real_inputs(batch)
        penalty = self.objective.zero_centered(self.judge, real)
        return self.gamma(real[0]) * self.options.r1_interval * penalty, {"r1": penalty.detach()}

    def gamma(self, real: Tensor) -> float:
        """Return R1's weight for such images [N, C, H, W] of this rank."""
        if self.options.r1_gamma is not None:
            return self.options.r1_gamma
        return GAMMA * real.shape[2] * real.shape[3] / (len(real) * shards.world())

    # Samples

    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return images of latents [N, Z], cut off at -1 and 1; labels are [N] int64 or weights [N, classes]."""
        return self.synthesize(self.mapping(z, labels)).clamp(-1, 1)

    def sample(self, n: int, generator: torch.Generator, labels: Tensor | None = None) -> Tensor:
        """Return n generated images; labels that are not given are drawn at random."""
        if labels is None and self.options.conditional:
            labels = torch.randint(len(self.spec.classes), (n,), generator=generator)
        return Model.sample(self, n, generator, labels)

    def showcase(self, fixed: Fixed) -> dict[str, Tensor]:
        assert fixed.z is not None  # a pair draws latents
        return {"samples": self.generate(fixed.z, fixed.labels if self.options.conditional else None)}


def truncated(style: Tensor, mean: Tensor, psi: float) -> Tensor:
    """Return mean + psi (style - mean): styles [N, ...] nearer to the average (Karras 2019, appendix B)."""
    return torch.lerp(mean, style, psi)


def bands(layers: int) -> dict[str, Sequence[int]]:
    """Return the layers that are called coarse, middle and fine; those that a small picture has not are empty.

    Karras 2019, section 3.1, splits the nine sizes from 4x4 to 1024x1024 into two, two and five; fewer sizes are split
    likewise.  Two layers belong to a size.
    """
    sizes = layers // 2
    first = max(1, round(2 * sizes / 9))
    second = min(max(first + 1, round(4 * sizes / 9)), max(sizes - 1, first))
    return {"coarse": range(0, 2 * first), "middle": range(2 * first, 2 * second), "fine": range(2 * second, layers)}
