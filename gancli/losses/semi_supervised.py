"""What a classifier minimizes on examples without labels: entropies (Springenberg 2016) and a class for fakes (Salimans 2016).

Means are over the whole batch of all ranks where a formula looks at the batch as a whole.

Legend: N batch, K classes, F features.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus

from gancli.ranks import shards


def conditional_entropy(logits: Tensor) -> Tensor:
    """Return the mean entropy of p(y|x) in nats, logits [N, K]: 0 where every example is sure (Springenberg 2016, eq. 3)."""
    logs = logits.log_softmax(1)
    return -(logs.exp() * logs).sum(1).mean()


def marginal_entropy(logits: Tensor) -> Tensor:
    """Return the entropy of the batch's mean p(y|x) in nats, logits [N, K]: log K where classes are equally frequent (eq. 6).

    A batch that is not much larger than K has less entropy than the law it is drawn from.
    """
    logs = logits.log_softmax(1).logsumexp(0) - math.log(len(logits))  # of this rank's mean
    logs = shards.stacked(logs).logsumexp(0) - math.log(shards.world())
    return -(logs.exp() * logs).sum()


def certainty(logits: Tensor) -> Tensor:
    """Return how far p(y|x) is from uniform, from 0 (not at all) to 1 (sure of a class), a mean over logits [N, K]."""
    return 1 - conditional_entropy(logits) / math.log(logits.shape[1])


def realness(logits: Tensor) -> Tensor:
    """Return the logit [N] of one of K classes against the fake one, whose own logit is 0 (Salimans 2016, section 5)."""
    return logits.logsumexp(1)


def real_or_fake(real: Tensor, fake: Tensor) -> Tensor:
    """Return the loss of K + 1 classes without labels, -E log p(real) - E log p(fake), by halves as the authors' code.

    Args:
        real, fake: logits of the K classes, [N, K].
    """
    return 0.5 * (softplus(-realness(real)).mean() + softplus(realness(fake)).mean())


def feature_distance(real: Tensor, fake: Tensor, squared: bool) -> Tensor:
    """Return the mean over features [N, F] of the squared, or absolute, difference of the two batches' means.

    The paper has the squared norm (section 3.1), which is F times the squared form here; the authors' code has this for MNIST
    and the absolute differences for CIFAR-10.
    """
    difference = _mean(real) - _mean(fake)
    return (difference.square() if squared else difference.abs()).mean()


def _mean(features: Tensor) -> Tensor:
    """Return the mean over the examples of all ranks, [F]."""
    features = features if features.dtype == torch.float64 else features.float()
    return shards.stacked(features.mean(0)).mean(0)
