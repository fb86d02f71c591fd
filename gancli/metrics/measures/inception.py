"""Inception score: how sure the classifier is of each sample, and how many classes it sees in all (Salimans 2016).

Legend: N samples, K classes, S splits.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class InceptionScore(NamedTuple):
    """Mean and standard deviation over splits; between 1 and the number of classes."""

    mean: float
    std: float


def inception_score(counts: Tensor, entropies: Tensor, marginals: Tensor) -> InceptionScore:
    """Return exp(E KL(p(y|x) || p(y))) over the splits (Salimans 2016, section 4), from sums over each one's samples.

    The published numbers are means over 10 splits of 5,000 samples.

    Args:
        counts: samples [S].
        entropies: sums [S] of sum_y p(y|x) log p(y|x).
        marginals: sums [S, K] of p(y|x).
    """
    mean = marginals / counts[:, None]
    entropy = torch.where(mean > 0, mean * mean.log(), 0).sum(1)
    scores = (entropies / counts - entropy).exp()
    return InceptionScore(scores.mean().item(), scores.std(correction=0).item())
