"""Two domains: `paired` (examples correspond by file name, or lie side by side in one image) and `unpaired`."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gancli.data.decode import Frame, decode_halves
from gancli.data.files import FileSource, Group
from gancli.data.listing import Entry, Listing, ignored, list_images, list_names, require_images, shown, visible
from gancli.data.options import FileOptions
from gancli.data.sources.folder import checked_folder
from gancli.data.splits import Splits, find_splits, told
from gancli.errors import UserError, near
from gancli.registry import datasets


@dataclass
class UnpairedOptions(FileOptions):
    """Options of dataset=unpaired."""

    domains: list[str] | None  # the two sub-folders, in order; null: there are only two, in the order of the alphabet

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.domains is not None and (len(self.domains) != 2 or len(set(self.domains)) != 2):
            raise ValueError(f"dataset.domains must be two different names, [a,b], not {list(self.domains)}")


@dataclass
class PairedOptions(UnpairedOptions):
    """Options of dataset=paired."""

    side_by_side: bool  # each file shows both: first domain left, second right; `domains` only names them


class TwoFolders(FileSource):
    """What paired and unpaired share."""

    options: UnpairedOptions

    def __init__(self, options: UnpairedOptions, data_dir: Path) -> None:
        super().__init__(options, data_dir)
        self.broken = options.broken
        self.folder = checked_folder(options.path, data_dir)
        self.splits = self.find_splits()
        self.domains = self.choose_domains()

    def find_splits(self) -> Splits | None:
        """Return the parts that the sub-folders are; none where dataset.domains names sub-folders themselves."""
        present = folders_in(self.folder)
        if self.options.splits == "none" or set(self.options.domains or ()) & set(present):
            return None
        return find_splits(present)

    def choose_domains(self) -> tuple[str, str]:
        """Return the names of the two domains: sub-folders, of every part where there are parts."""
        if self.splits is None:
            present = folders_in(self.folder)
        else:
            present = self.splits.domains or folders_in(self.folder / self.splits.folders["train"][""])
        if self.options.domains is not None:
            for name in self.options.domains:
                if name not in present:
                    raise UserError(f"dataset.domains names {name}, and {self.folder} has no such sub-folder; "
                                    f"{near(name, present[:20])}")
            return tuple(self.options.domains)
        if len(present) == 2:
            return tuple(present)
        if len(present) > 2:
            raise UserError(f"{self.folder} has {len(present)} sub-folders ({list_names(present)}): choose two, "
                            f"dataset.domains=[{present[0]},{present[1]}].")
        raise UserError(f"dataset={self.options.name} needs two sub-folders, one a domain, and {self.folder} has "
                        f"{list_names(present) or 'none'}: give the folder above them as dataset.path=.")

    def place(self) -> str:
        return "|".join((str(self.folder), *self.domains))

    def read(self, domain: str | None = None) -> list[Entry]:
        """Return the images of a domain (None: of both, which lie side by side), of which there must be some."""
        if self.splits is None:
            return self.listing(self.folder / (domain or "")).images
        chosen = self.splits.chosen(self.options.split)
        listings = {part: self.listing(self.folder_of(part, domain), part in chosen) for part in self.splits.parts}
        counts = {part: len(listing.images) for part, listing in listings.items()}
        of = "" if domain is None else f", {shown(domain)}"
        self.notes.append(f"Folder {shown(self.folder.name)}{of}: {told(counts, chosen)}.")
        if len(chosen) == 1:
            return listings[chosen[0]].images
        return [replace(entry, name=f"{part}/{entry.name}") for part in chosen for entry in listings[part].images]

    def folder_of(self, part: str, domain: str | None) -> Path:
        """Return where a part of a domain lies."""
        folders = self.splits.folders[part]
        if domain is None:
            return self.folder / folders[""]
        return self.folder / folders[domain] if domain in folders else self.folder / folders[""] / domain

    def listing(self, folder: Path, needed: bool = True) -> Listing:
        """Return what lies in a folder; a UserError for one that is needed and has no images."""
        if not folder.is_dir():
            if not needed:
                return Listing()
            raise UserError(f"{folder} is missing: every part needs both domains ({list_names(self.domains)}).")
        listing = list_images(folder)
        if needed:
            require_images(folder, listing)
            if listing.ignored:
                self.notes.append(ignored(listing.ignored, f" in {folder}"))
        return listing


@datasets.register("unpaired", options=UnpairedOptions)
class Unpaired(TwoFolders):
    """Two folders of images that do not correspond; each domain has its own order and length."""

    def listed(self) -> list[Group]:
        return [Group(number, [(entry,) for entry in self.read(name)]) for number, name in enumerate(self.domains)]


@datasets.register("paired", options=PairedOptions)
class Paired(TwoFolders):
    """Pairs of images: equal names (whatever the ending) in two folders, or the halves of one file."""

    options: PairedOptions
    paired = True

    def find_splits(self) -> Splits | None:
        found = super().find_splits()
        return None if self.options.side_by_side and found is not None and found.domains else found

    def choose_domains(self) -> tuple[str, str]:
        if self.options.side_by_side:
            return tuple(self.options.domains or ("left", "right"))
        return super().choose_domains()

    def place(self) -> str:
        return f"{super().place()}|{self.options.side_by_side}"

    def listed(self) -> list[Group]:
        if self.options.side_by_side:
            return [Group(0, [(entry,) for entry in self.read()])]
        first, second = (by_key(self.read(name)) for name in self.domains)
        common = [key for key in first if key in second]
        if not common:
            raise UserError(f"No file of {self.domains[0]} in {self.folder} (such as {next(iter(first))}) has its partner "
                            f"in {self.domains[1]} (such as {next(iter(second))}): give both the same name, "
                            "or use dataset=unpaired.")
        alone = len(first) + len(second) - 2 * len(common)
        if alone:
            self.notes.append(f"Left out {alone} files of {self.folder} without a partner in the other folder.")
        return [Group(0, [(first[key], second[key]) for key in common])]

    def images_of(self, group: Group) -> int:
        return 2

    def decode(self, row: tuple[Entry, ...], frame: Frame) -> tuple[np.ndarray, ...]:
        if self.options.side_by_side:
            return decode_halves(row[0].path, frame)
        return super().decode(row, frame)

    def seen_sizes(self) -> list[tuple[int, int]]:
        share = 2 if self.options.side_by_side else 1
        return [(height, width // share) for height, width in super().seen_sizes()]


def folders_in(folder: Path) -> list[str]:
    """Return the names of the sub-folders that are not hidden, sorted."""
    return [name for name in visible(folder) if (folder / name).is_dir()]


def by_key(entries: list[Entry]) -> dict[str, Entry]:
    """Return the entries by name without ending; a UserError if two share one."""
    found: dict[str, Entry] = {}
    for entry in entries:
        if entry.key in found:
            raise UserError(f"{found[entry.key].path} and {entry.name} have the same name but for the ending, so that "
                            "their partner is not certain: rename or remove one.")
        found[entry.key] = entry
    return found
