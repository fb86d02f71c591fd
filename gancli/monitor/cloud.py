"""Plots of points in the plane (or on the line) colored by class, several beside each other on the same axes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gancli.monitor.grids import Picture

NAMED = 20  # classes that a legend names
MARGIN = 0.05  # of the axes
BINS = 100


@dataclass(frozen=True)
class Cloud:
    """Points with a title."""

    title: str
    points: NDArray  # [N, 2] or [N, 1]
    labels: NDArray | None  # [N]


def draw_clouds(clouds: Sequence[Cloud], classes: Sequence[str], axes_name: str, size: int = 512) -> Picture:
    """Return a picture [size, size * len(clouds), 3]; what lies on a line is drawn as a histogram.

    Args:
        classes: names of the labels; they stand in the legend where there are at most NAMED.
        axes_name: what the coordinates are called; a number is put behind it.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    finite = np.concatenate([cloud.points[np.isfinite(cloud.points).all(1)] for cloud in clouds])
    low, high = (finite.min(0), finite.max(0)) if len(finite) else (-np.ones(clouds[0].points.shape[1]),) * 2
    middle, half = (low + high) / 2, max(float((high - low).max()), 1e-3) * (0.5 + MARGIN)
    low, high = middle - half, middle + half  # a square: a circle of latents is one in the picture
    figure = Figure(figsize=(size * len(clouds) / 100, size / 100), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    for place, cloud in enumerate(clouds):
        axes = figure.add_subplot(1, len(clouds), place + 1)
        axes.set_title(f"{cloud.title} ({len(cloud.points):,})", fontsize=9)
        axes.set_xlabel(f"{axes_name} 1", fontsize=8)
        axes.set_xlim(low[0], high[0])
        if cloud.points.shape[1] == 1:
            _histograms(axes, cloud, classes, np.linspace(low[0], high[0], BINS + 1))
        else:
            axes.set_ylabel(f"{axes_name} 2", fontsize=8)
            axes.set_ylim(low[1], high[1])
            axes.set_aspect("equal")
            _dots(axes, cloud, len(classes))
        axes.tick_params(labelsize=7)
        if cloud.labels is not None and 1 <= len(classes) <= NAMED:
            _legend(axes, classes)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[:, :, :3])


def _color(label: int, classes: int) -> tuple[float, ...] | str:
    from matplotlib import colormaps

    if classes <= 10:
        return colormaps["tab10"](label)
    return colormaps["tab20"](label) if classes <= NAMED else colormaps["turbo"](label / max(classes - 1, 1))


def _dots(axes, cloud: Cloud, classes: int) -> None:
    colors = "#666666" if cloud.labels is None else [_color(int(label), classes) for label in cloud.labels]
    axes.scatter(cloud.points[:, 0], cloud.points[:, 1], s=3, c=colors, linewidths=0)


def _histograms(axes, cloud: Cloud, classes: Sequence[str], bins: NDArray) -> None:
    labels = np.zeros(len(cloud.points), int) if cloud.labels is None else cloud.labels
    for label in np.unique(labels):
        color = "#666666" if cloud.labels is None else _color(int(label), len(classes))
        axes.stairs(np.histogram(cloud.points[labels == label, 0], bins)[0], bins, color=color)


def _legend(axes, classes: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], marker="o", linestyle="", markersize=4, color=_color(label, len(classes)), label=name[:20])
               for label, name in enumerate(classes)]
    axes.legend(handles=handles, loc="upper right", fontsize=6, framealpha=0.8)
