"""Toy densities in the plane and on the line, in about [-1, 1]; drawn once, from a seed of their own.

`ring` and `grid` are the mixtures on which mode collapse is counted (Metz 2017; Srivastava 2017, section 4.1), scaled
so that their widths keep the published ratio to their distances.
"""

import math
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gancli.data.options import ModeOptions, PointOptions
from gancli.data.source import Block, Source
from gancli.data.spec import DataSpec
from gancli.errors import check_range
from gancli.registry import datasets


@dataclass
class RingOptions(ModeOptions):
    """Gaussians on a circle."""

    modes: int
    radius: float
    std: float  # of each Gaussian, in both directions

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("dataset.modes", self.modes, 1)
        check_range("dataset.radius", self.radius, 0)
        check_range("dataset.std", self.std, 0)


@dataclass
class GridOptions(ModeOptions):
    """Gaussians on a square lattice."""

    side: int  # modes in a row; side * side in all
    extent: float  # coordinate of the outermost modes
    std: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("dataset.side", self.side, 1)
        check_range("dataset.extent", self.extent, 0)
        check_range("dataset.std", self.std, 0)


@dataclass
class SwissRollOptions(PointOptions):
    """A spiral."""

    turns: float  # after the half turn at which the spiral starts
    noise: float  # standard deviation, in both directions

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("dataset.turns", self.turns, 0.25)
        check_range("dataset.noise", self.noise, 0)


@dataclass
class MixtureOptions(ModeOptions):
    """Gaussians on the line."""

    centers: list[float]
    stds: list[float]
    weights: list[float]  # need not sum to 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.centers or not len(self.centers) == len(self.stds) == len(self.weights):
            raise ValueError("dataset.centers, dataset.stds and dataset.weights must be lists of one length, not "
                             f"{len(self.centers)}, {len(self.stds)} and {len(self.weights)}")
        for std, weight in zip(self.stds, self.weights, strict=True):
            check_range("dataset.stds", std, 0, open_low=True)
            check_range("dataset.weights", weight, 0, open_low=True)


class Toy(Source):
    """A density that is sampled instead of read."""

    points: int  # coordinates of an example

    def modes(self) -> int:
        """Return the number of labeled modes, 0 where the density has none."""
        return 0

    @abstractmethod
    def draw(self, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray | None]:
        """Return points [N, P] and the index of each one's mode [N] (or None)."""

    def look(self) -> DataSpec:
        return DataSpec((self.points,), self.options.count, tuple(str(mode) for mode in range(self.modes())))

    def blocks(self) -> Iterator[Block]:
        points, labels = self.draw(np.random.default_rng(self.options.data_seed))
        yield Block(0, points.astype(np.float32), labels)


class Mixture(Toy):
    """Gaussians of equal or given weights; the theory experiments read its parameters."""

    @abstractmethod
    def centers(self) -> np.ndarray:
        """Return the means, [modes, P]."""

    def stds(self) -> np.ndarray:
        """Return each mode's standard deviation, [modes]."""
        return np.full(self.modes(), self.options.std)

    def weights(self) -> np.ndarray:
        """Return each mode's probability, [modes]."""
        return np.full(self.modes(), 1 / self.modes())

    def modes(self) -> int:
        return len(self.centers())

    def draw(self, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        labels = generator.choice(self.modes(), self.options.count, p=self.weights())
        noise = generator.standard_normal((self.options.count, self.points))
        return self.centers()[labels] + self.stds()[labels, None] * noise, labels.astype(np.int64)


@datasets.register("ring", options=RingOptions)
class Ring(Mixture):
    """Equal Gaussians on a circle, the first one at angle 0."""

    points = 2

    def centers(self) -> np.ndarray:
        angles = 2 * math.pi * np.arange(self.options.modes) / self.options.modes
        return self.options.radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


@datasets.register("grid", options=GridOptions)
class Grid(Mixture):
    """Equal Gaussians on a lattice, numbered row by row."""

    points = 2

    def centers(self) -> np.ndarray:
        ticks = np.linspace(-self.options.extent, self.options.extent, self.options.side)
        return np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)


@datasets.register("swiss_roll", options=SwissRollOptions)
class SwissRoll(Toy):
    """The plane spiral r = t with t uniform, from half a turn out to `turns` more, scaled to radius 0.9."""

    points = 2

    def draw(self, generator: np.random.Generator) -> tuple[np.ndarray, None]:
        start, end = math.pi, math.pi + 2 * math.pi * self.options.turns
        t = generator.uniform(start, end, self.options.count)
        points = np.stack([t * np.cos(t), t * np.sin(t)], axis=1) * (0.9 / end)
        return points + self.options.noise * generator.standard_normal(points.shape), None


@datasets.register("mixture_1d", options=MixtureOptions)
class LineMixture(Mixture):
    """Gaussians on the line with their own widths and weights."""

    points = 1

    def centers(self) -> np.ndarray:
        return np.array(self.options.centers, dtype=np.float64)[:, None]

    def stds(self) -> np.ndarray:
        return np.array(self.options.stds, dtype=np.float64)

    def weights(self) -> np.ndarray:
        weights = np.array(self.options.weights, dtype=np.float64)
        return weights / weights.sum()
