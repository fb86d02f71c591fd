"""Kernel distance: the unbiased squared maximum mean discrepancy of features (Binkowski 2018, section 4).

Legend: N, M examples, D features, S size of a subset.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class KernelDistance(NamedTuple):
    """Mean and standard deviation over subsets; small values may come out below 0, as an unbiased estimate must."""

    mean: float
    std: float


def kernel_distance(real: Tensor, generated: Tensor, subsets: int, subset_size: int, seed: int) -> KernelDistance:
    """Return the squared discrepancy of features [N, D] and [M, D] over random subsets, drawn without replacement.

    Binkowski's estimate takes 100 subsets of 1,000.  A set smaller than `subset_size` bounds the subsets' size.  They are
    drawn as torch-fidelity draws them, so that equal seeds give equal numbers.

    Raises:
        ValueError: a set has fewer than two examples.
    """
    size = min(subset_size, len(real), len(generated))
    if size < 2:
        raise ValueError(f"a kernel distance needs two examples of each, not {len(real)} and {len(generated)}")
    random = np.random.RandomState(seed)
    values = []
    for _ in range(subsets):
        rows = [torch.from_numpy(random.choice(len(part), size, replace=False)).to(part.device)
                for part in (real, generated)]
        values.append(squared_discrepancy(real[rows[0]], generated[rows[1]]))
    values = torch.stack(values)
    return KernelDistance(values.mean().item(), values.std(correction=0).item())


def squared_discrepancy(x: Tensor, y: Tensor) -> Tensor:
    """Return the unbiased squared MMD of x [N, D] and y [M, D] (Gretton 2012, eq. 3), a float64 scalar."""
    n, m = len(x), len(y)
    own_x, own_y = cubic_kernel(x, x), cubic_kernel(y, y)
    within_x = (own_x.sum() - own_x.diagonal().sum()) / (n * (n - 1))
    within_y = (own_y.sum() - own_y.diagonal().sum()) / (m * (m - 1))
    return within_x + within_y - 2 * cubic_kernel(x, y).mean()


def cubic_kernel(x: Tensor, y: Tensor) -> Tensor:
    """Return (x . y / D + 1)^3 (Binkowski 2018, section 4) as float64 [N, M]; the product runs in the features' precision."""
    accurate = torch.float32 if x.device.type == "mps" else torch.float64
    base = (x @ y.T).to(accurate).div_(x.shape[1]).add_(1)
    return base.square().mul_(base)
