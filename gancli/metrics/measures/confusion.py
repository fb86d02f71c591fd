"""How often examples of each class are taken for each other.

Legend: N examples, M classes.
"""

import torch
from torch import Tensor


def confusion_matrix(labels: Tensor, told: Tensor, classes: int) -> Tensor:
    """Return counts [M, M + 1] int64 of examples by their class (row) and by the class that they were given (column).

    Args:
        labels: the examples' classes, [N].
        told: the classes that they were given, [N]; -1 for none, which is the last column.
    """
    columns = torch.where(told < 0, classes, told)
    return torch.bincount(labels * (classes + 1) + columns, minlength=classes * (classes + 1)).view(classes, classes + 1)


def accuracy(matrix: Tensor) -> float:
    """Return the share of examples on the diagonal of a confusion matrix [M, M + 1]; NaN of none."""
    return matrix.diagonal().sum().item() / matrix.sum().item() if matrix.any() else float("nan")


def recalls(matrix: Tensor) -> list[float | None]:
    """Return the share of each class's examples that were given it, None for a class without examples."""
    totals = matrix.sum(1)
    return [None if total == 0 else right / total
            for right, total in zip(matrix.diagonal().tolist(), totals.tolist(), strict=True)]
