"""The training examples nearest to given ones, and whether samples lie suspiciously near to them.

Legend: N queries, D pixels or features, K neighbors, M training examples.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from gancli.metrics.measures.distances import PIECE, exact_distances, row_pieces


class Memorization(NamedTuple):
    """Samples against held-out real examples, by the distance to the nearest training example.

    Pixels favor blurred samples, which are near to everything: read the figures in features, or look at the grid.
    """

    ratio: float  # mean distance of the samples over that of held-out examples: about 1; copies bring it towards 0
    nearer_share: float  # chance that a sample is nearer than a held-out example: about 0.5; 1: all copies (Meehan 2020)


class Neighbors:
    """The K nearest of a stream of training examples for each query [N, D].

    `distances` [N, K] and `indices` [N, K] (positions in the stream) are in order, nearest first.
    """

    def __init__(self, queries: Tensor, k: int, own: Tensor | None = None, piece: int = PIECE) -> None:
        """Start with no neighbors; `own` [N] is each query's own position in the stream, which is passed over."""
        self.queries, self.k, self.own, self.piece = queries.float(), k, own, piece
        self.distances = torch.full((len(queries), 0), torch.inf, device=queries.device)
        self.indices = torch.zeros(len(queries), 0, dtype=torch.int64, device=queries.device)
        self.seen = 0

    def update(self, examples: Tensor) -> None:
        """Take in the next training examples [M, D]."""
        examples = examples.to(self.queries)
        middle = examples.mean(0)  # distances stay, their rounding errors shrink
        found = [self._nearest(rows, squared, examples)
                 for rows, squared in row_pieces(self.queries - middle, examples - middle, self.piece)]
        distances = torch.cat([self.distances, torch.cat([part[0] for part in found])], dim=1)
        indices = torch.cat([self.indices, torch.cat([part[1] for part in found]) + self.seen], dim=1)
        order = distances.argsort(dim=1, stable=True)[:, :self.k]
        self.distances, self.indices = distances.gather(1, order), indices.gather(1, order)
        self.seen += len(examples)

    def _nearest(self, rows: slice, squared: Tensor, examples: Tensor) -> tuple[Tensor, Tensor]:
        """Return the distances and positions [rows, K] of the nearest of `examples`, exact also for copies."""
        if self.own is not None:
            own = self.own[rows].to(squared.device) - self.seen
            here = ((own >= 0) & (own < len(examples))).nonzero()[:, 0]
            squared[here, own[here]] = torch.inf
        some = min(self.k, len(examples))
        nearest = squared.topk(some, dim=1, largest=False)
        distances = exact_distances(self.queries[rows], examples, nearest.indices, self.piece)
        return distances.masked_fill(nearest.values.isinf(), torch.inf), nearest.indices


def memorization(generated: Tensor, held_out: Tensor) -> Memorization:
    """Return both figures from the distances [N] and [N'] to the nearest training example.

    Without held-out examples, take training examples with `own`, each without itself.  The share is Mann and Whitney's
    statistic, which Meehan 2020 compares; ties count half.
    """
    values, reference = generated.cpu().double(), held_out.cpu().double().sort().values
    ratio = (values.mean() / reference.mean()).item()
    nearer = len(reference) - torch.searchsorted(reference, values, right=True)
    ties = torch.searchsorted(reference, values, right=True) - torch.searchsorted(reference, values)
    share = (nearer + 0.5 * ties).mean().item() / len(reference)
    return Memorization(ratio, share)
