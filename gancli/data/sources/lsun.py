"""LSUN, scenes (Yu 2015), in torchvision's layout CATEGORY_train_lmdb; read with the optional package lmdb."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from gancli.data.decode import BrokenImage, Frame, decode_image, decode_many
from gancli.data.options import BROKEN, ImageOptions
from gancli.data.source import Block, Source, Stamp
from gancli.data.spec import DataSpec
from gancli.errors import UserError, check_choice
from gancli.registry import datasets

CATEGORIES = ("bedroom", "bridge", "church_outdoor", "classroom", "conference_room", "dining_room", "kitchen",
              "living_room", "restaurant", "tower")


@dataclass
class LsunOptions(ImageOptions):
    """Options of dataset=lsun."""

    categories: list[str]  # some of CATEGORIES; labels where there are several
    broken: str  # one of BROKEN: images that cannot be decoded

    SPLITS = ("train", "val")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("dataset.broken", self.broken, BROKEN)
        if not self.categories:
            raise ValueError("dataset.categories is empty: give dataset.categories=[bedroom]")
        for category in self.categories:
            check_choice("dataset.categories", category, CATEGORIES)
        if self.size is None:
            raise ValueError("dataset.size has no value and the images differ in size: give dataset.size=64")


@datasets.register("lsun", options=LsunOptions)
class Lsun(Source):
    """One or more categories of scenes."""

    slow = True
    options: LsunOptions

    def __init__(self, options: LsunOptions, data_dir: Path) -> None:
        super().__init__(options, data_dir)
        self.folders = [data_dir / f"{category}_{options.split}_lmdb" for category in options.categories]
        for folder in self.folders:
            if not (folder / "data.mdb").is_file():
                raise UserError(f"dataset=lsun is not in {data_dir} (looked for {folder.name}/data.mdb), and "
                                "torchvision cannot download it: fetch it from https://github.com/fyu/lsun and unpack "
                                "it there, or say where it lies with data_dir=FOLDER or GAN_DATA.")

    @cached_property
    def databases(self) -> list:
        """The open LMDB environments, read only."""
        try:
            import lmdb
        except ImportError:
            raise UserError("dataset=lsun is read with the package lmdb, which is not installed: "
                            "pip install lmdb") from None
        try:
            return [lmdb.open(str(folder), readonly=True, lock=False, readahead=False, meminit=False)
                    for folder in self.folders]
        except lmdb.Error as error:
            raise UserError(f"{self.data_dir} holds an LSUN database that cannot be read ({error}): "
                            "unpack it again.") from None

    @cached_property
    def sizes(self) -> list[int]:
        """The number of images in each category."""
        return [database.stat()["entries"] for database in self.databases]

    def look(self) -> DataSpec:
        height, width = self.options.size
        classes = tuple(self.options.categories) if len(self.options.categories) > 1 else ()
        count = min(sum(self.sizes), self.options.limit or sum(self.sizes))
        if count == 0:
            raise UserError(f"The LSUN databases in {self.data_dir} are empty: unpack them again.")
        return DataSpec((self.options.channels or 3, height, width), count, classes)

    def stamps(self) -> list[Stamp]:
        return [Stamp.of(folder / "data.mdb") for folder in self.folders]

    def place(self) -> str:
        return str(self.data_dir)

    def keys(self) -> list[tuple[int, bytes]]:
        """Return (category, key) of every image that the options keep."""
        found = []
        for number, database in enumerate(self.databases):
            with database.begin(write=False) as transaction:
                found += [(number, key) for key in transaction.cursor().iternext(keys=True, values=False)]
        return [found[row] for row in self.evenly(len(found))]

    def blocks(self) -> Iterator[Block]:
        spec = self.look()
        frame = Frame.of(self.options, spec.shape)
        self.skipped = []
        keys = self.keys()
        start = 0
        for results in decode_many(keys, lambda item: (self.decode(item, frame),)):
            part = keys[start:start + len(results)]
            start += len(results)
            kept = []
            for (number, key), result in zip(part, results, strict=True):
                if not isinstance(result, BrokenImage):
                    kept.append((result[0], number))
                elif self.options.broken == "skip":
                    self.skipped.append(f"{key.decode('ascii', 'replace')} ({result})")
                else:
                    raise UserError(f"{self.folders[number]} holds the image {key!r} that cannot be decoded "
                                    f"({result}): give dataset.broken=skip.")
            if kept:
                labels = np.array([number for _, number in kept], dtype=np.int64) if spec.classes else None
                yield Block(0, np.stack([image for image, _ in kept]), labels)

    def decode(self, item: tuple[int, bytes], frame: Frame) -> np.ndarray:
        """Return one image as uint8 [H, W, C]."""
        number, key = item
        with self.databases[number].begin(write=False) as transaction:
            return decode_image(io.BytesIO(transaction.get(key)), frame)
