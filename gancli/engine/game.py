"""The game between two looks at it: rounds of turns, each on its batch and with its own random numbers.

Random numbers come from streams named by (seed, images, turn), so that a continued run draws what the uninterrupted
one would have drawn.
"""

from contextlib import contextmanager

import torch
from torch import nn

from gancli.data.dataset import Data
from gancli.data.spec import Batch
from gancli.engine.averages import Average
from gancli.engine.options import TrainerOptions
from gancli.engine.players import Player
from gancli.game.model import Model, Progress
from gancli.game.phase import Round
from gancli.monitor.scalars import Scalars
from gancli.seeds import mix

TURN_STREAM = 0  # of random numbers, told apart from other streams by the seed's first companion


class Game:
    """The players at play; a round does not wait for the device."""

    def __init__(self, model: Model, average: Average | None, players: dict[str, Player], trainer: TrainerOptions,
                 seed: int) -> None:
        self.model, self.average, self.players, self.trainer, self.seed = model, average, players, trainer, seed
        self.turns = Round(list(model.players), trainer.discriminator_turns).turns
        self.shares = trainer.reuse_generated and trainer.accumulate == 1  # parts would all have to be kept
        self._last: dict[str, tuple[int, int, Batch]] = {}  # each player's last turn: images before its round, index, batch

    def round(self, data: Data, progress: Progress, scalars: Scalars) -> int:
        """Play a round, count it in `progress`, move the average, and return the real images it showed."""
        begun, shown, size = progress.images, 0, self.trainer.batch_size
        for index, turn in enumerate(self.turns):
            if turn.draws:
                batch = data.batch(begun + shown, size, self.trainer.accumulate)
                shown += size
                if turn.shared and self.shares:
                    self._prepare(batch, begun)
            self._stream(begun, index)
            scalars.add(turn.player, self.players[turn.player].turn(batch, progress))
            self._last[turn.player] = begun, index, batch
        progress.images += shown
        progress.rounds += 1
        if self.average is not None:
            self.average.update(shown, progress)
        return shown

    @torch.no_grad()
    def after_turn(self, name: str, progress: Progress) -> dict[str, float]:
        """Return D(G(z)) of a player's last turn, played again after its step on the same data and latents."""
        if name not in self._last:
            return {}
        begun, index, batch = self._last[name]
        with frozen_statistics(self.model):
            if self.shares:
                self._prepare(batch, begun)
            self._stream(begun, index)
            _, scalars = self.players[name].loss(batch, progress)
        return {f"{name}/{key} after": value.item() for key, value in scalars.items() if key == "D(G(z))"}

    def _prepare(self, batch: Batch, begun: int) -> None:
        """Let the model make what several turns on this batch share, with the graph that the later ones need."""
        for parameter in self.model.parameters():
            parameter.requires_grad_(True)
        self._stream(begun, len(self.turns))
        with self.players[self.turns[0].player].precisely():
            self.model.prepare(batch)

    def _stream(self, begun: int, index: int) -> None:
        torch.manual_seed(mix(self.seed, TURN_STREAM, begun, index))


@contextmanager
def frozen_statistics(model: Model):
    """Keep batch norm's running statistics as they are while training-mode forward passes are made."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    counts = [norm.num_batches_tracked.clone() for norm in norms if norm.num_batches_tracked is not None]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for norm, count in zip((n for n in norms if n.num_batches_tracked is not None), counts, strict=True):
            norm.num_batches_tracked.copy_(count)
