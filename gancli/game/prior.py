"""The law of a model's latents as one object: drawing them, drawing them for a batch, and walking between two of them.

Legend: N latents, Z their shape, T times.
"""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from gancli.ranks import shards

EDGE = 1e-9  # quantiles at 0 and 1 would be infinite


class Prior(ABC):
    """What latents are drawn from."""

    spherical = False  # a great circle between two latents keeps the law

    def __init__(self, *shape: int) -> None:
        self.shape = shape  # of one latent, Z

    @abstractmethod
    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Return n latents [n, *Z] on the CPU, so that a seed means the same on every device."""

    @abstractmethod
    def like(self, x: Tensor) -> Tensor:
        """Return a latent for each of this rank's examples x [N, ...], from the global generator of their device."""

    @abstractmethod
    def between(self, start: Tensor, end: Tensor, times: Tensor) -> Tensor:
        """Return latents [T, *Z] on a path from start to end [*Z] on which all are as likely as the ends."""


class Uniform(Prior):
    """Independent and uniform in [low, high]."""

    def __init__(self, *shape: int, low: float, high: float) -> None:
        super().__init__(*shape)
        self.low, self.high = low, high

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        return self.low + (self.high - self.low) * torch.rand(n, *self.shape, generator=generator)

    def like(self, x: Tensor) -> Tensor:
        return self.low + (self.high - self.low) * shards.rand(len(x), *self.shape, device=x.device)

    def between(self, start: Tensor, end: Tensor, times: Tensor) -> Tensor:
        """Great circles leave the cube: the path is taken between the latents' normal quantiles and mapped back."""
        return self._from_normal(slerp(self._to_normal(start), self._to_normal(end), times))

    def _to_normal(self, z: Tensor) -> Tensor:
        share = ((z - self.low) / (self.high - self.low)).clamp(EDGE, 1 - EDGE)
        return math.sqrt(2) * torch.erfinv(2 * share - 1)

    def _from_normal(self, normal: Tensor) -> Tensor:
        return self.low + (self.high - self.low) * (torch.erf(normal / math.sqrt(2)) + 1) / 2


class Normal(Prior):
    """Independent and standard normal."""

    spherical = True

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.randn(n, *self.shape, generator=generator)

    def like(self, x: Tensor) -> Tensor:
        return shards.randn(len(x), *self.shape, device=x.device)

    def between(self, start: Tensor, end: Tensor, times: Tensor) -> Tensor:
        return slerp(start, end, times)


def slerp(start: Tensor, end: Tensor, times: Tensor) -> Tensor:
    """Return [T, *Z] on the great circle from start to end [*Z] at times [T] (White 2016); a line if parallel."""
    a, b, t = start.flatten(), end.flatten(), times[:, None]
    cosine = torch.dot(a, b) / (a.norm() * b.norm()).clamp_min(1e-12)
    angle = torch.acos(cosine.clamp(-1, 1))
    sine = torch.sin(angle)
    if sine < 1e-6:
        return torch.lerp(start, end, times.view(-1, *[1] * start.dim()))
    mixed = (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / sine
    return mixed.view(len(times), *start.shape)
