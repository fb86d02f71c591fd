"""STL-10, 96x96 (Coates 2011), in torchvision's layout stl10_binary/*.bin."""

from dataclasses import dataclass

import numpy as np

from gancli.data.options import ImageOptions
from gancli.data.torchvision_arrays import TorchvisionArrays
from gancli.registry import datasets


@dataclass
class Stl10Options(ImageOptions):
    """Options of dataset=stl10."""

    SPLITS = ("train", "test", "unlabeled", "train+unlabeled")


@datasets.register("stl10", options=Stl10Options)
class Stl10(TorchvisionArrays):
    """Ten classes of objects; a hundred thousand images without a label in the unlabeled split."""

    page = "https://cs.stanford.edu/~acoates/stl10/"
    published = {"train": 5000, "test": 8000, "unlabeled": 100000, "train+unlabeled": 105000}
    sizes = {"": 2_640_397_119}
    sides = (96, 96, 3)

    @property
    def classes(self) -> tuple[str, ...]:
        if "unlabeled" in self.options.split:
            return ()
        return ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")

    def files(self) -> tuple[str, ...]:
        """Return every file, whatever the split: torchvision wants them all."""
        names = ("train_X", "train_y", "unlabeled_X", "test_X", "test_y")
        return tuple(f"stl10_binary/{name}.bin" for name in names)

    def build(self, fetch: bool):
        from torchvision.datasets import STL10

        return STL10(self.data_dir, split=self.options.split, download=fetch)

    def arrays(self) -> tuple[np.ndarray, np.ndarray | None]:
        labels = self.content.labels if self.classes else None
        return self.content.data.transpose(0, 2, 3, 1), labels
