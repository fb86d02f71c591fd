"""Pairs whose discriminator has a second head: a network on its features that says more of an image than real or fake.

Legend: N batch, F features, Q outputs of the head.
"""

from abc import abstractmethod
from typing import Any, NamedTuple

from torch import Tensor, nn

from gancli.data.spec import Batch, DataSpec
from gancli.game.model import Progress, no_loss_for
from gancli.game.pair import PairModel
from gancli.game.prior import Prior
from gancli.losses.objective import Objective
from gancli.losses.output import Judged, Output

Scalars = dict[str, Tensor]


class Made(NamedTuple):
    """Generated examples, and what they were made from as far as the head is to tell it."""

    x: Tensor  # [N, C, H, W]
    given: Any


class HeadedPair(PairModel):
    """A generator against a discriminator with a head, whose loss is part of both players' losses.

    The head reads the features of the very pass that gives the logits.  The discriminator's player trains it, with the
    body that both share; the generator's turn asks the same of the images it makes.  Weight clipping spares the
    head; spectral norm, where it is on, is the head's, too.

    Subclasses define `make` and `head_loss`; the discriminator has a `body` (images to features) and a `head`.
    """

    def __init__(self, spec: DataSpec, objective: Objective, generator: nn.Module, discriminator: nn.Module,
                 prior: Prior, teller: nn.Module) -> None:
        super().__init__(spec, objective, generator, discriminator, prior)
        self.teller = teller
        self.players["discriminator"].append(teller)

    @abstractmethod
    def make(self, batch: Batch) -> Made:
        """Return examples made for a batch."""

    @abstractmethod
    def head_loss(self, judged: Judged, made: Made, batch: Batch, discriminates: bool) -> tuple[Tensor, Scalars]:
        """Return what is added to a player's loss, and scalars of it.

        Args:
            judged: the discriminator's outputs on this turn, with the features.
            discriminates: whether it is the discriminator's turn, which has always judged real examples, too.
        """

    def judge(self, x: Tensor) -> Output:
        body, head = (self.discriminator.get_submodule(name) for name in ("body", "head"))
        features = body(x)
        return Output(head(features).flatten(), (features,))

    def tell(self, judged: Output) -> Tensor:
        """Return the head's outputs for what was judged, [N, Q] float32."""
        return self.teller(judged.features[0]).float()

    def player_loss(self, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, Scalars]:
        made = self.make(batch) if batch.prepared is None else batch.prepared
        discriminates = player == "discriminator"
        if discriminates:
            fake = made.x if batch.prepared is None else made.x.detach()  # its graph is the generator's
            judged = self.objective.discriminator(self.judge, (batch.real,), (fake,), progress.turns.get(player, 0))
        elif player == "generator":
            judged = self.objective.generator(self.judge, (made.x,), (batch.real,))
        else:
            raise no_loss_for(player, self)
        further, scalars = self.head_loss(judged, made, batch, discriminates)
        return judged.loss + further, judged.scalars | scalars

    def prepare(self, batch: Batch) -> Made:
        return self.make(batch)

    def logit_networks(self) -> list[nn.Module]:
        return [self.discriminator]

    def after_step(self, player: str) -> None:
        if player == "discriminator":
            self.objective.constrain([self.discriminator])
