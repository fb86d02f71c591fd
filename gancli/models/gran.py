"""Generative recurrent adversarial network: an image is drawn on a canvas in T steps (Im 2016).

Layers, initialization and the penalty on the discriminator's dense layers are those of the authors' code
(github.com/jiwoongim/GRAN), which reuses one latent at every step; its widths for MNIST are the default.  Differs from it:

- Batch norm follows all but the last of the decoder's layers, as in DCGAN (Radford 2016, section 3); there none does
  (model.generator_norm=none).  What a layer's weights have in common adds up over all its inputs, which ReLU makes positive:
  without a norm that drowned what tells images apart, and all became alike and black.
- Rates are constant (there divided by 1 + epoch / 50).
- Batch norm has running statistics when it samples (see StepNorm).
- Both players' turns are on one batch of images (trainer.reuse_generated=false gives each its own latents, as there), and
  samples are drawn from an average of the generator's weights (trainer.ema_kimg=null).

Adam has no first moment, as there: the code's decay of 0.9 is itself multiplied by 1e-8 with each step.

Legend: N batch, C channels, H height, W width, Z latent size, T steps.
"""

from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from gancli.data.spec import Batch, DataSpec
from gancli.errors import check_choice, check_range
from gancli.game.model import Fixed, Progress
from gancli.game.pair import PairModel
from gancli.game.prior import Normal
from gancli.game.showcase import interleave_rows
from gancli.losses.objective import Objective
from gancli.networks.layers import NORMS
from gancli.networks.recurrent_canvas import CanvasDiscriminator, CanvasGenerator
from gancli.options import Recipe
from gancli.registry import models


@dataclass(kw_only=True)
class GRANOptions:
    """The recurrence and the widths of both networks."""

    name: str
    steps: int  # T, of the canvas
    latent_size: int
    width: int  # of the generator: its maps have 8, 4, 2, 1 times as many channels, from the smallest up
    discriminator_width: int  # likewise, from the image down
    discriminator_units: int  # of its tanh layer
    generator_norm: str = field(default="none", kw_only=True)  # between the decoder's layers, or batch; as older runs: none
    discriminator_norm: str  # batch (the paper), layer, instance or none
    decay: float  # times half the squared weights of the discriminator's dense layers
    recipe: Recipe

    def __post_init__(self) -> None:
        for key in ("steps", "latent_size", "width", "discriminator_width", "discriminator_units"):
            check_range(f"model.{key}", getattr(self, key), 1)
        check_range("model.decay", self.decay, 0)
        check_choice("model.discriminator_norm", self.discriminator_norm, NORMS)
        check_choice("model.generator_norm", self.generator_norm, ("batch", "none"))


@models.register("gran", options=GRANOptions)
class GRAN(PairModel):
    """A generator whose steps each add to a canvas what a decoder makes of noise and of the last addition; normal latents."""

    small: ClassVar = {"steps": 2, "latent_size": 6, "width": 2, "discriminator_width": 2, "discriminator_units": 6}

    def __init__(self, options: GRANOptions, spec: DataSpec, objective: Objective) -> None:
        generator = CanvasGenerator(options.latent_size, spec.shape, options.width, options.steps,
                                    options.generator_norm)
        discriminator = CanvasDiscriminator(spec.shape, options.discriminator_width, options.discriminator_units,
                                            options.discriminator_norm)
        super().__init__(spec, objective, generator, discriminator, Normal(options.latent_size))
        self.decay = options.decay

    def player_loss(self, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, dict[str, Tensor]]:
        loss, scalars = super().player_loss(player, batch, progress)
        if player == "discriminator" and self.decay:
            loss = loss + self.decay * self.squared_weights() / 2
        return loss, scalars

    def squared_weights(self) -> Tensor:
        """Return the sum of the squared weights of the discriminator's dense layers."""
        return self.discriminator.dense.weight.square().sum() + self.discriminator.head.weight.square().sum()

    def stages(self, z: Tensor) -> dict[str, Tensor]:
        """Return the canvas after every step as an image [N, C, H, W] in [-1, 1], by its number."""
        return {f"step {number}": canvas for number, canvas in enumerate(self.generator.canvases(z), 1)}

    def showcase(self, fixed: Fixed) -> dict[str, Tensor]:
        assert fixed.z is not None  # a pair draws latents
        stages = list(self.stages(fixed.z).values())
        shown = max(fixed.columns, len(fixed.z) // (2 * len(stages)))
        canvas = interleave_rows(fixed.columns, *(stage[:shown] for stage in stages))
        return {"samples": stages[-1], "canvas": canvas}
