"""Small statistics over series of figures that detectors share (torch-free).

Legend: T ticks, W ticks of a window.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

WINDOW = 5  # ticks whose median counts as one figure: single batches are noisy


def medians(values: NDArray, window: int = WINDOW) -> NDArray:
    """Return the median of each window of values [T]: [T - W + 1], empty for a short series; NaN does not count."""
    if len(values) < window:
        return np.empty(0)
    return np.nanmedian(sliding_window_view(np.where(np.isnan(values), np.inf, values), window), axis=1)


def trailing(condition: NDArray) -> int:
    """Return how many of the last entries hold without a break."""
    broken = np.flatnonzero(~condition.astype(bool))
    return len(condition) if not len(broken) else len(condition) - 1 - int(broken[-1])


def blocks(values: NDArray, count: int) -> NDArray:
    """Return the medians of `count` consecutive blocks of about equal length."""
    return np.array([np.median(block) for block in np.array_split(values, count)])


def rising(values: NDArray, factor: float) -> bool:
    """Whether values rise from each to the next, and to at least `factor` times the first."""
    return bool(np.all(np.diff(values) > 0) and values[-1] >= factor * values[0])
