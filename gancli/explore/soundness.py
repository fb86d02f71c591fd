"""What is said of a checkpoint that holds numbers which are not finite: its pictures would tell nothing."""

from pathlib import Path

import torch
from torch import Tensor

from gancli.monitor.terminal import tell


def tell_odd_numbers(path: Path, tensors: dict[str, Tensor]) -> None:
    """Say on stderr how many tensors hold NaN or infinity, and which is the first."""
    odd = [name for name, tensor in tensors.items() if tensor.is_floating_point() and not torch.isfinite(tensor).all()]
    if odd:
        tell(f"Warning: {len(odd)} of the {len(tensors)} tensors in {path} hold numbers that are not finite ({odd[0]} is the "
             "first): what is made with them tells nothing.")
