"""GP-GAN: a network makes a small, well-blended image of a copy and paste; an equation makes it large (Wu 2017, 1703.07195).

    generator       lambda_l2 E (G(x) - y)^2 + lambda_adversarial (its loss in the adversarial rule)
    discriminator   its loss in the rule: y is real, G(x) is fake

x is y with a square of half its sides, in the middle, from another picture of the same scene.  What the small image lacks, the
Gaussian-Poisson equation takes from the gradients of both pictures, at several scales (`gancli.equations`, `gan blend`).

Networks, initial weights, the weights of the loss, weight clipping at 0.01 with five turns of the critic and Adam are those of
the authors' code (github.com/wuhuikai/GP-GAN, its supervised Blending GAN of 64x64 pixels); its unsupervised variant, an
image of a latent that is searched for, is not here.

The paper's pictures are of Transient Attributes: one place at several times.  With model.pairs=domains they are a paired data
set's two domains; with model.pairs=batch the other picture is any other one of the data (in which the square shows something
else, so that the network learns to draw over it); model.pairs=relit is for data of one picture a scene: the other one is
the picture itself in another light, each channel's contrast and brightness changed at random.

Differs from the code: the critic has no 100 turns in the first 25 and every 500th round; the square does not leave the middle,
but composites of `gan blend` may have any mask, as there.

Legend: N batch, C channels, H height, W width.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from gancli.data.spec import Batch, DataSpec
from gancli.errors import check_choice, check_range
from gancli.game.holes import middle
from gancli.game.model import Fixed, Model, Needs, Progress, no_loss_for
from gancli.game.showcase import interleave_rows
from gancli.losses.objective import Objective
from gancli.networks.context import ContextDiscriminator, ContextGenerator
from gancli.networks.layers import NORMS
from gancli.options import Recipe
from gancli.ranks import shards
from gancli.registry import models

PAIRS = ("relit", "domains", "batch")
CONTRAST, BRIGHTNESS = 0.5, 0.4  # of another light: x becomes (1 +- CONTRAST) x +- BRIGHTNESS, values from -1 to 1


@dataclass
class GPGANOptions:
    """What is pasted into what, how wide the networks are, and how the losses are weighed."""

    name: str
    pairs: str  # one of PAIRS: where the other picture of a scene comes from
    width: int  # channels after the first halving, of both networks
    bottleneck: int | None  # fully connected units; null: fully connected within each channel
    lambda_l2: float
    lambda_adversarial: float  # 0 leaves the error alone
    discriminator_norm: str
    recipe: Recipe

    def __post_init__(self) -> None:
        check_choice("model.pairs", self.pairs, PAIRS)
        check_range("model.width", self.width, 1)
        check_range("model.bottleneck", self.bottleneck, 1)
        check_range("model.lambda_l2", self.lambda_l2, 0)
        check_range("model.lambda_adversarial", self.lambda_adversarial, 0)
        check_choice("model.discriminator_norm", self.discriminator_norm, NORMS)


class Pasted(NamedTuple):
    """Composites and what the network makes of them, [N, C, H, W] each."""

    composite: Tensor
    blended: Tensor


@models.register("gpgan", options=GPGANOptions)
class GPGAN(Model):
    """A generator from composites to images without a seam, against a critic."""

    small = {"width": 4, "bottleneck": 6}
    variants = ({}, {"pairs": "batch"})

    def __init__(self, options: GPGANOptions, spec: DataSpec, objective: Objective) -> None:
        super().__init__(spec, objective)
        self.options = options
        self.square = middle(*spec.shape[1:])
        self.generator = ContextGenerator(spec.shape, options.width, options.bottleneck)
        self.discriminator = ContextDiscriminator(spec.shape, options.width, options.discriminator_norm)
        self.players = {"discriminator": [self.discriminator], "generator": [self.generator]}

    @classmethod
    def needs_of(cls, options: GPGANOptions) -> Needs:
        return replace(cls.needs, domains=2, paired=True) if options.pairs == "domains" else cls.needs

    def prepare(self, batch: Batch) -> Pasted:
        composite = self.composite(batch)
        return Pasted(composite, self.blend(composite))

    def player_loss(self, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, dict[str, Tensor]]:
        made = self.prepare(batch) if batch.prepared is None else batch.prepared
        y, fake = batch.real, made.blended
        if player == "discriminator":
            if batch.prepared is not None:  # its graph is the generator's
                fake = fake.detach()
            judged = self.objective.discriminator(self.discriminator, (y,), (fake,), progress.turns.get(player, 0))
            return judged.loss, judged.scalars
        if player != "generator":
            raise no_loss_for(player, self)
        judged = self.objective.generator(self.discriminator, (fake,), (y,))
        error = mse_loss(fake, y)
        loss = self.options.lambda_l2 * error + self.options.lambda_adversarial * judged.loss
        return loss, judged.scalars | {"l2": error.detach()}

    def composite(self, batch: Batch) -> Tensor:
        """Return the images of a batch, each with the middle of another picture of its scene pasted in."""
        x = batch.real
        if self.options.pairs == "domains":
            return self.paste(batch.domains[1], x)
        if self.options.pairs == "batch":  # the next one, also where that is another rank's
            return self.paste(shards.mine(shards.gathered(x).roll(-1, 0)), x)
        return self.paste(relit(x, shards.rand(len(x), 2, x.shape[1], 1, 1, device=x.device)), x)

    def paste(self, source: Tensor, target: Tensor) -> Tensor:
        composite = target.clone()
        composite[(..., *self.square.area)] = source[(..., *self.square.area)]
        return composite

    def blend(self, x: Tensor) -> Tensor:
        """Return composites [N, C, H, W] as if their pasted parts belonged there."""
        return self.generator(x).to(x.dtype)

    def bands(self, name: str, fixed: Fixed) -> tuple[str, ...]:
        return "pasted", "blended", "original"

    def showcase(self, fixed: Fixed) -> dict[str, Tensor]:
        shown = max(fixed.columns, len(fixed.batch) // 3)
        batch = Batch(tuple(images[:shown] for images in fixed.batch.domains))
        if self.options.pairs == "relit":
            light = torch.rand(len(batch), 2, batch.real.shape[1], 1, 1, generator=torch.Generator().manual_seed(0))
            composite = self.paste(relit(batch.real, light.to(batch.real.device)), batch.real)
        else:
            composite = self.composite(batch)
        return {"blends": interleave_rows(fixed.columns, composite, self.blend(composite), batch.real)}


def relit(x: Tensor, light: Tensor) -> Tensor:
    """Return images x [N, C, H, W] in another light: two uniform numbers for each channel, [N, 2, C, 1, 1]."""
    contrast, brightness = (light * 2 - 1).unbind(1)
    return ((1 + CONTRAST * contrast) * x + BRIGHTNESS * brightness).clamp(-1, 1)
