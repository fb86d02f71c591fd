"""The engine's game on problems the size of a blackboard: the project's players, schemes and losses, without a record."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gancli.data.spec import Batch, DataSpec
from gancli.engine.options import OptimizerOptions, TrainerOptions
from gancli.engine.players import Player
from gancli.engine.rounds import Game
from gancli.game.model import Fixed, Model, Progress
from gancli.game.phase import Phase, in_turn
from gancli.losses.objective import Objective
from gancli.losses.options import LossOptions
from gancli.monitor.scalars import Scalars
from gancli.seeds import mix

BUILD_STREAM = 1 << 32  # of random numbers for initial weights, as the engine has one
EXAMINE_STREAM = 1 << 33  # for examples that nothing was learned from
NOWHERE = DataSpec((1,), 1 << 40)  # data of games that draw their own examples

Draw = Callable[[int], Tensor]  # n examples [n, P] of a density, from torch's global generator


class NoData:
    """Batches of nothing but their size."""

    def batch(self, images: int, n: int, parts: int = 1) -> Batch:
        """Return an empty batch of `n`."""
        return Batch.blank(NOWHERE, n)


class Judged(Model):
    """A discriminator that learns to tell two densities apart which stand still."""

    def __init__(self, loss: LossOptions, judge: nn.Module, real: Draw, fake: Draw) -> None:
        super().__init__(NOWHERE, Objective(loss))
        self.judge, self.real, self.fake = judge, real, fake
        self.players = {"discriminator": [judge]}

    def player_loss(self, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, dict[str, Tensor]]:
        n = len(batch)
        judged = self.objective.discriminator(self.judge, (self.real(n),), (self.fake(n),), progress.turns.get(player, 0))
        return judged.loss, judged.scalars

    def showcase(self, fixed: Fixed) -> dict[str, Tensor]:
        return {}


def seeded(seed: int) -> None:
    """Let the weights that are made next be those of a seed."""
    torch.manual_seed(mix(seed, BUILD_STREAM))


def examine_afresh(seed: int) -> None:
    """Let the examples that are drawn next be none that anything was learned from."""
    torch.manual_seed(mix(seed, EXAMINE_STREAM))


def play(model: Model, trainer: TrainerOptions, optimizer: OptimizerOptions, rounds: int, seed: int = 0,
         look: Callable[[int], None] | None = None, data: Any = None, phase: Phase | None = None) -> Game:
    """Play rounds of the engine's game and return it.

    Args:
        look: called with the number of rounds played, 0 at first.
        data: what gives batches (gancli.data.dataset.Data); None: the model draws its own examples.
        phase: what is played; None: all players in their order.
    """
    players = {name: Player(name, model, optimizer, trainer, "fp32") for name in model.players}
    game = Game(model, None, players, trainer, seed)
    game.default = phase or game.default
    progress, scalars = Progress(total=max(1, rounds * trainer.batch_size)), Scalars()
    for number in range(rounds + 1):
        if look is not None:
            look(number)
        if number < rounds:
            game.round(data or NoData(), progress, scalars)
    return game


def alone(player: str) -> Phase:
    """Return the phase in which one player has all turns."""
    return in_turn([player])
