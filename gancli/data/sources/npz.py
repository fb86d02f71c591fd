"""Own images as one array, .npz or .npy; pickled objects are never read.

An .npz holds `images`, and may hold `labels` with `classes` (their names), and `attributes` with `attribute_names`.
"""

import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from gancli.data.listing import find_path
from gancli.data.options import MIN_SIDE, HoldoutOptions
from gancli.data.sizes import UNREADABLE, check_arrays
from gancli.data.source import ArraySource, Native, Stamp
from gancli.errors import UserError
from gancli.registry import datasets

MOST_CLASSES = 10_000


@dataclass
class NpzOptions(HoldoutOptions):
    """Options of dataset=npz."""

    path: str | None  # the .npz or .npy file; looked for from where the command was typed, then under data_dir


@datasets.register("npz", options=NpzOptions)
class Npz(ArraySource):
    """uint8, or float in [0, 1] or [-1, 1]; [N, H, W], [N, H, W, C] or [N, C, H, W]."""

    options: NpzOptions

    def __init__(self, options: NpzOptions, data_dir: Path) -> None:
        super().__init__(options, data_dir)
        self.path = find_path("dataset.path", options.path, data_dir, "file")
        if not self.path.is_file():
            raise UserError(f"dataset.path={options.path} is a folder: give an .npz or .npy file, or use "
                            "dataset=folder.")
        check_arrays(self.path)
        self.shape, self.dtype = self.image_header()

    def image_header(self) -> tuple[tuple[int, ...], np.dtype]:
        """Return shape and type of the images from the file's header; a UserError if they cannot be images."""
        try:
            with self.open_images() as file:
                version = np.lib.format.read_magic(file)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, _, dtype = read(file)
        except UNREADABLE as error:
            raise UserError(f"{self.path} cannot be read as .npz or .npy ({error}): "
                            "write it with numpy.savez.") from None
        if dtype.hasobject or dtype.kind not in "uifb":
            raise UserError(f"{self.path} holds images of type {dtype}: convert them to uint8, "
                            "or float in [0, 1] or [-1, 1].")
        if layout(shape) is None or min(shape) == 0:
            raise UserError(f"{self.path} holds an array of shape {list(shape)}: images must be [N,H,W], "
                            f"[N,H,W,C] or [N,C,H,W] with 1 to 4 channels and sides of at least {MIN_SIDE}.")
        return shape, dtype

    def open_images(self):
        """Return the open .npy stream of the images."""
        if self.path.suffix == ".npy":
            return open(self.path, "rb")
        archive = zipfile.ZipFile(self.path)
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        if "images" not in names:
            raise UserError(f"{self.path} has no array called images; there is "
                            f"{', '.join(sorted(names)[:10]) or 'none'}: "
                            "write numpy.savez(file, images=..., labels=...).")
        return archive.open("images.npy")

    def native(self) -> Native:
        order = layout(self.shape)
        sides = [self.shape[axis] for axis in order[:2]]
        classes = self.labels[1] if self.labels is not None else ()
        names = self.binary[1] if self.binary is not None else ()
        return Native(self.shape[0], *sides, 1 if len(order) == 2 else self.shape[order[2]], classes, names)

    @cached_property
    def labels(self) -> tuple[np.ndarray, tuple[str, ...]] | None:
        """The labels [N] int64 with their names, or None."""
        if self.path.suffix == ".npy":
            return None
        try:
            with np.load(self.path, allow_pickle=False) as file:
                if "labels" not in file:
                    return None
                labels = file["labels"]
                names = [str(name) for name in file["classes"]] if "classes" in file else None
        except UNREADABLE as error:
            raise UserError(f"The labels in {self.path} cannot be read ({error}): "
                            "write them as whole numbers or text.") from None
        if labels.shape != self.shape[:1]:
            raise UserError(f"{self.path} has {self.shape[0]} images but labels of shape {list(labels.shape)}: "
                            "give one each.")
        if labels.dtype.kind in "US":
            found, numbers = np.unique(labels, return_inverse=True)
            return numbers.astype(np.int64), tuple(str(name) for name in found)
        if labels.dtype.kind not in "uib" or labels.min() < 0 or labels.max() >= MOST_CLASSES:
            raise UserError(f"{self.path} has labels of type {labels.dtype} from {labels.min()} to {labels.max()}: "
                            "they must be whole numbers from 0, or text.")
        top = int(labels.max())
        if names is not None and len(names) <= top:
            raise UserError(f"{self.path} names {len(names)} classes but has the label {top}: name them all.")
        return labels.astype(np.int64), tuple(names or (str(number) for number in range(top + 1)))

    @cached_property
    def binary(self) -> tuple[np.ndarray, tuple[str, ...]] | None:
        """The attributes [N, A] in {0, 1} with their names, or None."""
        if self.path.suffix == ".npy":
            return None
        try:
            with np.load(self.path, allow_pickle=False) as file:
                if "attributes" not in file:
                    return None
                values = file["attributes"]
                names = [str(name) for name in file["attribute_names"]] if "attribute_names" in file else None
        except UNREADABLE as error:
            raise UserError(f"The attributes in {self.path} cannot be read ({error}): write them as 0 and 1.") from None
        if values.ndim != 2 or len(values) != self.shape[0] or not values.shape[1]:
            raise UserError(f"{self.path} has {self.shape[0]} images but attributes of shape {list(values.shape)}: give "
                            "one row an image, one column an attribute.")
        if values.dtype.kind not in "uifb" or not np.isin(values, (0, 1)).all():
            raise UserError(f"{self.path} has attributes of type {values.dtype} that are not all 0 or 1: write them so.")
        names = [str(number) for number in range(values.shape[1])] if names is None else names
        if len(names) != values.shape[1] or len(set(names)) != len(names):
            raise UserError(f"{self.path} has {values.shape[1]} attributes and the names {', '.join(names) or 'none'}: "
                            "name each of them, no two alike.")
        return values.astype(np.uint8), tuple(names)

    def attributes(self) -> np.ndarray | None:
        return None if self.binary is None else self.binary[0]

    def stamps(self) -> list[Stamp]:
        return [Stamp.of(self.path)]

    def place(self) -> str:
        return str(self.path)

    def arrays(self) -> tuple[np.ndarray, np.ndarray | None]:
        try:
            if self.path.suffix == ".npy":
                images = np.load(self.path, mmap_mode="r", allow_pickle=False)
            else:
                with np.load(self.path, allow_pickle=False) as file:
                    images = file["images"]
        except UNREADABLE as error:
            raise UserError(f"{self.path} is damaged ({error}): write it again.") from None
        order = layout(images.shape)
        if len(order) == 3:
            images = images.transpose(0, *order)
        else:
            images = images[..., None]
        return to_bytes(images, self.path), None if self.labels is None else self.labels[0]


def layout(shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the axes of (height, width[, channels]) in a batch of images, or None if it is none."""
    if len(shape) == 3 and min(shape[1:]) >= MIN_SIDE:
        return 1, 2
    if len(shape) == 4 and 1 <= shape[3] <= 4 and min(shape[1:3]) >= MIN_SIDE:
        return 1, 2, 3
    if len(shape) == 4 and 1 <= shape[1] <= 4 and min(shape[2:]) >= MIN_SIDE:
        return 2, 3, 1
    return None


def to_bytes(images: np.ndarray, path: Path) -> np.ndarray:
    """Return uint8 of the same shape; the range decides what floats and wide integers mean."""
    if images.dtype == np.uint8:
        return images
    if images.dtype == bool:
        return images.astype(np.uint8) * 255
    low, high = images.min(), images.max()
    if images.dtype.kind in "ui":
        if low >= 0 and high <= 255:
            return images.astype(np.uint8)
        if images.dtype == np.uint16:
            return (images >> 8).astype(np.uint8)
    elif low >= -1.001 and high <= 1.001:  # false for NaN
        scaled = images * np.float32(255) if low >= 0 else (images + np.float32(1)) * np.float32(127.5)
        return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    raise UserError(f"{path} holds {images.dtype} from {low:g} to {high:g}: convert the images to uint8, or to float "
                    "in [0, 1] or [-1, 1].")
