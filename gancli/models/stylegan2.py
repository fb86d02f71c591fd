"""StyleGAN2: styles modulate and demodulate weights, penalties have turns of their own (Karras 2020, 1912.04958).

Networks, initial weights, losses and lazy penalties are those of the authors' code for ADA
(github.com/NVlabs/stylegan2-ada-pytorch), counted parameter by parameter; conf/experiment has its settings `cifar` and
`auto`.  Differences: the defaults are narrow networks for two cores, without the path length's penalty, as ADA's for CIFAR-10;
both players' turns are on one generated batch unless trainer.reuse_generated=false; pictures and figures are made with the
fixed noise, not with noise drawn anew; gradients that are not finite end a run and are not replaced; any size that doubling 4
to 7 pixels reaches will do.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from gancli.data.spec import Batch, DataSpec
from gancli.errors import check_choice, check_range
from gancli.game.growth import sizes_and_widths
from gancli.game.model import Progress
from gancli.game.phase import Phase, Turn
from gancli.game.styles import StyleModel, StyleOptions
from gancli.losses.objective import Objective
from gancli.networks.stylegan2 import DISCRIMINATORS, SYNTHESES, StyleDiscriminator, Synthesis
from gancli.options import Recipe
from gancli.ranks import shards
from gancli.registry import models

PATH_DECAY = 0.01  # of the mean path length


@dataclass
class StyleGAN2Options(StyleOptions):
    """The networks' forms and the path length's penalty beside what style-based systems share."""

    synthesis: str  # skip or residual (Karras 2020, figure 7)
    discriminator: str  # residual, skip or plain
    path_weight: float  # of the path length's penalty; 0: none
    path_interval: int  # rounds from one path length to the next
    path_shrink: int  # the part of a batch that it is taken on is 1 / path_shrink
    recipe: Recipe

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("model.synthesis", self.synthesis, SYNTHESES)
        check_choice("model.discriminator", self.discriminator, DISCRIMINATORS)
        check_range("model.path_weight", self.path_weight, 0)
        check_range("model.path_interval", self.path_interval, 1)
        check_range("model.path_shrink", self.path_shrink, 1)


@models.register("stylegan2", options=StyleGAN2Options)
class StyleGAN2(StyleModel):
    """Nonsaturating logits with lazy R1; the generator keeps the length of paths in style space even."""

    small = {"latent_size": 6, "style_size": 6, "mapping_layers": 2, "channel_base": 32, "channel_max": 6, "path_weight": 2}
    variants = ({}, {"conditional": True, "synthesis": "residual", "discriminator": "skip"},
                {"discriminator": "plain", "mixing": 0, "r1_interval": 1, "path_weight": 0})

    path_length: Tensor  # its moving average

    def __init__(self, options: StyleGAN2Options, spec: DataSpec, objective: Objective) -> None:
        channels, *size = spec.shape
        sizes, widths = sizes_and_widths(options, *size)
        classes = len(spec.classes) if options.conditional else 0
        super().__init__(options, spec, objective,
                         Synthesis(channels, sizes, widths, options.style_size, options.synthesis),
                         StyleDiscriminator(channels, sizes, widths, options.discriminator, options.stddev_group, classes))
        self.register_buffer("path_length", torch.zeros(()))

    def phase(self, progress: Progress, default: Phase) -> Phase:
        phase = super().phase(progress, default)
        if not self.options.path_weight:
            return phase
        last = max(place for place, turn in enumerate(phase.turns) if turn.player == "generator")
        return phase.with_turn(last, Turn("generator", draws=False, every=self.options.path_interval, part="path_length"))

    def part_loss(self, part: str, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, dict[str, Tensor]]:
        if part != "path_length":
            return super().part_loss(part, player, batch, progress)
        few = max(1, len(batch.real) // self.options.path_shrink)
        styles = self.styles_for(*(x[:few] for x in self.real_inputs(batch)))
        lengths = path_lengths(self.make(styles), styles)
        mean = torch.lerp(self.path_length, shards.stacked(lengths.mean()).mean(), PATH_DECAY)
        self.path_length.copy_(mean.detach())
        penalty = (lengths - mean).square().mean()
        weight = self.options.path_weight * self.options.path_interval
        return weight * penalty, {"path_length": lengths.detach().mean(), "path_penalty": penalty.detach()}


def path_lengths(images: Tensor, styles: Tensor) -> Tensor:
    """Return |J^T y| for each image [N], y normal over its pixels and of their number's root (Karras 2020, eq. 4).

    The square is the mean over the layers of the sum over a style's numbers, as in the authors' code.

    Args:
        images: [N, C, H, W], made of
        styles: [N, L, S].
    """
    noise = shards.randn_like(images) / (images.shape[2] * images.shape[3]) ** 0.5
    slopes, = torch.autograd.grad((images * noise).sum(), styles, create_graph=True)
    return slopes.float().square().sum(2).mean(1).sqrt()
