"""StarGAN: one generator translates among all domains, told the target, against a critic that tells domains (Choi 2018).

From the paper (1711.09020) and its code (github.com/yunjey/stargan): networks, weights, losses, rates and turns.  Domains are
the data's classes, one an image, or with model.attributes=true its binary attributes, any number of them an image.

Differs: the critic halves images until their shorter side is 2 pixels, as the paper's does at 128; its penalty takes the
gradient of the mean over the map, which is the critic's output, where the code takes that of the sum (four times as large of
a 2x2 map); instance norm keeps no running statistics, which the code does and never uses; the rate falls with every round,
there after every 1000; one data set (the paper also trains on two at once, with a mask); translations are drawn from an
average of the weights (trainer.ema_kimg=null: from the weights themselves).  A command that is given images without
attributes asks the critic's own classifier for those that should stay.

Legend: N batch, C channels, H height, W width, K numbers of a target.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, l1_loss

from gancli.data.spec import Batch, DataSpec
from gancli.errors import UserError, check_choice, check_range
from gancli.game.model import Fixed, Model, Needs, Progress, no_loss_for
from gancli.game.showcase import bands_of, shown_with_targets
from gancli.losses.objective import Objective
from gancli.losses.output import Output
from gancli.networks.layers import label_weights
from gancli.networks.stargan import DomainHead, StarCritic, StarTranslator
from gancli.options import Recipe
from gancli.ranks import shards
from gancli.registry import models

NOT = "not "  # before an attribute's name: the domain of the images without it
Scalars = dict[str, Tensor]


class Made(NamedTuple):
    """What the generator makes of a batch."""

    target: Tensor  # [N, K]
    fake: Tensor  # [N, C, H, W]


@dataclass
class StarGANOptions:
    """A translator that is told the target domain, and a critic with a second head."""

    name: str
    attributes: bool  # domains are binary attributes; false: the classes
    exclusive: list[str] | None  # attributes of which an image has one (colors of hair): to set one clears the others
    width: int  # channels of the largest maps, of both networks
    blocks: int  # residual blocks
    lambda_class: float  # weight of the domain classifier's loss
    lambda_cycle: float  # weight of the reconstruction, a mean absolute error
    recipe: Recipe

    def __post_init__(self) -> None:
        check_range("model.width", self.width, 1)
        check_range("model.blocks", self.blocks, 0)
        check_range("model.lambda_class", self.lambda_class, 0)
        check_range("model.lambda_cycle", self.lambda_cycle, 0)
        if self.exclusive and not self.attributes:
            raise ValueError("model.exclusive names attributes: give model.attributes=true, or leave it out")


@models.register("stargan", options=StarGANOptions)
class StarGAN(Model):
    """The critic minimizes -L_adv + L_cls of real images, the generator L_adv + L_cls of its own + L_rec (eqs. 5, 6)."""

    needs = Needs(labels=True)
    small = {"width": 4, "blocks": 1}

    def __init__(self, options: StarGANOptions, spec: DataSpec, objective: Objective) -> None:
        super().__init__(spec, objective)
        self.options, self.names = options, spec.attributes if options.attributes else spec.classes
        channels, height, width = spec.shape
        count = len(self.names)
        self.generator = StarTranslator(channels, count, options.width, options.blocks)
        self.discriminator = StarCritic(channels, (height, width), options.width)
        self.teller = DomainHead(self.discriminator, count)
        self.players = {"discriminator": [self.discriminator, self.teller], "generator": [self.generator]}

    @classmethod
    def needs_of(cls, options: StarGANOptions) -> Needs:
        return Needs(attributes=True) if options.attributes else cls.needs

    @classmethod
    def check_data(cls, options: StarGANOptions, spec: DataSpec) -> None:
        super().check_data(options, spec)
        if not options.attributes and len(spec.classes) < 2:
            raise UserError(f"model={options.name} translates among classes and this data set has one: give data with more, "
                            "or model=cyclegan.")
        for name in options.exclusive or ():
            check_choice("model.exclusive", name, spec.attributes)

    # Training

    def player_loss(self, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, Scalars]:
        made = self.prepare(batch) if batch.prepared is None else batch.prepared
        if player == "discriminator":
            fake = made.fake if batch.prepared is None else made.fake.detach()  # its graph is the generator's
            judged = self.objective.discriminator(self.judge, (batch.real,), (fake,), progress.turns.get(player, 0))
            of_class = self.class_loss(judged.real, self.own(batch))
            return judged.loss + self.options.lambda_class * of_class, judged.scalars | {"class_real": of_class.detach()}
        if player != "generator":
            raise no_loss_for(player, self)
        judged = self.objective.generator(self.judge, (made.fake,), (batch.real,))
        of_class = self.class_loss(judged.fake, made.target)
        cycle = l1_loss(self.generator(made.fake, self.own(batch)), batch.real)
        loss = judged.loss + self.options.lambda_class * of_class + self.options.lambda_cycle * cycle
        return loss, judged.scalars | {"class": of_class.detach(), "cycle": cycle.detach()}

    def prepare(self, batch: Batch) -> Made:
        """Return translations into the domains of other images of the batch, which come in a new order (the authors' code)."""
        every = shards.gathered(self.own(batch))
        order = torch.rand(len(every), device=every.device).argsort()  # alike on every rank
        target = shards.mine(every[order])
        return Made(target, self.generator(batch.real, target))

    def own(self, batch: Batch) -> Tensor:
        """Return the domains that a batch's images are in, as the generator takes them [N, K]."""
        if self.options.attributes:
            assert batch.attributes is not None  # needs_of asks for them
            return batch.attributes
        assert batch.labels is not None
        return label_weights(batch.labels, len(self.names))

    def judge(self, x: Tensor) -> Output:
        """Return the logits [N, 1, h, w] of patches, with the maps that the second head reads."""
        features = self.discriminator.body(x)
        return Output(self.discriminator.head(features), (features,))

    def class_loss(self, judged: Output | None, target: Tensor) -> Tensor:
        """Return the cross-entropy of the second head's answer; of attributes the sum over them, the mean over images."""
        assert judged is not None  # the critic's loss looks at real images
        logits = self.teller(judged.features[0]).float()
        if self.options.attributes:
            return binary_cross_entropy_with_logits(logits, target, reduction="sum") / len(target)
        return cross_entropy(logits, target)

    def logit_networks(self) -> list[nn.Module]:
        return [self.discriminator]

    def after_step(self, player: str) -> None:
        if player == "discriminator":
            self.objective.constrain([self.discriminator])  # as of every discriminator with a second head

    # Abilities

    @property
    def targets(self) -> tuple[str, ...]:
        """The classes; of attributes every one's absence, then every one."""
        return (*(NOT + name for name in self.names), *self.names) if self.options.attributes else self.names

    def shows(self, domain: str, batch: Batch) -> Tensor:
        if not self.options.attributes:
            return super().shows(domain, batch)
        place, value = self._attribute(domain)
        return self.own(batch)[:, place] == value

    def translate(self, x: Tensor, domain: str) -> Tensor:
        """Return images as `domain` would show them; what other attributes they have, the critic's classifier says."""
        if domain not in self.targets:
            raise ValueError(f"there is no domain called {domain}; there is {', '.join(self.targets)}")
        return self.generator(x, self.target_of(x, domain))

    def target_of(self, x: Tensor, domain: str) -> Tensor:
        """Return what the generator is told to bring images into a domain [N, K]."""
        if not self.options.attributes:
            labels = torch.full((len(x),), self.names.index(domain), device=x.device)
            return label_weights(labels, len(self.names))
        place, value = self._attribute(domain)
        target = (self.teller(self.discriminator.body(x)) > 0).float()
        exclusive = self.options.exclusive or ()
        if value and self.names[place] in exclusive:
            target[:, [self.names.index(name) for name in exclusive]] = 0
        target[:, place] = value
        return target

    def _attribute(self, domain: str) -> tuple[int, float]:
        """Return the place of the attribute that a domain is about, and its value there."""
        if domain in self.names:
            return self.names.index(domain), 1.0
        return self.names.index(domain.removeprefix(NOT)), 0.0

    def bands(self, name: str, fixed: Fixed) -> tuple[str, ...]:
        return bands_of(self.targets)

    def showcase(self, fixed: Fixed) -> dict[str, Tensor]:
        return {"translations": shown_with_targets(fixed, self.targets, self.translate)}
