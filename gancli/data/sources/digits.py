"""Scikit-learn's handwritten digits: 1,797 gray images of 8x8, 17 levels (Alpaydin & Kaynak 1998); no download."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from gancli.data.options import HoldoutOptions
from gancli.data.source import ArraySource, Native
from gancli.registry import datasets

LEVELS = 16  # the value of full ink


@dataclass
class DigitsOptions(HoldoutOptions):
    """Options of dataset=digits."""


@datasets.register("digits", options=DigitsOptions)
class Digits(ArraySource):
    """The embedded digits, smoothly enlarged."""

    def native(self) -> Native:
        return Native(1797, 8, 8, 1, tuple("0123456789"))

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        rows = np.loadtxt(_file(), delimiter=",", dtype=np.int64)  # [N, 64 pixels and the label]
        images = np.rint(rows[:, :-1] * (255 / LEVELS)).astype(np.uint8)
        return images.reshape(-1, 8, 8, 1), rows[:, -1]


def _file() -> Path:
    """Return scikit-learn's file without importing scikit-learn, which takes longer than all the rest of the set."""
    package = find_spec("sklearn")
    return Path(package.submodule_search_locations[0]) / "datasets" / "data" / "digits.csv.gz"
