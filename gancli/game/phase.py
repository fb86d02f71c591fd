"""The order of play within a round."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Turn:
    """One player's turn; it draws new data, or shares the last batch drawn."""

    player: str
    draws: bool
    shared: bool = False  # it draws a batch on which another player's turn follows


class Round:
    """Turns of a round: the players in their order, the discriminator `discriminator_turns` times in a row.

    The first turn draws a batch and so does every further turn of a player that has had one: players share a batch,
    and no player sees the same one twice.
    """

    def __init__(self, players: list[str], discriminator_turns: int) -> None:
        turns: list[tuple[str, bool]] = []
        for player in players:
            for repeat in range(discriminator_turns if player == "discriminator" else 1):
                turns.append((player, not turns or repeat > 0))
        draws = [draws for _, draws in turns]
        self.turns = [Turn(player, draws, draws and not next_draws)
                      for (player, draws), next_draws in zip(turns, [*draws[1:], True], strict=True)]

    @property
    def batches(self) -> int:
        """Batches of real data drawn in a round."""
        return sum(turn.draws for turn in self.turns)
