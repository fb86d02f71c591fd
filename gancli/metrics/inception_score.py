"""Inception score: how sure the classifier is of each sample, and how many classes it sees in all (Salimans 2016).

Legend: N samples, K classes.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class InceptionScore(NamedTuple):
    """Mean and standard deviation over splits; between 1 and the number of classes."""

    mean: float
    std: float


def inception_score(logits: Tensor, splits: int, seed: int) -> InceptionScore:
    """Return exp(E KL(p(y|x) || p(y))) (Salimans 2016, section 4) of logits [N, K] over shuffled splits.

    The published numbers are means over 10 splits of 5,000 samples.  The order is torch-fidelity's, so that equal seeds
    give equal numbers.

    Raises:
        ValueError: fewer samples than splits.
    """
    return score_of_logs(logits.detach().cpu().double().log_softmax(1), splits, seed)


def inception_score_of_probabilities(probabilities: Tensor, splits: int, seed: int) -> InceptionScore:
    """Return the same of class probabilities [N, K]; zeros are allowed."""
    return score_of_logs(probabilities.detach().cpu().double().log(), splits, seed)


def score_of_logs(logs: Tensor, splits: int, seed: int) -> InceptionScore:
    """Return the score of log-probabilities [N, K], -inf for a class of probability 0."""
    n = len(logs)
    if n < splits:
        raise ValueError(f"an inception score of {splits} splits needs as many samples, not {n}")
    logs = logs[torch.from_numpy(np.random.RandomState(seed).permutation(n))]
    scores = torch.stack([split_score(logs[i * n // splits:(i + 1) * n // splits]) for i in range(splits)])
    return InceptionScore(scores.mean().item(), scores.std(correction=0).item())


def split_score(logs: Tensor) -> Tensor:
    """Return exp of the mean divergence of log-probabilities [N, K] from their mean."""
    p = logs.exp()
    divergence = torch.where(p > 0, p * (logs - p.mean(0).log()), 0)
    return divergence.sum(1).mean().exp()
