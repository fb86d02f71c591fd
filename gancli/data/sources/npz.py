"""Own images as one array, .npz or .npy; pickled objects are never read.

An .npz holds `images`, and may hold `labels` with `classes` (their names), and `attributes` with `attribute_names`; or
arrays of other names, which dataset.images= and dataset.labels= name, or which are parts (x_train beside x_test).
"""

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from gancli.data.listing import find_path, list_names
from gancli.data.mapped import checksum, lying
from gancli.data.named_arrays import IMAGES, Pair, find_parts, labels_beside
from gancli.data.options import MIN_SIDE, NO_PART, HoldoutOptions
from gancli.data.sizes import UNREADABLE, check_arrays
from gancli.data.source import ArraySource, InPlace, Native, Stamp
from gancli.data.spec import DataSpec
from gancli.data.splits import told
from gancli.errors import UserError, near
from gancli.registry import datasets

MOST_CLASSES = 10_000


@dataclass
class NpzOptions(HoldoutOptions):
    """Options of dataset=npz."""

    path: str | None  # the .npz or .npy file; looked for from where the command was typed, then under data_dir
    images: str | None = field(default=None, kw_only=True)  # an array's name; None: `images`, parts, or the only one
    labels: str = field(default="auto", kw_only=True)  # an array's name; none; auto: the one that belongs to the images

    SPLITS = ("train", "val", "test", "all")
    PARTS = True


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
        check_arrays(self.path, mapped=True)
        self.names = [] if self.path.suffix == ".npy" else self.read_names()
        self.parts = self.find_parts()  # all, whichever are asked for
        self.chosen = self.choose_parts()
        shapes = {part: self.image_shape(pair.images) for part, pair in self.parts.items()}
        self.counts_by_part = {part: shape[0] for part, shape in shapes.items()}
        if len({shapes[part][1:] for part in self.chosen}) > 1:
            raise UserError(f"{self.path} holds parts of other shapes ({', '.join(str(list(s)) for s in shapes.values())}): "
                            f"give dataset.split={self.chosen[0]}.")
        self.shape = (sum(self.counts_by_part[part] for part in self.chosen), *shapes[self.chosen[0]][1:])
        if self.is_split:
            classes = len(self.labels[1]) if self.labels is not None else 0
            self.notes.append(f"Arrays of {self.path.name}: {told(self.counts_by_part, self.chosen, classes)}.")

    @property
    def is_split(self) -> bool:
        """Whether the arrays are parts."""
        return "" not in self.parts

    def find_parts(self) -> dict[str, Pair]:
        """Return the arrays of each part; of "" where there are no parts."""
        if self.path.suffix == ".npy":
            if self.options.images is not None:
                raise UserError(f"{self.path} is one array without a name: leave dataset.images= out.")
            return {"": Pair("", None)}
        images = self.options.images
        if images is None and IMAGES not in self.names:
            if parts := find_parts(self.names):
                return {part: replace(pair, labels=self.labels_of(pair.labels)) for part, pair in parts.items()}
            images = self.only_images()
        images = IMAGES if images is None else images
        if images not in self.names:
            raise UserError(f"dataset.images={images} is no array of {self.path}; {near(images, self.names)}")
        return {"": Pair(images, self.labels_of(labels_beside(images, self.names)))}

    def labels_of(self, found: str | None) -> str | None:
        """Return the array of labels: the one that was found beside the images, or the one that dataset.labels= names."""
        wanted = self.options.labels
        if wanted in ("auto", "none"):
            return found if wanted == "auto" else None
        if wanted not in self.names:
            raise UserError(f"dataset.labels={wanted} is no array of {self.path}; {near(wanted, self.names)}")
        return wanted

    def only_images(self) -> str:
        """Return the only array that can be images, and say so; a UserError where there is none or several."""
        able = [name for name in self.names if layout(self.header(name)[0]) is not None]
        if len(able) != 1:
            what = f"several arrays that could be images ({list_names(able)})" if able else (
                f"no array called images; there is {list_names(self.names, 10) or 'none'}")
            raise UserError(f"{self.path} has {what}: give dataset.images=NAME, or write numpy.savez(file, images=..., "
                            "labels=...).")
        self.notes.append(f"The images are the array {able[0]} of {self.path.name}, the only one of such a shape.")
        return able[0]

    def choose_parts(self) -> list[str]:
        """Return the parts that dataset.split= means."""
        split = self.options.split
        if not self.is_split:
            if split == "val":
                raise UserError(f"dataset.split=val needs arrays of that name beside train in {self.path} (x_train, x_val): "
                                "give dataset.split=test and dataset.holdout=0.1 to draw a part.")
            if split == "test" and not self.options.holdout:
                raise UserError(f"{NO_PART}.")
            return [""]
        chosen = list(self.parts) if split == "all" else [split] if split in self.parts else []
        if split == "test" and not chosen and "val" in self.parts:
            chosen = ["val"]
        if not chosen:
            raise UserError(f"{self.path} has no arrays for dataset.split={split}, but for {', '.join(self.parts)}: give one "
                            "of these.")
        return chosen

    def read_names(self) -> list[str]:
        """Return the names of the arrays."""
        with zipfile.ZipFile(self.path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]

    def header(self, name: str) -> tuple[tuple[int, ...], np.dtype]:
        """Return shape and type of an array from its header; a UserError where it cannot be read."""
        try:
            with self.open_array(name) as file:
                version = np.lib.format.read_magic(file)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, _, dtype = read(file)
        except UNREADABLE as error:
            raise UserError(f"{self.path} cannot be read as .npz or .npy ({error}): "
                            "write it with numpy.savez.") from None
        return shape, dtype

    def image_shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of an array of images; a UserError if it cannot be one."""
        shape, dtype = self.header(name)
        if dtype.hasobject or dtype.kind not in "uifb":
            raise UserError(f"{self.path} holds images of type {dtype}: convert them to uint8, "
                            "or float in [0, 1] or [-1, 1].")
        if layout(shape) is None or min(shape) == 0:
            raise UserError(f"{self.path} holds an array of shape {list(shape)}: images must be [N,H,W], "
                            f"[N,H,W,C] or [N,C,H,W] with 1 to 4 channels and sides of at least {MIN_SIDE}.")
        return shape

    def open_array(self, name: str):
        """Return the open .npy stream of an array."""
        if self.path.suffix == ".npy":
            return open(self.path, "rb")
        return zipfile.ZipFile(self.path).open(f"{name}.npy")

    def select(self, names):
        return self.evenly(len(names)) if self.is_split else super().select(names)

    def look(self) -> DataSpec:
        if self.is_split and self.options.holdout:
            note = (f"dataset.holdout={self.options.holdout:g} is not used: the arrays are parts already "
                    f"({', '.join(self.parts)}).")
            self.notes += [] if note in self.notes else [note]
        return super().look()

    def native(self) -> Native:
        order = layout(self.shape)
        sides = [self.shape[axis] for axis in order[:2]]
        classes = self.labels[1] if self.labels is not None else ()
        names = self.binary[1] if self.binary is not None else ()
        return Native(self.shape[0], *sides, 1 if len(order) == 2 else self.shape[order[2]], classes, names)

    @cached_property
    def labels(self) -> tuple[np.ndarray, tuple[str, ...]] | None:
        """The labels [N] int64 of the chosen parts with the names of all parts' classes, or None."""
        if any(pair.labels is None for pair in self.parts.values()):
            return None
        try:
            with np.load(self.path, allow_pickle=False) as file:
                by_part = {part: file[pair.labels] for part, pair in self.parts.items()}
                names = [str(name) for name in file["classes"]] if "classes" in file else None
        except UNREADABLE as error:
            raise UserError(f"The labels in {self.path} cannot be read ({error}): "
                            "write them as whole numbers or text.") from None
        by_part = {part: labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
                   for part, labels in by_part.items()}
        for part, labels in by_part.items():
            if labels.shape != (self.counts_by_part[part],):
                raise UserError(f"{self.path} has {self.counts_by_part[part]} images but labels of shape "
                                f"{list(labels.shape)}: give one each.")
        chosen = np.concatenate([by_part[part] for part in self.chosen])
        labels = np.concatenate(list(by_part.values()))
        if labels.dtype.kind in "US":
            found = np.unique(labels)
            return np.searchsorted(found, chosen).astype(np.int64), tuple(str(name) for name in found)
        if labels.dtype.kind not in "uib" or labels.min() < 0 or labels.max() >= MOST_CLASSES:
            raise UserError(f"{self.path} has labels of type {labels.dtype} from {labels.min()} to {labels.max()}: "
                            "they must be whole numbers from 0, or text.")
        top = int(labels.max())
        if names is not None and len(names) <= top:
            raise UserError(f"{self.path} names {len(names)} classes but has the label {top}: name them all.")
        return chosen.astype(np.int64), tuple(names or (str(number) for number in range(top + 1)))

    @cached_property
    def binary(self) -> tuple[np.ndarray, tuple[str, ...]] | None:
        """The attributes [N, A] in {0, 1} with their names, or None."""
        if self.path.suffix == ".npy" or self.is_split:
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

    def arrays(self) -> "tuple[Rows, np.ndarray | None]":
        parts = [self.read_images(self.parts[part].images) for part in self.chosen]
        return Rows(parts, self.path), None if self.labels is None else self.labels[0]

    def read_images(self, name: str) -> np.ndarray:
        """Return an array [N, h, w, c] of its own type, mapped unless it is compressed."""
        try:
            where = lying(self.path, name)
            if where is None:
                with np.load(self.path, allow_pickle=False) as file:
                    images = file[name]
            else:
                where.check()
                images = where.array()
        except UNREADABLE as error:
            raise UserError(f"{self.path} is damaged ({error}): write it again.") from None
        return in_order(images)

    def in_place(self) -> InPlace | None:
        native, options = self.native(), self.options
        spec = self.look()
        if (len(self.chosen) > 1 or spec.shape != (native.channels, native.height, native.width)
                or options.size not in (None, spec.shape[1:]) or spec.count != native.count):
            return None
        try:
            where = lying(self.path, self.parts[self.chosen[0]].images)
        except UNREADABLE as error:
            raise UserError(f"{self.path} is damaged ({error}): write it again.") from None
        if where is None or where.dtype != np.uint8 or not where.by_rows:
            return None
        order = layout(where.shape)
        axes = (0, *order) if len(order) == 3 else (0, 1, 2)
        return InPlace(self.path, in_order(where.array()), partial(checksum, where, axes),
                       None if self.labels is None else self.labels[0], self.attributes())


class Rows:
    """Arrays of images one after the other as uint8 [N, h, w, c], which are converted as they are taken."""

    def __init__(self, arrays: Sequence[np.ndarray], path: Path) -> None:
        self.arrays, self.converted = arrays, [conversion(array, path) for array in arrays]
        self.ends = np.cumsum([len(array) for array in arrays])

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Return the images at rising rows."""
        begins = np.searchsorted(rows, [0, *self.ends])
        pieces = [convert(array[rows[begin:end] + len(array) - last]) for array, convert, begin, end, last in
                  zip(self.arrays, self.converted, begins, begins[1:], self.ends, strict=False) if end > begin]
        return np.concatenate(pieces)


def in_order(images: np.ndarray) -> np.ndarray:
    """Return images as [N, h, w, c], without a copy."""
    order = layout(images.shape)
    return images.transpose(0, *order) if len(order) == 3 else images[..., None]


def layout(shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the axes of (height, width[, channels]) in a batch of images, or None if it is none."""
    if len(shape) == 3 and min(shape[1:]) >= MIN_SIDE:
        return 1, 2
    if len(shape) == 4 and 1 <= shape[3] <= 4 and min(shape[1:3]) >= MIN_SIDE:
        return 1, 2, 3
    if len(shape) == 4 and 1 <= shape[1] <= 4 and min(shape[2:]) >= MIN_SIDE:
        return 2, 3, 1
    return None


def conversion(images: np.ndarray, path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Return what makes uint8 of any of the images; their range decides what floats and wide integers mean."""
    if images.dtype == np.uint8:
        return lambda rows: rows
    if images.dtype == bool:
        return lambda rows: rows.astype(np.uint8) * 255
    low, high = images.min(), images.max()
    if images.dtype.kind in "ui":
        if low >= 0 and high <= 255:
            return lambda rows: rows.astype(np.uint8)
        if images.dtype == np.uint16:
            return lambda rows: (rows >> 8).astype(np.uint8)
    elif low >= -1.001 and high <= 1.001:  # false for NaN
        factor, shift = (np.float32(255), np.float32(0)) if low >= 0 else (np.float32(127.5), np.float32(1))
        return lambda rows: np.clip(np.rint((rows + shift) * factor), 0, 255).astype(np.uint8)
    raise UserError(f"{path} holds {images.dtype} from {low:g} to {high:g}: convert the images to uint8, or to float "
                    "in [0, 1] or [-1, 1].")
