"""The lower bound of the mutual information between codes and what is made from them (Chen 2016, eq. 5).

I(c; G(z, c)) >= H(c) + E log Q(c | G(z, c)).  H(c) is a constant of the codes' law and has no gradient.

Legend: N examples, K categories of a code, C continuous codes.
"""

import math

import torch
from torch import Tensor


def categorical_information(logits: Tensor, code: Tensor) -> Tensor:
    """Return the bound for a code of K equally likely categories: log K where Q is sure and right.

    Args:
        logits: of Q's posterior, [N, K].
        code: what the examples were made with, one-hot [N, K].
    """
    return math.log(code.shape[1]) + (code * logits.log_softmax(1)).sum(1).mean()


def gaussian_information(mean: Tensor, log_variance: Tensor | None, codes: Tensor, entropy: float) -> Tensor:
    """Return the sum of the bounds of C independent continuous codes, under a Gaussian Q with a diagonal covariance.

    With unit variance a code's bound stays below entropy - log(2 pi) / 2, and is negative for narrow laws.

    Args:
        mean: of Q's posterior, [N, C].
        log_variance: of Q's posterior, [N, C]; None: the variance is 1.
        codes: what the examples were made with, [N, C].
        entropy: of the law of one code, in nats.
    """
    squares = (codes - mean).square()
    if log_variance is not None:
        squares = squares * torch.exp(-log_variance) + log_variance
    log_likelihood = -0.5 * (squares + math.log(2 * math.pi))
    return codes.shape[1] * entropy + log_likelihood.sum(1).mean()
