"""The norm of a player's gradients, which guards every step and is read once in it: by all threads."""

from collections.abc import Sequence

import torch
from torch import Tensor

LARGE = 1 << 14  # values from which a second thread pays


def total_norm(tensors: Sequence[Tensor]) -> Tensor:
    """Return the Euclidean norm of all tensors' values together, a number on their device.

    torch.linalg.vector_norm of a whole tensor runs on one thread of a CPU; a product of the tensor with itself on all.
    """
    norms, others = [], []
    for tensor in tensors:
        rows = _as_stored(tensor)
        if rows is None:
            others.append(tensor)
        else:
            norms.append(torch.dot(rows, rows).sqrt())
    if not norms:
        return torch.nn.utils.get_total_norm(others)
    return torch.stack([*norms, torch.nn.utils.get_total_norm(others)] if others else norms).norm()


def _as_stored(tensor: Tensor) -> Tensor | None:
    """Return the values of a large tensor on a CPU in the order of its memory, [N] without a copy; None of any other."""
    if tensor.device.type != "cpu" or tensor.numel() < LARGE:
        return None
    if tensor.is_contiguous():
        return tensor.view(-1)
    if tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last):
        return tensor.permute(0, 2, 3, 1).reshape(-1)
    return None
