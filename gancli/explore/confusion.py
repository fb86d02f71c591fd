"""A confusion matrix as a picture.

Legend: M classes, K columns.
"""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from gancli.monitor.grids import Picture

NUMBERED = 20  # classes up to which every cell shows its count
NAMED = 60  # and up to which every class has its name
CELL, LEAST = 0.45, 4.5  # inches


def draw_confusion(matrix: Tensor, rows: Sequence[str], columns: Sequence[str], title: str) -> Picture:
    """Return a picture of counts [M, K], colored by the share of each row; examples by class down, as told across."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    counts = matrix.numpy()
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = max(LEAST, min(CELL * len(rows), 24) + 1)
    figure = Figure(figsize=(side, side), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for ticks, names in ((axes.set_xticks, columns), (axes.set_yticks, rows)):
        if len(rows) <= NAMED:
            ticks(range(len(names)), names, fontsize=8)
    if max(map(len, columns)) > 3:
        axes.tick_params(axis="x", rotation=90)
    if len(rows) <= NUMBERED:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                axes.text(column, row, str(count), ha="center", va="center", fontsize=7,
                          color="white" if shares[row, column] > 0.5 else "black")
    axes.set_xlabel("given")
    axes.set_ylabel("class")
    axes.set_title(title, fontsize=9)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[:, :, :3])
