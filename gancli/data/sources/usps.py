"""USPS, handwritten digits of 16x16 (Hull 1994), in torchvision's layout usps.bz2, usps.t.bz2."""

import string
from dataclasses import dataclass

import numpy as np

from gancli.data.options import ImageOptions
from gancli.data.torchvision_arrays import TorchvisionArrays
from gancli.registry import datasets


@dataclass
class UspsOptions(ImageOptions):
    """Options of dataset=usps."""


@datasets.register("usps", options=UspsOptions)
class Usps(TorchvisionArrays):
    """Digits from envelopes."""

    page = "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass.html#usps"
    published = {"train": 7291, "test": 2007}
    sizes = {"train": 6_579_383, "test": 1_831_726}
    sides = (16, 16, 1)
    classes = tuple(string.digits)

    def files(self) -> tuple[str, ...]:
        return ("usps.bz2" if self.options.split == "train" else "usps.t.bz2",)

    def build(self, fetch: bool):
        from torchvision.datasets import USPS

        return USPS(self.data_dir, train=self.options.split == "train", download=fetch)

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        return self.content.data[..., None], np.array(self.content.targets)
