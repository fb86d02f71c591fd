"""A discriminator of three kinds of images: real, reconstructed and generated (Brock 2017, 1609.07093).

Logits are [N, 3], of these kinds in this order.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

REAL, RECONSTRUCTED, GENERATED = range(3)


def ternary_discrimination(real: Tensor, reconstructed: Tensor, generated: Tensor) -> Tensor:
    """Return the discriminator's loss, the sum of three cross-entropies in nats."""
    return sum((_as(logits, kind) for kind, logits in enumerate((real, reconstructed, generated))), real.new_zeros(()))


def ternary_generation(reconstructed: Tensor, generated: Tensor) -> Tensor:
    """Return the loss of what reconstructs and generates: both are to be taken for real."""
    return _as(reconstructed, REAL) + _as(generated, REAL)


def share_of_real(logits: Tensor) -> Tensor:
    """Return the mean probability of being real."""
    return logits.softmax(1)[:, REAL].mean()


def _as(logits: Tensor, kind: int) -> Tensor:
    return cross_entropy(logits, torch.full((len(logits),), kind, device=logits.device))
