"""The game between two looks at it: rounds of turns, each on its batch and with its own random numbers.

Random numbers come from streams named by (seed, images, turn), so that a continued run draws what the uninterrupted
one would have drawn.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gancli.data.dataset import Data
from gancli.data.spec import Batch
from gancli.engine.averages import Average
from gancli.engine.options import TrainerOptions
from gancli.engine.players import Player
from gancli.engine.unrolling import looked_ahead
from gancli.engine.updates import SCHEMES, Field
from gancli.game.looking import untouched
from gancli.game.model import Model, Progress
from gancli.game.phase import Phase, Turn, in_turn
from gancli.monitor.scalars import Scalars
from gancli.seeds import mix

TURN_STREAM = 0  # of random numbers, told apart from other streams by the seed's first companion


def default_phase(model: Model, trainer: TrainerOptions) -> Phase:
    """Return what is played unless the model says otherwise: discriminators discriminator_turns times, others once."""
    return in_turn(list(model.players), dict.fromkeys(model.discriminators, trainer.discriminator_turns))


def shares_work(trainer: TrainerOptions) -> bool:
    """Whether turns on one batch share what the model prepares of it.

    Parts of a batch would all have to be kept, and what looks ahead takes several gradients of one turn.
    """
    return (trainer.reuse_generated and trainer.accumulate == 1 and trainer.unrolled == 0
            and trainer.scheme in ("alternating", "simultaneous", "optimistic"))


class Game:
    """The players at play; a round does not wait for the device."""

    def __init__(self, model: Model, average: Average | None, players: dict[str, Player], trainer: TrainerOptions,
                 seed: int) -> None:
        self.model, self.average, self.players, self.trainer, self.seed = model, average, players, trainer, seed
        self.default = default_phase(model, trainer)
        self.scheme = SCHEMES[trainer.scheme]
        self.shares = shares_work(trainer)
        self.phase: Phase | None = None  # the one that was played last, in this sitting
        self.last: dict[str, Taken] = {}  # each player's last turn

    def round(self, data: Data, progress: Progress, scalars: Scalars) -> int:
        """Play a round, count it in `progress`, move the average, and return the real images it showed."""
        phase = self.model.phase(progress, self.default)
        self._enter(phase, progress)
        self.model.objective.before_round(progress.images)
        round = Round(self, phase, data, progress, scalars)
        self.scheme(round)
        progress.images += round.shown
        progress.rounds += 1
        progress.phase_rounds += 1
        self.model.objective.after_round(round.shown)
        if self.average is not None:
            self.average.update(round.shown, progress)
        return round.shown

    def _enter(self, phase: Phase, progress: Progress) -> None:
        begins = progress.enter(phase.name)
        if phase != self.phase:
            for player in self.players.values():
                player.enter(phase, begins)
            self.phase = phase

    @torch.no_grad()
    def after_turn(self, name: str, progress: Progress) -> dict[str, float]:
        """Return D(G(z)) of a player's last turn, played again after its step on the same data and latents.

        The model is left as it was: batch statistics, power iterations and pools, too.
        """
        if name not in self.last:
            return {}
        taken = self.last[name]
        with untouched(self.model):
            batch = replace(taken.batch)
            if taken.preparation is not None:
                self.prepare(batch, taken.begun, taken.preparation)
            self.stream(taken.begun, taken.index)
            _, scalars = self.players[name].loss(batch, progress)
        return {f"{name}/{key} after": value.item() for key, value in scalars.items() if key == "D(G(z))"}

    def prepare(self, batch: Batch, begun: int, index: int) -> None:
        """Let the model make what several turns on this batch share, with the graph that the later ones need."""
        self.model.requires_grad_(True)
        self.stream(begun, index)
        with next(iter(self.players.values())).precisely():
            batch.prepared = self.model.prepare(batch)

    def stream(self, begun: int, index: int) -> None:
        """Let random numbers come from the stream of a turn of the round that began after so many images."""
        torch.manual_seed(mix(self.seed, TURN_STREAM, begun, index))


@dataclass
class Taken:
    """A turn that was taken, as far as it takes to play it again."""

    begun: int  # images shown before its round
    index: int  # of its random numbers
    batch: Batch
    preparation: int | None  # index of the random numbers with which the model prepared the batch, if it did


class Round:
    """One round as a scheme plays it: gradients by turns, and steps."""

    def __init__(self, game: Game, phase: Phase, data: Data, progress: Progress, scalars: Scalars) -> None:
        self.game, self.data, self.progress, self.scalars, self.trainer = game, data, progress, scalars, game.trainer
        self.size = phase.batch_size or game.trainer.batch_size
        self.length = len(phase.turns)
        self.turns = phase.due(progress.phase_rounds)  # with their numbers
        self.players = [game.players[name] for name in dict.fromkeys(turn.player for _, turn in self.turns)]
        self.begun, self.shown = progress.images, 0
        self.batch: Batch | None = None

    def gradients(self, number: int, turn: Turn, again: bool = False) -> None:
        """Let a turn's player learn its gradient on the batch that the turn draws, or on the last one drawn.

        Args:
            again: it is the turn's second gradient in this round, on another batch and with other random numbers.
        """
        batch, player = self._batch(turn), self.game.players[turn.player]
        index = number + (self.length + 1) * again
        ahead = self._ahead(player, batch, index) if self.trainer.unrolled and not turn.part else None
        self.game.stream(self.begun, index)
        found = player.gradients(batch, self.progress, turn.part, ahead)
        self.scalars.add(f"{turn.player}/{turn.part}" if turn.part else turn.player, found)
        if not turn.part:
            self._note(turn, index, batch)

    def fields(self) -> list[Field]:
        """Return the gradients of all turns' players at one point, each with its graph in all weights."""
        self.game.model.requires_grad_(True)
        found = []
        for index, turn in self.turns:
            batch, player = self._batch(turn), self.game.players[turn.player]
            self.game.stream(self.begun, index)
            loss, scalars = player.loss(batch, self.progress)
            gradients = torch.autograd.grad(loss, player.parameters, create_graph=True, materialize_grads=True)
            found.append(Field(gradients, {"loss": loss.detach(), **scalars}))
            self._note(turn, index, batch)
        return found

    def step(self, players: list[str] | None = None, counted: bool = True) -> None:
        """Let players (all of the round) step along the gradients that they hold."""
        for player in self.players if players is None else [self.game.players[name] for name in players]:
            player.step(self.progress, counted)

    def _batch(self, turn: Turn) -> Batch:
        if turn.draws or self.batch is None:
            self.batch = self.data.batch(self.begun + self.shown, self.size, self.trainer.accumulate)
            self.shown += self.size
            if turn.shared and self.game.shares:
                self.game.prepare(self.batch, self.begun, self.length)
        return self.batch

    def _ahead(self, player: Player, batch: Batch, index: int) -> dict[str, Tensor] | None:
        """Return the discriminators' weights that their opponent looks ahead to; None for a discriminator itself."""
        discriminators = self.game.model.discriminators
        if player.name in discriminators:
            return None
        player.ask_for_gradients()
        judges = [self.game.players[name] for name in discriminators]
        return looked_ahead(judges, batch, self.progress, self.trainer.unrolled, lambda: self.game.stream(self.begun, index))

    def _note(self, turn: Turn, index: int, batch: Batch) -> None:
        preparation = None if batch.prepared is None else self.length
        self.game.last[turn.player] = Taken(self.begun, index, replace(batch, prepared=None), preparation)
