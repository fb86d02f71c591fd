"""Likelihood of sequences of tokens under a model that can tell it.

Legend: N sequences, T tokens.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def token_nats(log_likelihood: Callable[[Tensor], Tensor], tokens: Tensor, end: int | None, batch_size: int) -> float:
    """Return -log p of a token: the sum over sequences [N, T] divided by their tokens up to their ends.

    Args:
        log_likelihood: of sequences, that of each token [N, T], 0 behind a text's end.
        end: the token that ends a text and counts as its last; None: all tokens count.
    """
    total = sum(-log_likelihood(some).double().sum().item() for some in tokens.split(batch_size))
    return total / int(text_lengths(tokens, end).sum())


def text_lengths(tokens: Tensor, end: int | None) -> Tensor:
    """Return the tokens of each sequence [N, T] up to its end, which counts, [N] int64."""
    length = tokens.shape[1]
    if end is None:
        return torch.full((len(tokens),), length)
    ended = tokens == end
    return torch.where(ended.any(1), ended.long().argmax(1) + 1, length)
