"""CelebA, aligned faces of 178x218 (Liu 2015), in torchvision's layout celeba/img_align_celeba/*.jpg."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from gancli.data.download import download, download_note, wait_for_download
from gancli.data.files import FileSource, Group
from gancli.data.listing import Entry, list_images
from gancli.data.options import ImageOptions
from gancli.data.source import Stamp
from gancli.data.spec import DataSpec
from gancli.errors import UserError, near
from gancli.registry import datasets

PAGE = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
LAST = {"train": 162770, "valid": 182637, "test": 202599}  # the last file's number in each split, as published
ATTRIBUTES = """5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair Blond_Hair
Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair Heavy_Makeup High_Cheekbones Male
Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks Sideburns
Smiling Straight_Hair Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace Wearing_Necktie Young""".split()
DOWNLOAD_BYTES = 1_484_000_000  # images 1,443,490,838, the rest lists of attributes, parts, boxes and landmarks
COUNTS = {"train": 162770, "valid": 19867, "test": 19962, "all": 202599}


@dataclass
class CelebaOptions(ImageOptions):
    """Options of dataset=celeba."""

    attribute: str | None  # one of the forty (Smiling, Male, ...) as a label of two classes; null: no labels
    attributes: list[str] | None = field(default=None, kw_only=True)  # some of the forty as several binary labels

    SPLITS = ("train", "valid", "test", "all")

    def __post_init__(self) -> None:
        super().__post_init__()
        for number, name in enumerate(self.attributes or ()):
            if name in self.attributes[:number]:
                raise ValueError(f"dataset.attributes names {name} twice: leave one out")
        if self.attributes == []:
            raise ValueError("dataset.attributes is empty: give dataset.attributes=[Smiling], or null for none")

    @property
    def asked(self) -> list[str]:
        """The attributes that are read: the label's, if there is one, before the others."""
        return [*([] if self.attribute is None else [self.attribute]), *(self.attributes or ())]


@datasets.register("celeba", options=CelebaOptions)
class Celeba(FileSource):
    """Faces; the split is told by the number in the file's name, so that the images alone are enough."""

    options: CelebaOptions

    def __init__(self, options: CelebaOptions, data_dir: Path) -> None:
        super().__init__(options, data_dir)
        self.folder = data_dir / "celeba"
        if options.attribute is not None:
            self.classes = (f"not {options.attribute}", options.attribute)
        self.attributes = tuple(options.attributes or ())

    def present(self) -> bool:
        """Whether the images, and the attributes if they are asked for, are there."""
        images = self.folder / "img_align_celeba"
        return images.is_dir() and (not self.options.asked or self.attributes_path.is_file())

    @property
    def attributes_path(self) -> Path:
        """The file with one line of forty +1 or -1 an image."""
        return self.folder / "list_attr_celeba.txt"

    def look(self) -> DataSpec:
        wait_for_download("celeba", self.data_dir)
        if self.present():
            return super().look()
        self.check_names(ATTRIBUTES)
        self.absent = download_note(self.options.name, self.data_dir, DOWNLOAD_BYTES)
        height, width = self.options.size or (218, 178)
        count = min(COUNTS[self.options.split], self.options.limit or COUNTS["all"])
        return DataSpec((self.options.channels or 3, height, width), count, self.classes, attributes=self.attributes)

    def missing_size(self) -> tuple[int, int]:
        return 218, 178

    def prepare(self) -> None:
        if not self.present():
            layout = "celeba/img_align_celeba/*.jpg, and celeba/list_attr_celeba.txt for labels"
            download("celeba", self.fetch, self.data_dir, layout, PAGE, DOWNLOAD_BYTES, self.present)
            self.absent = ""

    def fetch(self) -> None:
        """Download with torchvision (all of its files)."""
        from torchvision.datasets import CelebA

        CelebA(self.data_dir, split="train", download=True)

    def stamps(self) -> list[Stamp]:
        return [*super().stamps(), *([Stamp.of(self.attributes_path)] if self.attributes else [])]

    def place(self) -> str:
        return str(self.folder)

    def listed(self) -> list[Group]:
        entries = [entry for entry in list_images(self.folder / "img_align_celeba").images if self.in_split(entry)]
        if not entries:
            raise UserError(f"{self.folder / 'img_align_celeba'} holds no images of dataset.split={self.options.split} "
                            f"(000001.jpg and so on): fetch img_align_celeba.zip from {PAGE} and unpack it there.")
        values = self.values_of(entries)
        has_label = self.options.attribute is not None
        return [Group(0, [(entry,) for entry in entries], values[:, 0].astype(np.int64) if has_label else None,
                      values[:, int(has_label):] if self.attributes else None)]

    def in_split(self, entry: Entry) -> bool:
        """Whether the published split of the file's number is the one asked for."""
        if self.options.split == "all":
            return True
        if not entry.path.stem.isdecimal():
            return False
        number = int(entry.path.stem)
        return self.options.split == next((split for split, last in LAST.items() if number <= last), None)

    def check_names(self, known: Sequence[str]) -> None:
        """Refuse an attribute that there is not."""
        for name in self.options.asked:
            if name not in known:
                key = "attribute" if name == self.options.attribute else "attributes"
                raise UserError(f"dataset.{key}={name} is none of CelebA's; {near(name, known)}")

    def values_of(self, entries: list[Entry]) -> np.ndarray:
        """Return 1 where the image has an attribute that is asked for, else 0, uint8 [N, asked]."""
        if not self.options.asked:
            return np.empty((len(entries), 0), np.uint8)
        try:
            return np.array([self.annotations[Path(entry.name).name] for entry in entries], dtype=np.uint8)
        except KeyError as error:
            raise UserError(f"{self.attributes_path} has no line for {error}: delete it and run again.") from None

    @cached_property
    def annotations(self) -> dict[str, list[int]]:
        """The attributes of every file that are asked for, each 0 or 1."""
        try:
            lines = self.attributes_path.read_text(encoding="ascii").splitlines()
            names = lines[1].split()
            self.check_names(names)
            columns = [1 + names.index(name) for name in self.options.asked]
            rows = (line.split() for line in lines[2:] if line.strip())
            return {fields[0]: [int(int(fields[column]) > 0) for column in columns] for fields in rows}
        except (OSError, ValueError, IndexError) as error:
            raise UserError(f"{self.attributes_path} cannot be read ({error}): delete it and run again.") from None
