"""Historical averaging: each player's weights are drawn to their mean over the run so far (Salimans 2016, section 3.3)."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn


class History(nn.Module):
    """The means of weights over the rounds, (1/t) sum of theta_i, i = 1 ... t; the first are those of before round 1.

    The means travel in the checkpoint.  The paper publishes no weight for this term, and its code does not hold it.
    """

    count: Tensor  # t, int64

    def __init__(self, players: Mapping[str, Iterable[tuple[str, nn.Parameter]]]) -> None:
        """Watch the weights of players.

        Args:
            players: each one's weights by their names in the model.
        """
        super().__init__()
        self.names = {player: [name for name, _ in weights] for player, weights in players.items()}
        self.weights = {name: weight for weights in players.values() for name, weight in weights}
        self.register_buffer("count", torch.ones((), dtype=torch.int64))
        for name, weight in self.weights.items():
            self.register_buffer(_key(name), weight.detach().clone())

    def mean(self, name: str) -> Tensor:
        """Return the mean of the weights of that name in the model."""
        return self.get_buffer(_key(name))

    def distance(self, player: str, ahead: Mapping[str, Tensor]) -> Tensor:
        """Return |theta - mean|^2 over a player's weights.

        Args:
            ahead: weights, by their names, that stand in place of their present values.
        """
        gaps = [ahead.get(name, self.weights[name]) - self.mean(name) for name in self.names[player]]
        return torch.stack([gap.square().sum() for gap in gaps]).sum()

    @torch.no_grad()
    def begin(self) -> None:
        """Start from the present weights."""
        self.count.fill_(1)
        for name, weight in self.weights.items():
            self.mean(name).copy_(weight)

    @torch.no_grad()
    def after_round(self) -> None:
        """Take the present weights into the means."""
        self.count += 1
        means = [self.mean(name) for name in self.weights]
        gaps = torch._foreach_sub(list(self.weights.values()), means)
        torch._foreach_mul_(gaps, self.count.reciprocal())
        torch._foreach_add_(means, gaps)


def _key(name: str) -> str:
    return name.replace(".", "/")  # a buffer's name has no dots
