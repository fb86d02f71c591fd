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
INSIDE = 0.99  # of a bounded latent's range: where a search begins at most, since on the edge nothing moves it (Zhu 2016)
FARTHEST = 3.0902  # deviations: all but a thousandth of normal numbers lie below


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

    @property
    def scale(self) -> float:
        """How far a latent's number lies from the law's middle, about: a deviation, or half of a bounded range."""
        return 1.0

    def free(self, z: Tensor) -> Tensor:
        """Return latents [N, *Z] as coordinates of the same shape, which a search may move without bounds."""
        return z

    def held(self, free: Tensor, start: Tensor) -> Tensor:
        """Return the latents of such coordinates [N, *Z], all within what the law draws; gradients flow.

        Args:
            start: latents [N, *Z] that the search began at: what is discrete in a latent, a category, stays theirs.
        """
        return free


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

    @property
    def scale(self) -> float:
        return (self.high - self.low) / 2

    def free(self, z: Tensor) -> Tensor:
        """The inverse of tanh, for latents from -1 to 1 (Zhu 2016, section 3.1)."""
        return torch.atanh(((z - self.low) / self.scale - 1).clamp(-INSIDE, INSIDE))

    def held(self, free: Tensor, start: Tensor) -> Tensor:
        return self.low + self.scale * (1 + torch.tanh(free))

    def _to_normal(self, z: Tensor) -> Tensor:
        share = ((z - self.low) / (self.high - self.low)).clamp(EDGE, 1 - EDGE)
        return math.sqrt(2) * torch.erfinv(2 * share - 1)

    def _from_normal(self, normal: Tensor) -> Tensor:
        return self.low + (self.high - self.low) * (torch.erf(normal / math.sqrt(2)) + 1) / 2


class Grid(Uniform):
    """Noise at every cell of a map of any size, [channels, height, width] (Jetchev 2016): cells alike and independent."""

    def of(self, height: int, width: int) -> "Grid":
        """Return the same law on a map of another size."""
        return Grid(self.shape[0], height, width, low=self.low, high=self.high)


class Normal(Prior):
    """Independent and normal around 0, with one deviation."""

    spherical = True

    def __init__(self, *shape: int, std: float = 1.0) -> None:
        super().__init__(*shape)
        self.std = std

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        return self.std * torch.randn(n, *self.shape, generator=generator)

    def like(self, x: Tensor) -> Tensor:
        return self.std * shards.randn(len(x), *self.shape, device=x.device)

    def between(self, start: Tensor, end: Tensor, times: Tensor) -> Tensor:
        return slerp(start, end, times)

    @property
    def scale(self) -> float:
        return self.std

    @property
    def radius(self) -> float:
        """The distance from the middle that all latents but a thousandth stay within.

        The square of it is a quantile of chi squared, by Wilson and Hilferty's approximation (1931).
        """
        size = math.prod(self.shape)
        return self.std * math.sqrt(size * (1 - 2 / (9 * size) + FARTHEST * math.sqrt(2 / (9 * size))) ** 3)

    def held(self, free: Tensor, start: Tensor) -> Tensor:
        """Latents beyond the radius are drawn back to it."""
        return within(free, self.radius)


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

    def free(self, z: Tensor) -> Tensor:
        return self._around(z, self.plain.free(self._plain_of(z)), self.categories_of(z))

    def held(self, free: Tensor, start: Tensor) -> Tensor:
        plain = self.plain.held(self._plain_of(free), self._plain_of(start))
        return self._around(free, plain, [decided(each) for each in self.categories_of(start)])

    def _plain_of(self, z: Tensor) -> Tensor:
        return torch.cat((z[:, :self.noise], self.continuous_of(z)), 1)

    def _around(self, z: Tensor, plain: Tensor, categories: Sequence[Tensor]) -> Tensor:
        return torch.cat((plain[:, :self.noise], *(each.to(z) for each in categories), plain[:, self.noise:]), 1)

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


class Sectioned(Prior):
    """A law in the plane of equally likely sections, of which each class can have one (Makhzani 2016)."""

    def __init__(self, sections: int) -> None:
        super().__init__(2)
        self.sections = sections

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        noise = torch.randn(n, 2, generator=generator)
        return self.placed(noise, torch.randint(self.sections, (n,), generator=generator))

    def like(self, x: Tensor) -> Tensor:
        noise = shards.randn(len(x), 2, device=x.device)
        return self.placed(noise, shards.randint(self.sections, len(x), device=x.device))

    def within(self, sections: Tensor) -> Tensor:
        """Return a latent of each of this rank's sections [N], from the global generator of their device."""
        return self.placed(shards.randn(len(sections), 2, device=sections.device), sections)

    def held(self, free: Tensor, start: Tensor) -> Tensor:
        """In the disk that the law lies in: between its sections there is nothing to be held to."""
        return within(free, self.reach)

    @property
    @abstractmethod
    def reach(self) -> float:
        """The radius of that disk."""

    @abstractmethod
    def placed(self, noise: Tensor, sections: Tensor) -> Tensor:
        """Return the latents [N, 2] that standard normal noise [N, 2] stands for in the sections [N]."""


class Ring(Sectioned):
    """Normal petals that point outwards, around a circle.

    Constants are those of github.com/musyoku/adversarial-autoencoder: a petal is 0.5 long and 0.05 wide (deviations), and its
    middle lies 1.4 from the center.
    """

    length, width, radius = 0.5, 0.05, 1.4

    @property
    def reach(self) -> float:
        return self.radius + FARTHEST * self.length

    def placed(self, noise: Tensor, sections: Tensor) -> Tensor:
        angles = sections * (2 * math.pi / self.sections)
        along, across = self.radius + self.length * noise[:, 0], self.width * noise[:, 1]
        return torch.stack((along * angles.cos() - across * angles.sin(), along * angles.sin() + across * angles.cos()), 1)

    def between(self, start: Tensor, end: Tensor, times: Tensor) -> Tensor:
        """Petals have nothing between them: the place in them moves on a great circle, the petal changes halfway."""
        (one, first), (two, second) = map(self._place_of, (start, end))
        return self.placed(slerp(one, two, times), torch.where(times < 0.5, first, second))

    def _place_of(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return the noise [2] and the section [] that a latent [2] most likely stands for."""
        every = torch.arange(self.sections, device=z.device)
        angles = every * (2 * math.pi / self.sections)
        along = (z[0] * angles.cos() + z[1] * angles.sin() - self.radius) / self.length  # [S]
        across = (z[1] * angles.cos() - z[0] * angles.sin()) / self.width
        section = (along.square() + across.square()).argmin()
        return torch.stack((along[section], across[section])), section


class SwissRoll(Sectioned):
    """A spiral of two turns out to radius 3, equally dense along the area it sweeps (constants as Ring's).

    A point has radius 3 sqrt(u) and angle 4 pi sqrt(u) for a u uniform in [0, 1]; section k is u from k/K to (k + 1)/K.
    """

    radius, turns = 3.0, 2

    @property
    def reach(self) -> float:
        return self.radius

    def placed(self, noise: Tensor, sections: Tensor) -> Tensor:
        return self._at((sections + uniform_of(noise[:, 0])) / self.sections)

    def between(self, start: Tensor, end: Tensor, times: Tensor) -> Tensor:
        """Along the spiral, by equal shares of the law."""
        one, two = ((z.norm() / self.radius).square().clamp_max(1) for z in (start, end))
        return self._at(torch.lerp(one, two, times))

    def _at(self, share: Tensor) -> Tensor:
        root = share.sqrt()
        angles = 2 * math.pi * self.turns * root
        return self.radius * root[:, None] * torch.stack((angles.cos(), angles.sin()), 1)


class Styled(Prior):
    """One of equally likely categories as a one-hot vector, then the latents of another prior (Makhzani 2016)."""

    def __init__(self, categories: int, style: Prior) -> None:
        super().__init__(categories + math.prod(style.shape))
        self.categories, self.style = categories, style
        self.codes: dict[str, int | None] = {"c1": categories}

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        style = self.style.draw(n, generator)
        return self._joined(torch.randint(self.categories, (n,), generator=generator), style)

    def like(self, x: Tensor) -> Tensor:
        style = self.style.like(x)
        return self._joined(shards.randint(self.categories, len(x), device=x.device), style)

    def between(self, start: Tensor, end: Tensor, times: Tensor) -> Tensor:
        """The category changes halfway."""
        style = self.style.between(start[self.categories:], end[self.categories:], times)
        category = torch.where(times[:, None] < 0.5, start[:self.categories], end[:self.categories])
        return torch.cat((category, style), 1)

    def with_codes(self, z: Tensor, values: Mapping[str, Tensor]) -> Tensor:
        """Return latents [N, Z] with the category [N] that `values` has as c1."""
        return self._joined(values["c1"].to(z.device), z[:, self.categories:]) if "c1" in values else z

    @property
    def scale(self) -> float:
        return self.style.scale

    def free(self, z: Tensor) -> Tensor:
        return torch.cat((z[:, :self.categories], self.style.free(z[:, self.categories:])), 1)

    def held(self, free: Tensor, start: Tensor) -> Tensor:
        style = self.style.held(free[:, self.categories:], start[:, self.categories:])
        return torch.cat((decided(start[:, :self.categories]).to(style), style), 1)

    def _joined(self, categories: Tensor, style: Tensor) -> Tensor:
        return torch.cat(((categories[:, None] == torch.arange(self.categories, device=style.device)).to(style), style), 1)


def within(z: Tensor, radius: float) -> Tensor:
    """Return latents [N, *Z] of which those longer than `radius` are shortened to it."""
    length = z.flatten(1).norm(dim=1).clamp_min(1e-12)
    return z * (radius / length).clamp_max(1).view(-1, *[1] * (z.dim() - 1))


def decided(shares: Tensor) -> Tensor:
    """Return the likeliest category of shares or logits [N, K] as one-hot vectors."""
    return one_hot(shares.argmax(1), shares.shape[1])


def uniform_of(noise: Tensor) -> Tensor:
    """Return standard normal numbers as numbers uniform in [0, 1], their shares of the law below them."""
    return (torch.erf(noise / math.sqrt(2)) + 1) / 2


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
