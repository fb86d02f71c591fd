"""The sets in MNIST's file format: mnist, fashion_mnist, kmnist, emnist, in torchvision's layout NAME/raw/*-ubyte."""

import gzip
import math
import string
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from gancli.data.download import download, download_note, wait_for_download
from gancli.data.options import ImageOptions
from gancli.data.sizes import UNREADABLE, check_memory
from gancli.data.source import ArraySource, Native, Stamp
from gancli.errors import UserError, check_choice
from gancli.registry import datasets

MOST_PACKED = 1100  # values a byte: deflate packs no better
LETTERS_MERGED = set("cijklmopsuvwxyz")  # whose two cases EMNIST's bymerge and balanced do not tell apart
EMNIST_CLASSES = {
    "byclass": string.digits + string.ascii_uppercase + string.ascii_lowercase,
    "bymerge": "".join(c for c in string.digits + string.ascii_uppercase + string.ascii_lowercase
                       if c not in LETTERS_MERGED),
    "letters": string.ascii_lowercase,
    "digits": string.digits,
    "mnist": string.digits,
}
EMNIST_CLASSES["balanced"] = EMNIST_CLASSES["bymerge"]
EMNIST_COUNTS = {  # train, test
    "byclass": (697932, 116323), "bymerge": (697932, 116323), "balanced": (112800, 18800),
    "letters": (124800, 20800), "digits": (240000, 40000), "mnist": (60000, 10000),
}


@dataclass
class IdxOptions(ImageOptions):
    """Options of mnist, fashion_mnist and kmnist."""


@dataclass
class EmnistOptions(ImageOptions):
    """Options of emnist."""

    subset: str  # one of EMNIST_CLASSES

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("dataset.subset", self.subset, EMNIST_CLASSES)


class IdxSource(ArraySource):
    """Gray 28x28 images with labels in two idx files (or .gz of them)."""

    folder: ClassVar[str]  # torchvision's class, which is its folder as well
    page: ClassVar[str]
    download_bytes: ClassVar[int]  # of all its files, as published
    classes: tuple[str, ...] = tuple(string.digits)

    def count(self) -> int:
        """Return the published number of examples, for a set that is not here yet."""
        return 60000 if self.options.split == "train" else 10000

    def file_names(self) -> tuple[str, str]:
        """Return the names of the images' and the labels' file."""
        part = "train" if self.options.split == "train" else "t10k"
        return f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"

    def paths(self) -> list[Path] | None:
        """Return the two files, or None if one is not there."""
        raw = self.data_dir / self.folder / "raw"
        found = [next((path for path in (raw / name, raw / f"{name}.gz") if path.is_file()), None)
                 for name in self.file_names()]
        return None if None in found else found

    def native(self) -> Native:
        wait_for_download(self.options.name, self.data_dir)
        paths = self.paths()
        if paths is None:
            self.absent = download_note(self.options.name, self.data_dir, self.download_bytes)
            return Native(self.count(), 28, 28, 1, self.classes)
        count, height, width = read_header(paths[0], 3)
        return Native(count, height, width, 1, self.classes)

    def present(self) -> bool:
        return self.paths() is not None

    def prepare(self) -> None:
        if self.paths() is None:
            layout = f"{self.folder}/raw/{self.file_names()[0]}[.gz]"
            download(self.options.name, self.fetch, self.data_dir, layout, self.page, self.download_bytes,
                     lambda: self.paths() is not None)
            self.absent = ""

    def fetch(self) -> None:
        """Download with torchvision."""
        from torchvision import datasets as torchvision_sets

        getattr(torchvision_sets, self.folder)(self.data_dir, download=True)

    def stamps(self) -> list[Stamp]:
        return [Stamp.of(path) for path in self.paths()]

    def place(self) -> str:
        return str(self.data_dir)

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        images, labels = (read_idx(path, dimensions) for path, dimensions in zip(self.paths(), (3, 1), strict=True))
        if len(images) != len(labels):
            raise UserError(f"{self.paths()[0]} holds {len(images)} images but its labels' file {len(labels)}: "
                            "delete both and run again.")
        if len(labels) and labels.max() >= len(self.classes):
            raise UserError(f"{self.paths()[1]} holds the label {labels.max()}, above {len(self.classes) - 1}: "
                            "delete it and run again.")
        return images[..., None], labels


def read_header(path: Path, dimensions: int) -> tuple[int, ...]:
    """Return the sides of the array of bytes in an idx file; a UserError if the file is no such thing or cut short."""
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            magic, *sides = struct.unpack(f">{1 + dimensions}I", file.read(4 + 4 * dimensions))
    except UNREADABLE as error:
        raise damaged(path, str(error)) from None
    size = path.stat().st_size
    if magic != 0x800 + dimensions:
        raise damaged(path, f"it does not start as an idx file of {dimensions} dimensions")
    if path.suffix != ".gz" and size != 4 + 4 * dimensions + math.prod(sides):
        raise damaged(path, f"it has {size} bytes for {'x'.join(map(str, sides))} values")
    if 0 in sides:
        raise damaged(path, "it holds nothing")
    if path.suffix == ".gz" and math.prod(sides) > MOST_PACKED * size:
        raise damaged(path, f"{size} packed bytes cannot hold {'x'.join(map(str, sides))} values")
    check_memory(path, math.prod(sides))
    return tuple(sides)


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """Return the array of bytes in an idx file."""
    sides = read_header(path, dimensions)
    length = 4 + 4 * dimensions + math.prod(sides)
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            content = file.read(length + 1)  # a packed file may go on and on
        if len(content) != length:
            raise damaged(path, f"it does not hold {'x'.join(map(str, sides))} values")
        return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(sides)
    except UNREADABLE as error:
        raise damaged(path, str(error)) from None


def damaged(path: Path, reason: str) -> UserError:
    """Return the error for a file that cannot be read."""
    return UserError(f"{path} is damaged ({reason}): delete it and run again to download it.")


@datasets.register("mnist", options=IdxOptions)
class Mnist(IdxSource):
    """Handwritten digits (LeCun 1998)."""

    folder = "MNIST"
    page = "https://ossci-datasets.s3.amazonaws.com/mnist/"
    download_bytes = 11_594_722


@datasets.register("fashion_mnist", options=IdxOptions)
class FashionMnist(IdxSource):
    """Clothes (Xiao 2017)."""

    folder = "FashionMNIST"
    page = "https://github.com/zalandoresearch/fashion-mnist"
    download_bytes = 30_878_645
    classes = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


@datasets.register("kmnist", options=IdxOptions)
class Kmnist(IdxSource):
    """Cursive Japanese characters (Clanuwat 2018)."""

    folder = "KMNIST"
    page = "https://github.com/rois-codh/kmnist"
    download_bytes = 21_240_888
    classes = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")


@datasets.register("emnist", options=EmnistOptions)
class Emnist(IdxSource):
    """Handwritten letters and digits (Cohen 2017); the files hold them transposed, here they stand upright."""

    folder = "EMNIST"
    page = "https://www.nist.gov/itl/products-and-services/emnist-dataset"
    download_bytes = 561_753_746

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(EMNIST_CLASSES[self.options.subset])

    def count(self) -> int:
        return EMNIST_COUNTS[self.options.subset][self.options.split == "test"]

    def file_names(self) -> tuple[str, str]:
        prefix = f"emnist-{self.options.subset}-{self.options.split}"
        return f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"

    def fetch(self) -> None:
        from torchvision.datasets import EMNIST

        EMNIST(self.data_dir, split=self.options.subset, download=True)

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        images, labels = (read_idx(path, dimensions) for path, dimensions in zip(self.paths(), (3, 1), strict=True))
        if self.options.subset == "letters":
            labels = labels - 1  # the file counts the letters from 1
        return images.transpose(0, 2, 1)[..., None], labels
