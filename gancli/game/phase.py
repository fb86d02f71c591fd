"""What is played from some point of a run on: the turns of a round, in what batches and at which rates.

A phase is a pure function of the images shown and of the options, so that a continued run needs no state to find the one
it was in; it must not depend on the run's length, which a continued run may change.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any


@dataclass(frozen=True)
class Turn:
    """One player's turn; it draws new data, or shares the last batch drawn."""

    player: str
    draws: bool
    shared: bool = False  # it draws a batch on which another turn follows
    every: int = 1  # it is taken in each so many-th round of its phase, the first included
    together: bool = False  # its step waits for the next turn's gradient
    part: str = ""  # one part of the player's loss alone, which has steps of its own (Model.part_loss)


@dataclass(frozen=True)
class Phase:
    """What is played for now; a new phase begins where the name changes."""

    turns: tuple[Turn, ...]
    name: str = "game"
    batch_size: int | None = None  # real images of a turn, over all ranks; None: trainer.batch_size
    lr: Mapping[str, float] = field(default_factory=dict)  # of players whose rate is another one here
    lr_factor: float = 1.0  # of all rates: a schedule that does not depend on the run's length
    forgetting: float = 1.0  # of 1 - beta2 of Adam and AdamW, likewise
    fresh_optimizers: bool = False  # optimizers begin anew with the phase
    full_steps: bool = False  # of players with steps on parts of their loss; else these are corrected for

    @property
    def batches(self) -> int:
        """Batches of real data that a round draws at most."""
        return sum(turn.draws for turn in self.turns)

    def with_turn(self, place: int, turn: Turn) -> "Phase":
        """Return the phase with a further turn behind the one at `place`."""
        return replace(self, turns=(*self.turns[:place + 1], turn, *self.turns[place + 1:]))

    def due(self, rounds: int) -> list[tuple[int, Turn]]:
        """Return the turns of the round that follows after `rounds` of this phase, with their numbers."""
        return [(number, turn) for number, turn in enumerate(self.turns) if rounds % turn.every == 0]


def in_turn(players: Sequence[str], repeats: Mapping[str, int] | None = None, together: bool = False, **phase: Any) -> Phase:
    """Return the phase in which players move in their order, some of them several times in a row.

    The first turn draws a batch and so does every further turn of a player that has had one: players share a batch, and
    no player sees the same one twice.  Neighbors that repeat alike move by turns, so that they share all their batches.

    Args:
        repeats: turns a round of players that have more than one.
        together: all players learn their gradients before any of them steps.
        phase: further fields of `Phase`.
    """
    counts = {player: (repeats or {}).get(player, 1) for player in players}
    order = [player for count, group in groupby(players, counts.__getitem__) for player in list(group) * count]
    turns: list[Turn] = []
    drawn: set[str] = set()
    for player in order:
        draws = not turns or player in drawn
        drawn = {player} if draws else drawn | {player}
        turns.append(Turn(player, draws, together=together))
    ahead = [turn.draws for turn in turns[1:]] + [True]
    turns = [replace(turn, shared=turn.draws and not next_draws) for turn, next_draws in zip(turns, ahead, strict=True)]
    if turns:
        turns[-1] = replace(turns[-1], together=False)
    return Phase(tuple(turns), **phase)
