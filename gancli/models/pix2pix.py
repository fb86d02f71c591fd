"""pix2pix: a U-Net translates one domain into the other, a patch discriminator sees both images (Isola 2017, 1611.07004).

From the paper's code (github.com/phillipi/pix2pix): networks, weights, losses and rates.  Where a batch is one image, as
there, its batch norm is instance norm at training and at test; here the generator has instance norm by name, so that a
translation depends on no other image however large the batch is (model.generator_norm=batch for the other).

Differs: no jitter (there images are enlarged to 286x286 and cut to 256x256 at random), mirrored with dataset.flip=true alone;
dropout, the only noise, is off when a trained model translates, where the code leaves it on for a "minor" variety;
translations are drawn from an average of the weights (trainer.ema_kimg=null: from the weights themselves); the
discriminator's loss is the plain sum of both halves, as the code's gradients are (the paper speaks of half of it).

Legend: N batch, C channels, H height, W width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import l1_loss

from gancli.data.spec import Batch, DataSpec
from gancli.errors import check_choice, check_range
from gancli.game.model import Fixed, Model, Needs, Progress, no_loss_for
from gancli.game.showcase import interleave_rows
from gancli.losses.objective import Objective
from gancli.networks.layers import NORMS
from gancli.networks.patch import PatchDiscriminator, PixelDiscriminator, patch_depth
from gancli.networks.unet import UNet, unet_depth
from gancli.options import Recipe
from gancli.registry import models


@dataclass
class Pix2PixOptions:
    """A U-Net and a patch discriminator, both as deep as the images allow."""

    name: str
    to: str | None  # the domain that is made; null: the second one
    width: int  # channels after the first convolution, of both networks
    depth: int | None  # halvings of the U-Net; null: down to one pixel, at most 8
    patch: int | None  # halvings of the discriminator: 0 judges pixels, 1 16x16, 2 34x34, 3 70x70; null: by the images' size
    lambda_l1: float  # weight of the mean absolute error
    lambda_adversarial: float  # weight of the game in the generator's loss; 0 leaves the error alone (the paper's L1)
    dropout: float  # of the three decoder blocks behind the bottleneck
    sees_input: bool  # the discriminator judges both images; false: the output alone (the paper's table 1, L1+GAN)
    generator_norm: str  # instance, batch, layer or none
    discriminator_norm: str  # batch (the paper), instance, layer or none
    recipe: Recipe

    def __post_init__(self) -> None:
        check_range("model.width", self.width, 1)
        check_range("model.depth", self.depth, 2, 8)
        check_range("model.patch", self.patch, 0, 6)
        check_range("model.lambda_l1", self.lambda_l1, 0)
        check_range("model.lambda_adversarial", self.lambda_adversarial, 0)
        check_range("model.dropout", self.dropout, 0, 0.9)
        check_choice("model.generator_norm", self.generator_norm, NORMS)
        check_choice("model.discriminator_norm", self.discriminator_norm, NORMS)


@models.register("pix2pix", options=Pix2PixOptions)
class Pix2Pix(Model):
    """min over G, max over D of the adversarial game on pairs (x, y) and (x, G(x)), plus lambda E |y - G(x)| (eq. 4)."""

    needs = Needs(domains=2, paired=True)
    small = {"width": 4, "depth": 3}
    variants = ({}, {"sees_input": False, "patch": 0})

    def __init__(self, options: Pix2PixOptions, spec: DataSpec, objective: Objective) -> None:
        super().__init__(spec, objective)
        channels, *size = spec.shape
        depth = unet_depth(*size) if options.depth is None else options.depth
        patch = max(1, patch_depth(*size)) if options.patch is None else options.patch
        self.generator = UNet(channels, channels, depth, options.width, options.generator_norm, options.dropout)
        seen = channels * (2 if options.sees_input else 1)
        norm = options.discriminator_norm
        self.discriminator = (PatchDiscriminator(seen, options.width, patch, norm) if patch
                              else PixelDiscriminator(seen, options.width, norm))
        self.made = 1 if options.to is None else spec.domains.index(options.to)
        self.lambda_l1, self.lambda_adversarial = options.lambda_l1, options.lambda_adversarial
        self.sees_input = options.sees_input
        self.players = {"discriminator": [self.discriminator], "generator": [self.generator]}

    @classmethod
    def check_data(cls, options: Pix2PixOptions, spec: DataSpec) -> None:
        super().check_data(options, spec)
        check_choice("model.to", spec.domains[1] if options.to is None else options.to, spec.domains)
        size = spec.shape[1:]
        check_range("model.depth", options.depth, 2, max(2, unet_depth(*size)))
        check_range("model.patch", options.patch, 0, largest_patch(*size))

    def player_loss(self, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, dict[str, Tensor]]:
        x, y = self.in_order(batch)
        fake = self.generator(x) if batch.prepared is None else batch.prepared
        if player == "discriminator":
            if batch.prepared is not None:  # its graph is the generator's
                fake = fake.detach()
            judged = self.objective.discriminator(self.judge, self.shown(x, y), self.shown(x, fake),
                                                  progress.turns.get(player, 0))
            return judged.loss, judged.scalars
        if player != "generator":
            raise no_loss_for(player, self)
        judged = self.objective.generator(self.judge, self.shown(x, fake), self.shown(x, y))
        error = l1_loss(fake, y)
        loss = self.lambda_adversarial * judged.loss + self.lambda_l1 * error
        return loss, judged.scalars | {"l1": error.detach()}

    def prepare(self, batch: Batch) -> Tensor:
        return self.generator(self.in_order(batch)[0])

    def in_order(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the images that are translated and what they should become."""
        return batch.domains[1 - self.made], batch.domains[self.made]

    def shown(self, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        """Return what the discriminator is shown of a pair."""
        return (x, y) if self.sees_input else (y,)

    def judge(self, *images: Tensor) -> Tensor:
        """Return the logits [N, 1, h, w] of patches."""
        return self.discriminator(torch.cat(images, 1))

    @property
    def targets(self) -> tuple[str, ...]:
        return (self.spec.domains[self.made],)

    def translate(self, x: Tensor, domain: str) -> Tensor:
        """Return images of the other domain as `domain`, the one that this model makes, would show them."""
        if domain not in self.targets:
            raise ValueError(f"this model translates to {self.targets[0]} alone, not to {domain}")
        return self.generator(x)

    def bands(self, name: str, fixed: Fixed) -> tuple[str, ...]:
        return "given", "translated", "real"

    def showcase(self, fixed: Fixed) -> dict[str, Tensor]:
        shown = max(fixed.columns, len(fixed.batch) // 3)
        x, y = (images[:shown] for images in self.in_order(fixed.batch))
        return {"translations": interleave_rows(fixed.columns, x, self.generator(x), y)}


def largest_patch(height: int, width: int) -> int:
    """Return the most halvings that leave the discriminator a patch to judge."""
    side, depth = min(height, width), 0
    while depth < 6 and side // 2 - 2 >= 1:  # the two stride-1 layers take one pixel each
        side, depth = side // 2, depth + 1
    return depth
