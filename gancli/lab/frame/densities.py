"""Mixtures of Gaussians on the line, their divergences by quadrature, and examples drawn from them.

Legend: N examples, G points of a grid, K Gaussians.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gancli.errors import check_range
from gancli.ranks import shards

TAIL = 9.0  # standard deviations beyond the outermost Gaussian that a grid takes in
CPU = torch.device("cpu")


@dataclass
class Mixture:
    """A density on the line."""

    centers: list[float]
    stds: list[float]
    weights: list[float]  # need not sum to 1

    def __post_init__(self) -> None:
        if not self.centers or not len(self.centers) == len(self.stds) == len(self.weights):
            raise ValueError("centers, stds and weights must be lists of one length, not "
                             f"{len(self.centers)}, {len(self.stds)} and {len(self.weights)}")
        for std, weight in zip(self.stds, self.weights, strict=True):
            check_range("stds", std, 0, open_low=True)
            check_range("weights", weight, 0, open_low=True)

    def draw(self, n: int) -> Tensor:
        """Return n examples [n, 1] by torch's global generator."""
        shares = torch.tensor(self.weights).cumsum(0)
        which = torch.bucketize(shards.rand(n, device=CPU) * shares[-1], shares[:-1], right=True)
        centers, stds = torch.tensor(self.centers), torch.tensor(self.stds)
        return (centers[which] + stds[which] * shards.randn(n, device=CPU))[:, None]

    def log(self, x: NDArray) -> NDArray:
        """Return the logarithm of the density at x [G]."""
        centers, stds, weights = (np.array(values)[:, None] for values in (self.centers, self.stds, self.weights))
        logs = np.log(weights / weights.sum()) - ((x - centers) / stds) ** 2 / 2 - np.log(stds) - math.log(2 * math.pi) / 2
        most = logs.max(0)
        return most + np.log(np.exp(logs - most).sum(0))

    def reach(self) -> tuple[float, float]:
        """Return the ends of what its mass is in."""
        pairs = list(zip(self.centers, self.stds, strict=True))
        return min(c - TAIL * s for c, s in pairs), max(c + TAIL * s for c, s in pairs)


def grid_of(*densities: Mixture, points: int) -> NDArray:
    """Return a grid [G] that holds the mass of all densities."""
    ends = [density.reach() for density in densities]
    return np.linspace(min(low for low, _ in ends), max(high for _, high in ends), points)


def kl(log_p: NDArray, log_q: NDArray, x: NDArray) -> float:
    """Return KL(p || q) in nats by the trapezoidal rule."""
    return float(np.trapezoid(np.exp(log_p) * (log_p - log_q), x))


def jsd(log_p: NDArray, log_q: NDArray, x: NDArray) -> float:
    """Return the Jensen-Shannon divergence in nats, at most log 2."""
    log_m = np.logaddexp(log_p, log_q) - math.log(2)
    return (kl(log_p, log_m, x) + kl(log_q, log_m, x)) / 2


def normal_nodes(count: int) -> Tensor:
    """Return equally likely points [count] of the standard normal distribution, quantiles scaled to variance 1."""
    shares = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    nodes = math.sqrt(2) * torch.erfinv(2 * shares - 1)
    return (nodes / nodes.square().mean().sqrt()).float()
