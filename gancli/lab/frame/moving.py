"""What moves: recorded runs of an experiment, as a film draws them and as a page replays them.

Legend: T times, G points of a grid, N examples.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gancli.lab.frame.style import Style

Show = Callable[[int], None]  # draws the state at one of the times


@dataclass(frozen=True)
class Path:
    """A point that wanders through the plane."""

    points: NDArray  # [T, 2]

    kind = "path"

    def artists(self, axes: Any, style: Style, number: int) -> Show:
        """Draw what stands still and return what draws the rest."""
        color = style.colors[number % len(style.colors)]
        line, = axes.plot([], [], color=color, linewidth=2)
        dot, = axes.plot([], [], "o", color=color, markersize=11, markeredgecolor=style.ink)
        axes.plot(*self.points[0], "o", color=style.muted, markersize=7)
        axes.plot(0, 0, "+", color=style.ink, markersize=16, markeredgewidth=2.5)

        def show(at: int) -> None:
            line.set_data(*self.points[:at + 1].T)
            dot.set_data(*self.points[at:at + 1].T)
        return show

    def as_json(self) -> dict[str, Any]:
        """Return what the page's script draws."""
        return {"kind": self.kind, "points": rounded(self.points)}


@dataclass(frozen=True)
class Curves:
    """Functions of one variable, some of which move."""

    x: NDArray  # [G]
    moving: Mapping[str, NDArray]  # [T, G] each
    still: Mapping[str, NDArray] = field(default_factory=dict)  # [G] each, drawn dashed

    kind = "curves"

    def artists(self, axes: Any, style: Style, number: int) -> Show:
        """Draw what stands still and return what draws the rest."""
        for place, (name, values) in enumerate(self.still.items()):
            axes.plot(self.x, values, "--", color=style.colors[place % 8], label=name, linewidth=2.5)
        offset = len(self.still)
        lines = [axes.plot(self.x, values[0], color=style.colors[(offset + place) % 8], label=name)[0]
                 for place, (name, values) in enumerate(self.moving.items())]

        def show(at: int) -> None:
            for line, values in zip(lines, self.moving.values(), strict=True):
                line.set_ydata(values[at])
        return show

    def as_json(self) -> dict[str, Any]:
        """Return what the page's script draws."""
        return {"kind": self.kind, "x": rounded(self.x), "still": {name: rounded(v) for name, v in self.still.items()},
                "moving": {name: rounded(values) for name, values in self.moving.items()}}


@dataclass(frozen=True)
class Surface:
    """A function over the plane, with examples that stand still; each time is stretched over its own range."""

    values: NDArray  # [T, G, G], the first row at the lowest ordinate
    examples: NDArray  # [N, 2]

    kind = "surface"

    def artists(self, axes: Any, style: Style, number: int) -> Show:
        """Draw what stands still and return what draws the rest."""
        (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
        image = axes.imshow(self.levels()[0], origin="lower", extent=(left, right, low, high), cmap=style.field, vmin=0,
                            vmax=255, aspect="auto", interpolation="bilinear")
        axes.plot(*self.examples.T, ".", color="#ffffff", markersize=4, markeredgecolor="#00000080", markeredgewidth=0.5)
        levels = self.levels()

        def show(at: int) -> None:
            image.set_data(levels[at])
        return show

    def levels(self) -> NDArray[np.uint8]:
        """Return the values in 256 steps between the least and the largest of each time, [T, G, G]."""
        flat = self.values.reshape(len(self.values), -1)
        low, high = flat.min(1)[:, None, None], flat.max(1)[:, None, None]
        return np.rint(255 * (self.values - low) / np.maximum(high - low, 1e-12)).astype(np.uint8)

    def as_json(self) -> dict[str, Any]:
        """Return what the page's script draws."""
        import base64

        levels = self.levels()
        ranges = [[float(f"{frame.min():.4g}"), float(f"{frame.max():.4g}")] for frame in self.values]
        return {"kind": self.kind, "side": levels.shape[1], "ranges": ranges, "examples": rounded(self.examples),
                "levels": base64.b64encode(levels.tobytes()).decode()}


@dataclass(frozen=True)
class Points:
    """A cloud that moves, over one that stands still."""

    points: NDArray  # [T, N, 2]
    still: NDArray  # [N, 2]

    kind = "points"

    def artists(self, axes: Any, style: Style, number: int) -> Show:
        """Draw what stands still and return what draws the rest."""
        axes.plot(*self.still.T, ".", color=style.muted, markersize=4, alpha=0.5)
        dots, = axes.plot([], [], ".", color=style.colors[number % len(style.colors)], markersize=6, alpha=0.7)

        def show(at: int) -> None:
            dots.set_data(*self.points[at].T)
        return show

    def as_json(self) -> dict[str, Any]:
        """Return what the page's script draws."""
        return {"kind": self.kind, "still": rounded(self.still), "points": rounded(self.points)}


@dataclass(frozen=True)
class Recorded:
    """One run of a scene: a method, a loss, a penalty."""

    name: str
    told: str  # what to see in it, a sentence
    times: Sequence[float]  # [T]
    what: Path | Curves | Surface | Points


@dataclass(frozen=True)
class Scene:
    """Recorded runs on the same axes, of which a page shows one at a time."""

    title: str
    xlabel: str
    ylabel: str
    xlim: tuple[float, float]
    ylim: tuple[float, float]
    clock: str  # what the times count
    runs: Sequence[Recorded]

    def as_json(self) -> dict[str, Any]:
        """Return what the page's script draws."""
        return {"title": self.title, "xlabel": self.xlabel, "ylabel": self.ylabel, "xlim": list(self.xlim),
                "ylim": list(self.ylim), "clock": self.clock,
                "runs": [{"name": run.name, "told": run.told, "times": rounded(run.times), **run.what.as_json()}
                         for run in self.runs]}


def moments(last: int, count: int = 60) -> list[int]:
    """Return at most `count` whole numbers from 0 to `last`, denser at the start, where most happens."""
    return sorted({round(last * (i / (count - 1)) ** 2) for i in range(count)})


def rounded(values: Any) -> list:
    """Return an array as nested lists of numbers with four digits; not finite ones as None."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 0:
        return float(f"{array:.4g}") if np.isfinite(array) else None
    return [rounded(part) for part in array]
