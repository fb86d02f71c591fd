"""The figures of a run tick by tick: what detectors read (torch-free)."""

import math
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

FIRST, LAST = 64, 448  # figures of a tag that are kept, so that a long run costs no more at its end than at its beginning

Figures = Mapping[str, float | None]


class History:
    """Series by tag: images shown, and the figure; one that was not finite is NaN."""

    def __init__(self, ticks: Iterable[tuple[int, Figures]] = ()) -> None:
        self._series: dict[str, tuple[list[int], list[float]]] = {}
        self.ticks = 0
        self.images = 0  # shown at the last tick
        for images, figures in ticks:
            self.append(images, figures)

    def append(self, images: int, figures: Figures) -> None:
        """Add a tick; from the middle of a long series the oldest figure is forgotten."""
        self.ticks, self.images = self.ticks + 1, images
        for tag, value in figures.items():
            known, values = self._series.setdefault(tag, ([], []))
            known.append(images)
            values.append(math.nan if value is None or not math.isfinite(value) else float(value))
            if len(known) > FIRST + LAST:
                del known[FIRST], values[FIRST]

    def tags(self) -> set[str]:
        """Return every tag that a tick has had."""
        return set(self._series)

    def series(self, *tags: str) -> tuple[NDArray, ...]:
        """Return the images [T] of the ticks that have all the tags, and a series [T] for each."""
        found = [self._series.get(tag, ([], [])) for tag in tags]
        images = found[0][0]
        if all(others == images for others, _ in found):
            return np.array(images, float), *(np.array(values, float) for _, values in found)
        common = set(images).intersection(*(others for others, _ in found))
        rows = [[value for at, value in zip(*both, strict=True) if at in common] for both in found]
        return np.array([at for at in images if at in common], float), *(np.array(values, float) for values in rows)
