"""Stacked digits: a random digit in each of three color channels, a thousand modes to drop (Metz 2017; Srivastava 2017)."""

from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np

from gancli.data.options import HoldoutOptions, ImageOptions
from gancli.data.source import ArraySource, Native, Stamp
from gancli.data.sources.digits import Digits, DigitsOptions
from gancli.data.sources.idx import IdxOptions, Mnist
from gancli.errors import check_choice, check_range
from gancli.registry import datasets

DIGITS = ("embedded", "mnist")


@dataclass
class StackedDigitsOptions(ImageOptions):
    """Images composed of three digits each."""

    digits: str  # one of DIGITS: scikit-learn's 8x8, or MNIST's 28x28 where data_dir has them
    count: int  # images composed
    data_seed: int  # of the draw; the run's seed changes the order, never the data
    holdout: float  # fraction of the embedded digits that only split=test is composed of

    SPLITS = HoldoutOptions.SPLITS

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("dataset.digits", self.digits, DIGITS)
        check_range("dataset.count", self.count, 1)
        check_range("dataset.data_seed", self.data_seed, 0)
        if self.digits == "mnist" and (self.holdout or self.split == "all"):
            raise ValueError("dataset.holdout and dataset.split=all are for dataset.digits=embedded: MNIST has a test split")
        self.parts()

    def parts(self) -> DigitsOptions | IdxOptions:
        """Return the options of the set whose digits are stacked; a ValueError where its ranges are not kept."""
        shared = asdict(self) | {"limit": None, "labeled": None}
        del shared["digits"], shared["count"], shared["data_seed"]
        if self.digits == "embedded":
            return DigitsOptions(**shared | {"name": "digits"})
        del shared["holdout"]
        return IdxOptions(**shared | {"name": "mnist"})


@datasets.register("stacked_digits", options=StackedDigitsOptions)
class StackedDigits(ArraySource):
    """Red is the hundreds, green the tens, blue the ones; the label is the number."""

    options: StackedDigitsOptions

    @cached_property
    def digits(self) -> ArraySource:
        """The set whose digits are stacked."""
        return (Digits if self.options.digits == "embedded" else Mnist)(self.options.parts(), self.data_dir)

    def native(self) -> Native:
        single = self.digits.native()
        self.notes, self.absent = list(self.digits.notes), self.digits.absent
        names = tuple(f"{number:03d}" for number in range(1000))
        return Native(self.options.count, single.height, single.width, 3, names)

    def present(self) -> bool:
        return self.digits.present()

    def prepare(self) -> None:
        self.digits.prepare()

    def stamps(self) -> list[Stamp]:
        return self.digits.stamps()

    def place(self) -> str:
        return self.digits.place()

    def kept(self, count: int) -> np.ndarray:
        """Return the rows that `limit` keeps; the split is one of digits, not of their stacks."""
        return self.evenly(count)

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        images, labels = self.digits.arrays()
        rows = self.digits.kept(len(images))
        random = np.random.default_rng([self.options.data_seed, self.options.SPLITS.index(self.options.split)])
        drawn = rows[random.integers(0, len(rows), (self.options.count, 3))]  # uniform over images, as published
        stacked = np.stack([images[drawn[:, channel], ..., 0] for channel in range(3)], axis=-1)
        return stacked, labels[drawn].astype(np.int64) @ np.array([100, 10, 1])
