"""Two domains: `paired` (examples correspond by file name, or lie side by side in one image) and `unpaired`."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gancli.data.decode import Frame, decode_halves
from gancli.data.files import FileSource, Group
from gancli.data.listing import Entry, Listing, list_images, list_names, require_images, visible
from gancli.data.options import FileOptions
from gancli.data.sources.folder import checked_folder
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
        self.domains = self.choose_domains()

    def choose_domains(self) -> tuple[str, str]:
        """Return the names of the two sub-folders."""
        present = [name for name in visible(self.folder) if (self.folder / name).is_dir()]
        if self.options.domains is not None:
            for name in self.options.domains:
                if not (self.folder / name).is_dir():
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

    def read(self, folder: Path) -> Listing:
        """Return the images of one folder, of which there must be some."""
        listing = list_images(folder)
        require_images(folder, listing)
        if listing.ignored:
            self.notes.append(f"Ignored {listing.ignored} files in {folder} that are no images.")
        return listing


@datasets.register("unpaired", options=UnpairedOptions)
class Unpaired(TwoFolders):
    """Two folders of images that do not correspond; each domain has its own order and length."""

    def listed(self) -> list[Group]:
        return [Group(number, [(entry,) for entry in self.read(self.folder / name).images])
                for number, name in enumerate(self.domains)]


@datasets.register("paired", options=PairedOptions)
class Paired(TwoFolders):
    """Pairs of images: equal names (whatever the ending) in two folders, or the halves of one file."""

    options: PairedOptions
    paired = True

    def choose_domains(self) -> tuple[str, str]:
        if self.options.side_by_side:
            return tuple(self.options.domains or ("left", "right"))
        return super().choose_domains()

    def place(self) -> str:
        return f"{super().place()}|{self.options.side_by_side}"

    def listed(self) -> list[Group]:
        if self.options.side_by_side:
            return [Group(0, [(entry,) for entry in self.read(self.folder).images])]
        first, second = (by_key(self.read(self.folder / name).images) for name in self.domains)
        common = [key for key in first if key in second]
        if not common:
            raise UserError(f"No file of {self.folder / self.domains[0]} (such as {next(iter(first))}) has its partner "
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


def by_key(entries: list[Entry]) -> dict[str, Entry]:
    """Return the entries by name without ending; a UserError if two share one."""
    found: dict[str, Entry] = {}
    for entry in entries:
        if entry.key in found:
            raise UserError(f"{found[entry.key].path} and {entry.name} have the same name but for the ending, so that "
                            "their partner is not certain: rename or remove one.")
        found[entry.key] = entry
    return found
