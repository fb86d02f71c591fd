"""Categories that a model found by itself, named by classes.

Legend: N examples, M classes, K categories.
"""

import torch
from torch import Tensor


def matched_classes(categories: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Return the class [K] that examples of each category have most often, -1 for a category without examples.

    Two categories may have one class (a digit in two styles); then some class has none, and its examples count as wrong.

    Args:
        categories, labels: of the examples by which categories are named, [N].
    """
    counts = torch.bincount(categories * classes + labels, minlength=classes * (int(categories.max()) + 1)).view(-1, classes)
    return torch.where(counts.sum(1) > 0, counts.argmax(1), -1)


def matched_error(categories: Tensor, labels: Tensor, names: Tensor) -> float:
    """Return the share of examples [N] whose category is not named [K] as their label; an unnamed one never is."""
    beyond = categories >= len(names)
    return (names[categories.clamp_max(len(names) - 1)] != labels).logical_or(beyond).double().mean().item()
