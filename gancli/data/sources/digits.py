"""Scikit-learn's handwritten digits: 1,797 grey images of 8x8, 17 levels (Alpaydin & Kaynak 1998); no download."""

from dataclasses import dataclass

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
        from sklearn.datasets import load_digits

        digits = load_digits()
        images = np.rint(digits.images * (255 / LEVELS)).astype(np.uint8)  # [N, 8, 8]
        return images[..., None], digits.target
