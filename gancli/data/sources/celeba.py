"""CelebA, aligned faces of 178x218 (Liu 2015), in torchvision's layout celeba/img_align_celeba/*.jpg."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from gancli.data.download import download, download_note
from gancli.data.files import FileSource, Group
from gancli.data.listing import Entry, list_images
from gancli.data.options import ImageOptions
from gancli.data.spec import DataSpec
from gancli.errors import UserError, near
from gancli.registry import datasets

PAGE = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
LAST = {"train": 162770, "valid": 182637, "test": 202599}  # the last file's number in each split, as published
COUNTS = {"train": 162770, "valid": 19867, "test": 19962, "all": 202599}


@dataclass
class CelebaOptions(ImageOptions):
    """Options of dataset=celeba."""

    attribute: str | None  # one of the forty (Smiling, Male, ...) as a label of two classes; null: no labels

    SPLITS = ("train", "valid", "test", "all")


@datasets.register("celeba", options=CelebaOptions)
class Celeba(FileSource):
    """Faces; the split is told by the number in the file's name, so that the images alone are enough."""

    options: CelebaOptions

    def __init__(self, options: CelebaOptions, data_dir: Path) -> None:
        super().__init__(options, data_dir)
        self.folder = data_dir / "celeba"
        if options.attribute is not None:
            self.classes = (f"not {options.attribute}", options.attribute)

    def present(self) -> bool:
        """Whether the images, and the attributes if they are asked for, are there."""
        images = self.folder / "img_align_celeba"
        return images.is_dir() and (self.options.attribute is None or self.attributes_path.is_file())

    @property
    def attributes_path(self) -> Path:
        """The file with one line of forty +1 or -1 an image."""
        return self.folder / "list_attr_celeba.txt"

    def inspect(self) -> DataSpec:
        if self.present():
            return super().inspect()
        self.notes = [download_note(self.options.name, self.data_dir)]
        height, width = self.options.size or (218, 178)
        count = min(COUNTS[self.options.split], self.options.limit or COUNTS["all"])
        return DataSpec((self.options.channels or 3, height, width), count, self.classes)

    def missing_size(self) -> tuple[int, int]:
        return 218, 178

    def prepare(self) -> None:
        if not self.present():
            layout = "celeba/img_align_celeba/*.jpg, and celeba/list_attr_celeba.txt for labels"
            download("celeba", self.fetch, self.data_dir, layout, PAGE)

    def fetch(self) -> None:
        """Download with torchvision (all of its files)."""
        from torchvision.datasets import CelebA

        CelebA(self.data_dir, split="train", download=True)

    def place(self) -> str:
        return str(self.folder)

    def listed(self) -> list[Group]:
        entries = [entry for entry in list_images(self.folder / "img_align_celeba").images if self.in_split(entry)]
        if not entries:
            raise UserError(f"{self.folder / 'img_align_celeba'} holds no images of dataset.split={self.options.split} "
                            f"(000001.jpg and so on): fetch img_align_celeba.zip from {PAGE} and unpack it there.")
        labels = None if self.options.attribute is None else self.labels_of(entries)
        return [Group(0, [(entry,) for entry in entries], labels)]

    def in_split(self, entry: Entry) -> bool:
        """Whether the published split of the file's number is the one asked for."""
        if self.options.split == "all":
            return True
        if not entry.path.stem.isdecimal():
            return False
        number = int(entry.path.stem)
        return self.options.split == next((split for split, last in LAST.items() if number <= last), None)

    def labels_of(self, entries: list[Entry]) -> np.ndarray:
        """Return 1 where the image has the attribute, else 0, [N]."""
        try:
            return np.array([self.attribute_values[Path(entry.name).name] for entry in entries], dtype=np.int64)
        except KeyError as error:
            raise UserError(f"{self.attributes_path} has no line for {error}: delete it and run again.") from None

    @cached_property
    def attribute_values(self) -> dict[str, int]:
        """The attribute of every file, 0 or 1."""
        try:
            lines = self.attributes_path.read_text(encoding="ascii").splitlines()
            names = lines[1].split()
            if self.options.attribute not in names:
                raise UserError(f"dataset.attribute={self.options.attribute} is none of CelebA's; "
                                f"{near(self.options.attribute, names)}")
            column = 1 + names.index(self.options.attribute)
            return {(fields := line.split())[0]: int(int(fields[column]) > 0) for line in lines[2:] if line.strip()}
        except (OSError, ValueError, IndexError) as error:
            raise UserError(f"{self.attributes_path} cannot be read ({error}): delete it and run again.") from None
