"""The law of a model's latents as one object: drawing them, drawing them for a batch, and walking between two of them.

Legend: N latents, Z their shape, T times.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import one_hot

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

    @property
    def span(self) -> tuple[float, float]:
        """The least and the largest value of a latent (but of one that a code names) that is worth a look."""
        return -3.0, 3.0


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

    @property
    def span(self) -> tuple[float, float]:
        return self.low, self.high

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


class Codes(Prior):
    """Noise, then categorical codes as one-hot vectors, then continuous codes, side by side (Chen 2016, section 4).

    Noise and continuous codes are uniform in [-1, 1], the categories of a code equally likely; all are independent.
    Codes are called c1, c2, ... in the order in which they stand, as in the paper.
    """

    def __init__(self, noise: int, categorical: Sequence[int], continuous: int) -> None:
        super().__init__(noise + sum(categorical) + continuous)
        self.noise, self.categorical, self.continuous = noise, tuple(categorical), continuous
        self.plain = Uniform(noise + continuous, low=-1.0, high=1.0)
        kinds: list[int | None] = [*self.categorical, *[None] * continuous]
        self.codes = {f"c{number}": kind for number, kind in enumerate(kinds, 1)}  # how many categories; None: continuous

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        plain = self.plain.draw(n, generator)
        return self._joined(plain, [torch.randint(size, (n,), generator=generator) for size in self.categorical])

    def like(self, x: Tensor) -> Tensor:
        plain = self.plain.like(x)
        return self._joined(plain, [shards.randint(size, len(x), device=x.device) for size in self.categorical])

    def between(self, start: Tensor, end: Tensor, times: Tensor) -> Tensor:
        """A categorical code has nothing between two categories: it changes halfway."""
        one, two = (torch.cat((z[:self.noise], self.continuous_of(z[None])[0])) for z in (start, end))
        plain = self.plain.between(one, two, times)
        middle = slice(self.noise, self.noise + sum(self.categorical))
        categories = torch.where(times[:, None] < 0.5, start[middle], end[middle])
        return torch.cat((plain[:, :self.noise], categories, plain[:, self.noise:]), 1)

    @property
    def span(self) -> tuple[float, float]:
        return self.plain.span

    def categories_of(self, z: Tensor) -> tuple[Tensor, ...]:
        """Return the categorical codes of latents [N, Z], each [N, categories]."""
        return z[:, self.noise:self.noise + sum(self.categorical)].split(self.categorical, 1) if self.categorical else ()

    def continuous_of(self, z: Tensor) -> Tensor:
        """Return the continuous codes of latents [N, Z], [N, C]."""
        return z[:, self.noise + sum(self.categorical):]

    def with_codes(self, z: Tensor, values: Mapping[str, Tensor]) -> Tensor:
        """Return latents [N, Z] in which some codes, by name, have other values [N]: a category's number, or a float."""
        parts = dict(zip(self.codes, (*self.categories_of(z), *self.continuous_of(z).split(1, 1)), strict=True))
        for name, value in values.items():
            size = self.codes[name]
            parts[name] = value[:, None] if size is None else one_hot(value, size)
        return torch.cat((z[:, :self.noise], *(part.to(z) for part in parts.values())), 1)

    def _joined(self, plain: Tensor, categories: Sequence[Tensor]) -> Tensor:
        chosen = [one_hot(each, size).to(plain) for each, size in zip(categories, self.categorical, strict=True)]
        return torch.cat((plain[:, :self.noise], *chosen, plain[:, self.noise:]), 1)


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
