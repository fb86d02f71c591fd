"""SVHN, house numbers of 32x32 (Netzer 2011), in torchvision's layout {train,test,extra}_32x32.mat."""

import string
from dataclasses import dataclass

import numpy as np

from gancli.data.options import ImageOptions
from gancli.data.torchvision_arrays import TorchvisionArrays
from gancli.registry import datasets


@dataclass
class SvhnOptions(ImageOptions):
    """Options of dataset=svhn."""

    SPLITS = ("train", "test", "extra")


@datasets.register("svhn", options=SvhnOptions)
class Svhn(TorchvisionArrays):
    """Cropped digits of house numbers; the label 0 is the digit 0."""

    page = "http://ufldl.stanford.edu/housenumbers/"
    published = {"train": 73257, "test": 26032, "extra": 531131}
    sizes = {"train": 182_040_794, "test": 64_275_384, "extra": 1_329_278_602}
    sides = (32, 32, 3)
    classes = tuple(string.digits)

    def files(self) -> tuple[str, ...]:
        return (f"{self.options.split}_32x32.mat",)

    def build(self, fetch: bool):
        from torchvision.datasets import SVHN

        return SVHN(self.data_dir, split=self.options.split, download=fetch)

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        return self.content.data.transpose(0, 2, 3, 1), self.content.labels
