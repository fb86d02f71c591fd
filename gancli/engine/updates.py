"""How players' gradients become steps: one function a scheme (trainer.scheme).

Each plays one round.  It moves the weights along v, the gradients of all players' losses, each with respect to that
player's own weights; a step of an optimizer stands wherever a formula has -h v.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from gancli.engine.options import TrainerOptions
from gancli.engine.players import Player
from gancli.game.phase import Turn
from gancli.monitor.scalars import Scalars
from gancli.ranks import shards

PAST = "past"  # the entry of an optimizer's state that the next round reads


@dataclass
class Field:
    """A player's gradient with the graph behind it."""

    gradients: tuple[Tensor, ...]
    scalars: dict[str, Tensor]


class Round(Protocol):
    """What a scheme sees of a round (gancli.engine.rounds.Round)."""

    trainer: TrainerOptions
    turns: list[tuple[int, Turn]]
    players: list[Player]  # of its turns
    scalars: Scalars

    def gradients(self, number: int, turn: Turn, again: bool = False) -> None:
        """Let a turn's player learn its gradient, a second one in this round if `again`."""

    def fields(self) -> list[Field]:
        """Return all players' gradients at one point with their graphs."""

    def step(self, players: list[str] | None = None, counted: bool = True) -> None:
        """Let players, or all, step along the gradients that they hold."""


def alternating(round: Round) -> None:
    """A player steps as soon as it has its gradient, unless its turn waits for the next one's (Turn.together)."""
    waiting = []
    for number, turn in round.turns:
        round.gradients(number, turn)
        waiting.append(turn.player)
        if not turn.together:
            round.step(waiting)
            waiting = []


def simultaneous(round: Round) -> None:
    """w <- w - h v(w): all players learn their gradients at one point, then all step."""
    simultaneous_gradients(round)
    round.step()


def extragradient(round: Round) -> None:
    """w' = w - h v(w), then w <- w - h v(w') (Korpelevich 1976; Gidel 2019, algorithm 2 and 4).

    The second gradient is taken on a new batch.  Adam's moments move in both steps (ExtraAdam).
    """
    with _weights_back(round.players):
        simultaneous_gradients(round)
        round.step(counted=False)
        simultaneous_gradients(round, again=True)
    round.step()


def past_extragradient(round: Round) -> None:
    """w' = w - h v(w'_before), then w <- w - h v(w'): the last round's gradient serves for looking ahead (Gidel 2019, alg. 3).

    The first round has none and does not look ahead.
    """
    with _weights_back(round.players):
        for player in round.players:
            player.held = [player.optimizer.state[p].get(PAST) for p in player.parameters]
        if any(gradient is not None for player in round.players for gradient in player.held):
            round.step(counted=False)
        simultaneous_gradients(round)
    round.step()
    for player in round.players:
        _remember(player, [None if gradient is None else gradient.clone() for gradient in player.held])


def optimistic(round: Round) -> None:
    """w <- w + 2 d - d_before, d the step that the optimizer would take (Daskalakis 2018, algorithm 1, for any optimizer).

    The first round has no step before it and takes the plain one.
    """
    simultaneous_gradients(round)
    before = {player.name: [p.detach().clone() for p in player.parameters] for player in round.players}
    round.step()
    for player in round.players:
        steps = [p.detach() - old for p, old in zip(player.parameters, before[player.name], strict=True)]
        with torch.no_grad():
            for parameter, step in zip(player.parameters, steps, strict=True):
                past = player.optimizer.state[parameter].get(PAST)
                if past is not None:
                    parameter.add_(step - past)
        player.model.after_step(player.name)
        _remember(player, steps)


def consensus(round: Round) -> None:
    """w <- w - h (v + gamma grad |v|^2 / 2), the gradient over all players' weights (Mescheder 2017, algorithm 1)."""
    fields = round.fields()
    weights = [parameter for player in round.players for parameter in player.parameters]
    gradients = [gradient for field in fields for gradient in field.gradients]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    whole = flat.detach().clone()
    shards.average(whole)  # the gradient of half the squared mean: each rank's part of it meets that mean
    slopes = torch.autograd.grad(flat @ whole, weights, materialize_grads=True)
    for parameter, gradient, slope in zip(weights, gradients, slopes, strict=True):
        parameter.grad = gradient.detach() + round.trainer.consensus * slope
    for player, field in zip(round.players, fields, strict=True):
        round.scalars.add(player.name, player.hold(field.scalars))
    round.step()


def simultaneous_gradients(round: Round, again: bool = False) -> None:
    """Let all players learn their gradients at one point."""
    for number, turn in round.turns:
        round.gradients(number, turn, again)


@contextmanager
def _weights_back(players: list[Player]) -> Iterator[None]:
    with ExitStack() as stack:
        for player in players:
            stack.enter_context(player.weights_back())
        yield


def _remember(player: Player, values: list) -> None:
    """Keep tensors with the optimizer's state, which travels in the checkpoint."""
    for parameter, value in zip(player.parameters, values, strict=True):
        if value is not None:
            player.optimizer.state[parameter][PAST] = value


SCHEMES: dict[str, Callable[[Round], None]] = {
    "alternating": alternating, "simultaneous": simultaneous, "extragradient": extragradient,
    "past_extragradient": past_extragradient, "optimistic": optimistic, "consensus": consensus}
