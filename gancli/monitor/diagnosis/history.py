"""The figures of a run tick by tick: what detectors read (torch-free)."""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FIRST, LAST = 64, 448  # ticks kept, so that a long run costs no more at its end than at its beginning

Figures = Mapping[str, float | None]


class History:
    """Ticks in order: images shown, and figures by tag; a figure that was not finite is NaN."""

    def __init__(self, ticks: Iterable[tuple[int, Figures]] = ()) -> None:
        self._ticks: list[tuple[int, Figures]] = []
        for images, figures in ticks:
            self.append(images, figures)

    def append(self, images: int, figures: Figures) -> None:
        """Add a tick; from the middle of a long history the oldest is forgotten."""
        self._ticks.append((images, figures))
        if len(self._ticks) > FIRST + LAST:
            del self._ticks[FIRST]

    def __len__(self) -> int:
        return len(self._ticks)

    @property
    def images(self) -> int:
        """Images shown at the last tick."""
        return self._ticks[-1][0] if self._ticks else 0

    @property
    def first_images(self) -> int:
        """Images shown at the first tick."""
        return self._ticks[0][0] if self._ticks else 0

    def tags(self) -> set[str]:
        """Return every tag that a tick has."""
        return set().union(*(figures for _, figures in self._ticks))

    def series(self, *tags: str) -> tuple[NDArray, ...]:
        """Return the images [T] of the ticks that have all the tags, and a series [T] for each."""
        rows = [(images, *(_number(figures[tag]) for tag in tags)) for images, figures in self._ticks
                if all(tag in figures for tag in tags)]
        return tuple(np.array(rows, float).reshape(-1, 1 + len(tags)).T)


def read_history(path: Path) -> list[tuple[int, Figures]]:
    """Return the ticks in stats.jsonl; a line cut by a kill is left out, an absent file is empty."""
    if not path.exists():
        return []
    ticks = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            figures = json.loads(line)
            ticks.append((int(figures.pop("images")), figures))
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return ticks


def _number(value: float | None) -> float:
    return math.nan if value is None or not math.isfinite(value) else float(value)
