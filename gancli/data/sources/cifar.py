"""CIFAR-10 and CIFAR-100, 32x32 (Krizhevsky 2009): torchvision's batches, or cifar10/{train,test}/CLASS/*.png."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gancli.data.files import FileSource, Group
from gancli.data.listing import list_images
from gancli.data.options import ImageOptions
from gancli.data.source import Source
from gancli.data.torchvision_arrays import TorchvisionArrays
from gancli.errors import UserError
from gancli.registry import datasets

CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck"
CIFAR100 = """apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy
porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel
streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale
willow_tree wolf woman worm"""


@dataclass
class CifarOptions(ImageOptions):
    """Options of cifar10 and cifar100."""


class Cifar(TorchvisionArrays):
    """Torchvision's pickled batches, whose checksums it verifies before it opens them."""

    page = "https://www.cs.toronto.edu/~kriz/cifar.html"
    published = {"train": 50000, "test": 10000}
    sides = (32, 32, 3)

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        return self.content.data, np.array(self.content.targets)


class Cifar10Batches(Cifar):
    """CIFAR-10 in cifar-10-batches-py."""

    sizes = {"": 170_498_071}
    classes = tuple(CIFAR10.split())

    def files(self) -> tuple[str, ...]:
        names = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta")
        return tuple(f"cifar-10-batches-py/{name}" for name in names)

    def build(self, fetch: bool):
        from torchvision.datasets import CIFAR10

        return CIFAR10(self.data_dir, train=self.options.split == "train", download=fetch)


@datasets.register("cifar100", options=CifarOptions)
class Cifar100(Cifar):
    """CIFAR-100 with its fine labels, in cifar-100-python."""

    sizes = {"": 169_001_437}
    classes = tuple(CIFAR100.split())

    def files(self) -> tuple[str, ...]:
        return tuple(f"cifar-100-python/{name}" for name in ("train", "test", "meta"))

    def build(self, fetch: bool):
        from torchvision.datasets import CIFAR100

        return CIFAR100(self.data_dir, train=self.options.split == "train", download=fetch)


class CifarTree(FileSource):
    """CIFAR-10 as lossless files, one folder a class (the layout of fast.ai's archive)."""

    classes = tuple(CIFAR10.split())

    @staticmethod
    def folder(options: ImageOptions, data_dir: Path) -> Path:
        """Return the folder of the split."""
        return data_dir / "cifar10" / options.split

    def place(self) -> str:
        return str(self.folder(self.options, self.data_dir))

    def seen_channels(self) -> int:
        return 3

    def missing_size(self) -> tuple[int, int]:
        return 32, 32

    def listed(self) -> list[Group]:
        folder = self.folder(self.options, self.data_dir)
        entries = list_images(folder).images
        index = {name: number for number, name in enumerate(self.classes)}
        tops = [entry.name.split("/")[0] for entry in entries]
        if not entries or not set(tops) <= set(index):
            raise UserError(f"{folder} must hold one folder of images for each of {', '.join(self.classes)}: "
                            "move it away to have dataset=cifar10 downloaded.")
        return [Group(0, [(entry,) for entry in entries], np.array([index[top] for top in tops], dtype=np.int64))]


@datasets.register("cifar10", options=CifarOptions)
def cifar10(options: CifarOptions, data_dir: Path) -> Source:
    """Return CIFAR-10 in whichever layout is there, torchvision's first."""
    batches = Cifar10Batches(options, data_dir)
    if not batches.present() and CifarTree.folder(options, data_dir).is_dir():
        return CifarTree(options, data_dir)
    return batches
