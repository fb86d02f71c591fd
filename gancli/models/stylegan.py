"""StyleGAN: styles scale and shift normalized maps, layer after layer, of networks that may grow (Karras 2019, 1812.04948).

Networks and initial weights are those of the authors' code (github.com/NVlabs/stylegan), loss and R1 those of its FFHQ
runs (for CelebA-HQ the paper has loss=wgan_gp).  Differences: the defaults are narrow networks and a short growth, for two
cores; the mapping is Karras 2020's, with the gain of leaky ReLU behind the bias, and labels come in as there (ADA,
appendix D); R1's gamma is 0.0002 H W / batch unless it is given (10 in the paper, at 1024x1024); rates are one for all
levels unless model.rates= is given (the authors: 1e-3, and 1.5e-3 to 3e-3 from 128x128 on); pictures are made with the fixed
noise.  model.stable_kimg=0 model.fade_kimg=0 trains all levels from the start.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, tensor

from gancli.data.spec import Batch, DataSpec
from gancli.errors import UserError, check_range
from gancli.game.growth import Growth, sizes_and_widths
from gancli.game.model import Progress
from gancli.game.pair import Inputs
from gancli.game.phase import Phase
from gancli.game.styles import StyleModel, StyleOptions
from gancli.losses.objective import Objective
from gancli.networks.progressive import doubled, level_at, shrunk
from gancli.networks.styled import Noise
from gancli.networks.stylegan import GrowingDiscriminator, GrowingSynthesis
from gancli.options import Recipe
from gancli.registry import models

FIRST_SIDE = 8  # shorter side, at least, of the images that growth begins with (Karras 2019, appendix C)


@dataclass
class StyleGANOptions(StyleOptions):
    """The growth beside what style-based systems share; its options are progan's."""

    stable_kimg: float  # for which each level but the last is trained before the next comes
    fade_kimg: float  # in which a level is faded in; with both 0 nothing grows
    batch_sizes: list[int]  # of each level from the first; the last counts for all larger ones; []: trainer.batch_size
    rates: list[float]  # of both players likewise; []: optimizer.lr
    fresh_optimizers: bool  # both optimizers begin anew with every fade and after it
    recipe: Recipe

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("stable_kimg", "fade_kimg"):
            check_range(f"model.{key}", getattr(self, key), 0)
        for size in self.batch_sizes:
            check_range("model.batch_sizes", size, 1)
        for rate in self.rates:
            check_range("model.rates", rate, 0)


@models.register("stylegan", options=StyleGANOptions)
class StyleGAN(StyleModel):
    """Nonsaturating logits with R1 on every turn of the discriminator; styles are mixed among the layers that have grown."""

    small = {"latent_size": 6, "style_size": 6, "mapping_layers": 2, "channel_base": 32, "channel_max": 6,
             "stable_kimg": 0.004, "fade_kimg": 0.004}
    variants = ({}, {"conditional": True, "stable_kimg": 0, "fade_kimg": 0})

    growth: Tensor  # of the last turn: how far the networks had grown (gancli.networks.progressive)

    def __init__(self, options: StyleGANOptions, spec: DataSpec, objective: Objective) -> None:
        channels, *size = spec.shape
        sizes, widths = sizes_and_widths(options, *size)
        grows = options.stable_kimg + options.fade_kimg > 0
        first = next(number for number, side in enumerate(sizes) if min(side) >= FIRST_SIDE) if grows else len(sizes) - 1
        classes = len(spec.classes) if options.conditional else 0
        super().__init__(options, spec, objective, GrowingSynthesis(channels, sizes, widths, options.style_size, first),
                         GrowingDiscriminator(channels, sizes, widths, options.stddev_group, first, classes))
        self.schedule, self.sizes = Growth(sizes, options.stable_kimg, options.fade_kimg, first), sizes
        self.now = float(len(sizes) - 1)  # the growth of the present turn
        self.register_buffer("growth", tensor(float(first)))

    @classmethod
    def check_data(cls, options: Any, spec: DataSpec) -> None:
        super().check_data(options, spec)
        if max(options.batch_sizes, default=0) > spec.count:
            raise UserError(f"model.batch_sizes={options.batch_sizes} holds a batch larger than the data set of "
                            f"{spec.count}: give {spec.count} or less.")

    def phase(self, progress: Progress, default: Phase) -> Phase:
        options = self.options
        return self.schedule.phase(progress.images, super().phase(progress, default), options.batch_sizes, options.rates,
                                   list(self.players), options.fresh_optimizers)

    def prepare(self, batch: Batch) -> None:
        """Let each turn draw its own latents, as in the authors' code, whatever trainer.reuse_generated says."""

    def player_loss(self, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, dict[str, Tensor]]:
        self._grow(progress)
        return super().player_loss(player, batch, progress)

    def part_loss(self, part: str, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, dict[str, Tensor]]:
        self._grow(progress)
        return super().part_loss(part, player, batch, progress)

    def _grow(self, progress: Progress) -> None:
        self.now = self.schedule.at(progress.images)
        self.growth.fill_(self.now)

    def layers_in_use(self) -> int:
        return 2 * (level_at(self.now)[0] + 1)

    def make(self, styles: Tensor) -> Tensor:
        return self.synthesis(styles, None, self.now)

    def real_inputs(self, batch: Batch) -> Inputs:
        real, *labels = super().real_inputs(batch)
        return shrunk(real, len(self.sizes), self.now), *labels

    def judge(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.discriminator(x, labels, self.now)

    def synthesize(self, styles: Tensor, noise: Noise | None = None) -> Tensor:
        """Return images as the last turn's networks show them, at full size."""
        growth = self.growth.item()
        images = self.synthesis(self.every_layer(styles), noise, growth)
        for _ in self.sizes[level_at(growth)[0] + 1:]:
            images = doubled(images)
        return images
