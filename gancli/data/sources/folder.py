"""Own images in one folder, in any layout; sub-folders may name the classes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gancli.data.files import FileSource, Group
from gancli.data.listing import Entry, find_path, list_images, list_names, require_images
from gancli.data.options import FileOptions
from gancli.data.splits import find_splits, told
from gancli.errors import UserError, check_choice
from gancli.registry import datasets


@dataclass
class FolderOptions(FileOptions):
    """Options of dataset=folder."""

    labels: str  # folders: the first sub-folder is the class; none; auto: folders where that makes sense

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("dataset.labels", self.labels, ("auto", "folders", "none"))


@datasets.register("folder", options=FolderOptions)
class Folder(FileSource):
    """Every image below dataset.path."""

    options: FolderOptions

    def __init__(self, options: FolderOptions, data_dir: Path) -> None:
        super().__init__(options, data_dir)
        self.broken = options.broken
        self.folder = checked_folder(options.path, data_dir)

    def place(self) -> str:
        return str(self.folder)  # which part it is, the options say

    def listed(self) -> list[Group]:
        listing = list_images(self.folder)
        require_images(self.folder, listing)
        if listing.ignored:
            self.notes.append(f"Ignored {listing.ignored} files in {self.folder} that are no images.")
        parts = self.in_parts(listing.images)
        names = [entry.name for entry in listing.images] if parts is None else [
            entry.name.split("/", 1)[1] for entry in listing.images]
        labels = self.label(names)
        if parts is None:
            return [Group(0, [(entry,) for entry in listing.images], labels)]
        chosen = self.splits.chosen(self.options.split)
        kept = [row for row, part in enumerate(parts) if part in chosen]
        what = f"images in {len(self.classes)} classes" if self.classes else "images"
        self.notes.append(told({part: parts.count(part) for part in self.splits.parts}, chosen, what))
        return [Group(0, [(listing.images[row],) for row in kept], None if labels is None else labels[kept])]

    def in_parts(self, entries: list[Entry]) -> list[str] | None:
        """Set `splits` and return each entry's part, or None where the folders are none."""
        if self.options.splits == "none" or not all("/" in entry.name for entry in entries):
            return None
        tops = [entry.name.split("/", 1)[0] for entry in entries]
        self.splits = find_splits(set(tops))
        if self.splits is None or self.splits.domains:
            self.splits = None
            return None
        part_of = {top: self.splits.part_of(top) for top in set(tops)}
        return [part_of[top] for top in tops]

    def label(self, files: list[str]) -> np.ndarray | None:
        """Set `classes` and return the class of each file [N] by its name, or None."""
        tops = [name.split("/", 1)[0] if "/" in name else None for name in files]
        names = sorted({top for top in tops if top is not None})
        if self.options.labels == "folders" and None in tops:
            raise UserError(f"dataset.labels=folders, but {tops.count(None)} images lie in {self.folder} itself: "
                            "move them into sub-folders, or give dataset.labels=none.")
        if self.options.labels == "none":
            return None
        if self.options.labels == "auto" and (None in tops or len(names) < 2):
            if len(names) > 1:
                self.notes.append(f"No labels: {tops.count(None)} images lie beside the sub-folders "
                                  f"{list_names(names)}.")
            return None
        self.classes = tuple(names)
        index = {name: number for number, name in enumerate(names)}
        return np.array([index[top] for top in tops], dtype=np.int64)


def checked_folder(path: str | None, data_dir: Path) -> Path:
    """Return the folder that dataset.path names; a UserError if it is not there or a file."""
    folder = find_path("dataset.path", path, data_dir)
    if not folder.is_dir():
        raise UserError(f"dataset.path={path} is a file: give the folder that holds the images, or dataset=npz for an "
                        "array.")
    return folder
