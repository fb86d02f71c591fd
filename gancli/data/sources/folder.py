"""Own images in one folder, archive or table, in any layout; sub-folders, or files beside the images, may name the classes."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from gancli.data.contents import Contents, contents_of, is_archive
from gancli.data.files import FileSource, Group
from gancli.data.labels import KINDS, numbered, told_columns
from gancli.data.listing import Entry, find_path, ignored, list_names, require_images, shown
from gancli.data.options import FileOptions
from gancli.data.source import Stamp
from gancli.data.splits import find_splits, parts_among, told
from gancli.errors import UserError, check_choice
from gancli.registry import datasets


@dataclass
class FolderOptions(FileOptions):
    """Options of dataset=folder."""

    labels: str  # folders: the first sub-folder is the class; none; a column of a table; auto: what there is
    images: str | None = field(default=None, kw_only=True)  # the column of images in a table; None: the one that looks so
    label_files: str = field(default="none", kw_only=True)  # auto: files of labels are read; as old runs: none

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("dataset.label_files", self.label_files, ("auto", "none"))


@datasets.register("folder", options=FolderOptions)
class Folder(FileSource):
    """Every image below dataset.path, or in it."""

    options: FolderOptions

    def __init__(self, options: FolderOptions, data_dir: Path) -> None:
        super().__init__(options, data_dir)
        self.broken = options.broken
        self.path = find_path("dataset.path", options.path, data_dir, "folder_or_archive")

    def place(self) -> str:
        return str(self.path)  # which part it is, the options say

    @cached_property
    def contents(self) -> Contents:
        """What lies at the path."""
        options = self.options
        return contents_of(self.path, options.images, options.labels, options.label_files)

    def stamps(self) -> list[Stamp]:
        contents = self.contents
        return [*([] if contents.packed else super().stamps()), *map(Stamp.of, contents.files)]

    def listed(self) -> list[Group]:
        contents, listing = self.contents, self.contents.listing
        if not contents.packed:
            require_images(self.path, listing)
        self.notes += contents.notes
        if listing.ignored:
            self.notes.append(ignored(listing.ignored, f" in {shown(self.path)}"))
        parts = self.in_parts(listing.images)
        names = [entry.name for entry in listing.images] if parts is None else [
            self.name_in_part(entry) for entry in listing.images]
        rows = list(range(len(names)))
        counts, chosen = None, ()
        if parts is not None:
            chosen = self.splits.chosen(self.options.split)
            rows = [row for row, part in enumerate(parts) if part in chosen]
            counts = {part: parts.count(part) for part in self.splits.parts}
        labels = self.label(names, rows)
        self.tell(counts, chosen, len(rows))
        return [Group(0, [(listing.images[row],) for row in rows], labels)]

    def tell(self, counts: dict[str, int] | None, chosen: list[str] | tuple, images: int) -> None:
        """Note in one line what was recognized, where it is more than a folder of images."""
        source = self.contents.listing.label_source
        if counts is None and not self.contents.packed and not source:
            return
        classes = len(self.classes)
        content = (f"{images:,} image{'s' if images != 1 else ''}" + (f" in {classes} classes" if classes else "")
                   if counts is None else told(counts, chosen, classes))
        labels = f" (labels: {source})" if source and classes else ""
        self.notes.append(f"{self.contents.what}: {content}{labels}.")

    def in_parts(self, entries: list[Entry]) -> list[str] | None:
        """Set `splits` and return each entry's part, or None where the folders are none.

        Raises:
            UserError: some folders are called as parts are and others are not, so that it is not certain what is for training.
        """
        if self.options.splits == "none" or not all("/" in entry.name for entry in entries):
            return None
        tops = [entry.name.split("/", 1)[0] for entry in entries]
        self.splits = find_splits(set(tops))
        if self.splits is None:
            parts, others = parts_among(set(tops))
            if len(parts) > 1:
                raise UserError(f"{shown(self.path)} has the sub-folders {list_names(parts)}, which are called as parts of a "
                                f"data set are, beside {list_names(others)}: move these away, give one of them as "
                                "dataset.path=, or dataset.splits=none to take every sub-folder as a class.")
            return None
        part_of = {top: self.splits.part_of(top) for top in set(tops)}
        return [part_of[top] for top in tops]

    def name_in_part(self, entry: Entry) -> str:
        """Return an entry's name below its part; a domain in the folder's name (trainA) is a class."""
        top, rest = entry.name.split("/", 1)
        domain = self.splits.domain_of(top)
        return f"{domain}/{rest}" if domain else rest

    def label(self, files: list[str], rows: list[int]) -> np.ndarray | None:
        """Set `classes` and return the class of each of the rows [N], or None."""
        if self.options.labels == "none":
            return None
        if self.options.labels != "folders":
            found = self.from_file(rows)
            if found is not None:
                return found
            if self.contents.unlabeled or self.options.labels != "auto":
                return None
        labels = self.from_folders(files)
        return None if labels is None else labels[rows]

    def from_file(self, rows: list[int]) -> np.ndarray | None:
        """Set `classes` and return the labels [N] that a file or a table gives the rows, or None where it gives none."""
        listing, wanted = self.contents.listing, self.options.labels
        if (sentence := told_columns(listing)) is not None:
            self.notes.append(sentence)
        if all(entry.label is None for entry in listing.images):
            if wanted not in KINDS:
                raise UserError(f"dataset.labels={wanted} is the name of a column, and {shown(self.path)} has no file that "
                                "gives its images labels (metadata.csv, metadata.jsonl): give auto, folders or none.")
            return None
        values = [entry.label for entry in listing.images]
        try:
            try:
                labels, self.classes = numbered(values, listing.names)
                labels = labels[rows]
            except ValueError:  # of parts that are not looked at, labels are often kept secret
                labels, self.classes = numbered([values[row] for row in rows], listing.names)
        except ValueError as error:
            if wanted not in KINDS:
                raise UserError(f"dataset.labels={wanted} cannot be classes: {error}. Give another column, or none.") from None
            self.notes.append(f"No labels: {listing.label_source} cannot be classes ({error}).")
            return None
        return labels

    def from_folders(self, files: list[str]) -> np.ndarray | None:
        """Set `classes` and return the class of each file [N] by its name, or None."""
        tops = [name.split("/", 1)[0] if "/" in name else None for name in files]
        names = sorted({top for top in tops if top is not None})
        if self.options.labels == "folders" and None in tops:
            raise UserError(f"dataset.labels=folders, but {tops.count(None)} images lie in {shown(self.path)} itself: "
                            "move them into sub-folders, or give dataset.labels=none.")
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
        other = "unpack it and give the folder" if is_archive(folder) else (
            "give the folder that holds the images, or dataset=npz for an array")
        raise UserError(f"dataset.path={path} is a file: {other}.")
    return folder
