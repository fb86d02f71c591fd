"""A random LSTM whose sequences are data and which then says how likely others are: the oracle of Yu 2017, section 5.1.

Legend: N sequences, T tokens of each, V vocabulary, E embedding, U units.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

BATCH = 50  # sequences at once: their probabilities stay in a cache


class Oracle:
    """An LSTM with every parameter from N(0, 1), drawn from a seed; in float64, so that all machines agree.

    The generator of numbers is NumPy's legacy one, which is frozen: a seed means the same oracle with every version.
    """

    def __init__(self, vocabulary: int, embedding: int, units: int, seed: int) -> None:
        draws = np.random.RandomState(seed)
        shapes = {"embedding": (vocabulary, embedding), "inputs": (embedding, 4 * units), "recurrent": (units, 4 * units),
                  "bias": (4 * units,), "output": (units, vocabulary), "output_bias": (vocabulary,)}
        self.parameters = {name: torch.from_numpy(draws.standard_normal(shape)) for name, shape in shapes.items()}
        self.vocabulary, self.units = vocabulary, units

    def logits(self, tokens: Tensor) -> Iterator[Tensor]:
        """Yield the logits [N, V] of each of the T + 1 tokens that follow after none, one, ... T of tokens [N, T].

        Tokens are read when the logits after them are asked for.  Token 0 stands in front.
        """
        weights = self.parameters
        hidden = cell = torch.zeros(len(tokens), self.units, dtype=torch.float64)
        for place in range(tokens.shape[1] + 1):
            before = tokens[:, place - 1] if place else torch.zeros(len(tokens), dtype=torch.int64)
            gates = weights["embedding"][before] @ weights["inputs"] + hidden @ weights["recurrent"] + weights["bias"]
            enters, stays, new, leaves = gates.chunk(4, 1)
            cell = stays.sigmoid() * cell + enters.sigmoid() * new.tanh()
            hidden = leaves.sigmoid() * cell.tanh()
            yield hidden @ weights["output"] + weights["output_bias"]

    def draw(self, n: int, length: int, seed: int) -> Iterator[Tensor]:
        """Yield n sequences [N, length] in batches."""
        draws = np.random.RandomState(seed)
        for start in range(0, n, BATCH):
            u = torch.from_numpy(draws.random_sample((min(BATCH, n - start), length)))
            tokens = torch.zeros(u.shape, dtype=torch.int64)
            for place, logits in zip(range(length), self.logits(tokens)):
                sums = (logits - logits.amax(1, keepdim=True)).exp_().cumsum(1)
                chosen = torch.searchsorted(sums, u[:, place, None] * sums[:, -1:], right=True)
                tokens[:, place] = chosen.squeeze(1).clamp_(max=self.vocabulary - 1)
            yield tokens

    def nats(self, tokens: Tensor) -> Tensor:
        """Return -log p of sequences [N, T] int64, each token's mean, [N] float64."""
        parts = []
        for some in tokens.cpu().split(BATCH):
            steps = zip(some.unbind(1), self.logits(some))
            parts.append(-sum(logits.log_softmax(1).gather(1, column[:, None])[:, 0] for column, logits in steps))
        return torch.cat(parts) / tokens.shape[1]
