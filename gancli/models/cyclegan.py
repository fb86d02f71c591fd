"""CycleGAN: two translators between unpaired domains, held together by cycle consistency (Zhu 2017).

Differs from the paper's code: images are neither jittered (there they are enlarged to 286x286 and cut to 256x256 at random)
nor, unless dataset.flip=true, mirrored; and translations are drawn from an average of the translators' weights
(trainer.ema_kimg=null: from the weights themselves).

Legend: A, B the two domains; N batch, C channels, H height, W width.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import l1_loss

from gancli.data.spec import Batch, DataSpec
from gancli.errors import check_choice, check_range
from gancli.game.model import Fixed, Model, Needs, Progress, no_loss_for
from gancli.game.showcase import interleave_rows
from gancli.losses.objective import Objective
from gancli.networks.image_pool import ImagePool
from gancli.networks.layers import NORMS
from gancli.networks.patch import PatchDiscriminator, patch_depth
from gancli.networks.translator import ResNetTranslator
from gancli.options import Recipe
from gancli.registry import models

DEEP_FROM_SIDE = 256  # nine residual blocks from this side on, six below (Zhu 2017, section 7.2)
Scalars = dict[str, Tensor]


class Made(NamedTuple):
    """What the translators make of a batch."""

    a: Tensor  # images of b as a
    b: Tensor  # images of a as b
    identity: Tensor | None  # how far they change images of their own domain, where that costs


@dataclass
class CycleGANOptions:
    """ResNet translators and patch discriminators."""

    name: str
    width: int  # channels of the translators' and the discriminators' largest maps
    blocks: int | None  # residual blocks; null: 6 below 256 pixels, 9 from there on
    lambda_cycle: float
    lambda_identity: float  # times lambda_cycle; 0 leaves the identity loss out
    pool_size: int  # generated images from which the discriminators' history is drawn; 0 switches it off
    discriminator_norm: str  # instance (the paper), batch, layer or none
    recipe: Recipe

    def __post_init__(self) -> None:
        check_range("model.width", self.width, 1)
        check_range("model.blocks", self.blocks, 0)
        check_range("model.pool_size", self.pool_size, 0)
        check_range("model.lambda_cycle", self.lambda_cycle, 0)
        check_range("model.lambda_identity", self.lambda_identity, 0)
        check_choice("model.discriminator_norm", self.discriminator_norm, NORMS)


@models.register("cyclegan", options=CycleGANOptions)
class CycleGAN(Model):
    """G_AB and G_BA against D_A and D_B; the generators move first (Zhu 2017, eqs. 1 to 4).

    The discriminators' loss is halved, which slows them down (section 4), and the squares of lsgan are taken without
    the 1/2 that Mao 2017 gives them, so that the weight of the cycle loss means what it means in the paper.
    """

    needs = Needs(domains=2)
    small = {"width": 4, "blocks": 1, "pool_size": 3}

    def __init__(self, options: CycleGANOptions, spec: DataSpec, objective: Objective) -> None:
        super().__init__(spec, objective)
        channels, *size = spec.shape
        blocks = options.blocks
        if blocks is None:
            blocks = 9 if min(size) >= DEEP_FROM_SIDE else 6
        self.to_b, self.to_a = (ResNetTranslator(channels, channels, options.width, blocks) for _ in range(2))
        self.judge_a, self.judge_b = (
            PatchDiscriminator(channels, options.width, patch_depth(*size), options.discriminator_norm)
            for _ in range(2))
        self.pool_a, self.pool_b = (ImagePool(options.pool_size, spec.shape) for _ in range(2))
        self.lambda_cycle = options.lambda_cycle
        self.lambda_identity = options.lambda_cycle * options.lambda_identity
        self.adversarial_weight = 2.0 if objective.options.rule == "lsgan" else 1.0
        self.players = {"generator": [self.to_b, self.to_a],
                        "discriminator": [self.judge_a, self.judge_b, self.pool_a, self.pool_b]}

    def player_loss(self, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, Scalars]:
        if player == "generator":
            return self._generators_loss(batch, self.prepare(batch) if batch.prepared is None else batch.prepared)
        if player == "discriminator":
            return self._discriminators_loss(batch, progress.turns.get(player, 0))
        raise no_loss_for(player, self)

    def prepare(self, batch: Batch) -> Made:
        a, b = batch.domains
        if not self.lambda_identity:
            return Made(self.to_a(b), self.to_b(a), None)
        fake_b, same_b = self.to_b(torch.cat((a, b))).split((len(a), len(b)))  # instance norm keeps images apart
        fake_a, same_a = self.to_a(torch.cat((b, a))).split((len(b), len(a)))
        return Made(fake_a, fake_b, l1_loss(same_b, b) + l1_loss(same_a, a))

    def _generators_loss(self, batch: Batch, made: Made) -> tuple[Tensor, Scalars]:
        a, b = batch.domains
        of_a = self.objective.generator(self.judge_a, (made.a,), (a,))
        of_b = self.objective.generator(self.judge_b, (made.b,), (b,))
        cycle = l1_loss(self.to_a(made.b), a) + l1_loss(self.to_b(made.a), b)
        loss = self.adversarial_weight * (of_a.loss + of_b.loss) + self.lambda_cycle * cycle
        scalars = _mean(of_a.scalars, of_b.scalars) | {"cycle": cycle.detach()}
        if made.identity is not None:
            loss = loss + self.lambda_identity * made.identity
            scalars["identity"] = made.identity.detach()
        return loss, scalars

    def _discriminators_loss(self, batch: Batch, turn: int) -> tuple[Tensor, Scalars]:
        a, b = batch.domains
        if batch.prepared is None:
            fake_a, fake_b = self.to_a(b), self.to_b(a)
        else:
            fake_a, fake_b = batch.prepared.a.detach(), batch.prepared.b.detach()
        fake_a, fake_b = self.pool_a.exchange(fake_a), self.pool_b.exchange(fake_b)
        of_a = self.objective.discriminator(self.judge_a, (a,), (fake_a,), turn)
        of_b = self.objective.discriminator(self.judge_b, (b,), (fake_b,), turn)
        return 0.5 * self.adversarial_weight * (of_a.loss + of_b.loss), _mean(of_a.scalars, of_b.scalars)

    def translate(self, x: Tensor, domain: str) -> Tensor:
        """Return images of the other domain as `domain`, one of the data's two names, would show them."""
        name_a, name_b = self.spec.domains
        if domain not in (name_a, name_b):
            raise ValueError(f"there is no domain called {domain}; there are {name_a} and {name_b}")
        return self.to_b(x) if domain == name_b else self.to_a(x)

    def bands(self, name: str, fixed: Fixed) -> tuple[str, ...]:
        a, b = self.spec.domains
        return a, f"as {b}", f"back to {a}", b, f"as {a}", f"back to {b}"

    def showcase(self, fixed: Fixed) -> dict[str, Tensor]:
        shown = max(fixed.columns, len(fixed.batch) // 6)
        a, b = (domain[:shown] for domain in fixed.batch.domains)
        fake_b, fake_a = self.to_b(a), self.to_a(b)
        rows = interleave_rows(fixed.columns, a, fake_b, self.to_a(fake_b), b, fake_a, self.to_b(fake_a))
        return {"translations": rows}


def _mean(first: Scalars, second: Scalars) -> Scalars:
    """Return the mean of the two games' scalars."""
    return {name: (first[name] + second[name]) / 2 for name in first}
