"""Folders whose sub-folders are the parts of a data set: train, val and test, as their owners laid them out.

Known are `train/...` beside `test/...` or `val/...`, and domains with a part before their name: `trainA`, `testA`
(as in CycleGAN's data sets).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from gancli.errors import UserError

PARTS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
         "test": "test", "testing": "test"}
NAMES = re.compile(rf"({'|'.join(sorted(PARTS, key=len, reverse=True))})(?:[_-]?(\w+))?", re.IGNORECASE)


@dataclass(frozen=True)
class Splits:
    """Which folder belongs to which part; all are sub-folders of one."""

    folders: dict[str, dict[str, str]]  # part -> domain ("" where the folder's name is the part's alone) -> folder

    @property
    def parts(self) -> list[str]:
        """The parts that there are, in the order train, val, test."""
        return [part for part in ("train", "val", "test") if part in self.folders]

    @property
    def domains(self) -> list[str]:
        """The domains that stand in the folders' names, or nothing."""
        return sorted(filter(None, self.folders["train"]))

    def part_of(self, folder: str) -> str:
        """Return the part that a sub-folder belongs to."""
        return next(part for part, names in self.folders.items() if folder in names.values())

    def domain_of(self, folder: str) -> str:
        """Return the domain in a sub-folder's name, or ""."""
        return next(domain for names in self.folders.values() for domain, name in names.items() if name == folder)

    def chosen(self, split: str) -> list[str]:
        """Return the parts that dataset.split= means: `test` is `val` where there is no other that training leaves out.

        Raises:
            UserError: there is no such part.
        """
        parts = self.parts if split == "all" else [split] if split in self.folders else []
        if split == "test" and not parts and "val" in self.folders:
            parts = ["val"]
        if not parts:
            raise UserError(f"There is no folder for dataset.split={split}, but for {', '.join(self.parts)}: "
                            "give one of these, or dataset.splits=none and dataset.holdout=0.1 to draw a part by name.")
        return parts


def find_splits(folders: Iterable[str]) -> Splits | None:
    """Return the parts that sub-folders with these names are, or None where they mean something else.

    They are parts where each of them is named so, train is among them, and every part has the same domains.
    """
    found: dict[str, dict[str, str]] = {}
    for folder in folders:
        match = NAMES.fullmatch(folder)
        if match is None:
            return None
        domain = match[2] or ""
        domains = found.setdefault(PARTS[match[1].lower()], {})
        if domain in domains:
            return None
        domains[domain] = folder
    if "train" not in found or any(set(domains) != set(found["train"]) for domains in found.values()):
        return None
    return None if "" in found["train"] and len(found["train"]) > 1 else Splits(found)


def parts_among(folders: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the folders that are called as parts are, where train is among them, and the others; none where it is not."""
    folders = sorted(folders)
    named = [folder for folder in folders if folder.lower() in PARTS]
    if "train" not in {PARTS[folder.lower()] for folder in named}:
        return [], folders
    return named, [folder for folder in folders if folder not in named]


def told(counts: dict[str, int], chosen: Iterable[str], classes: int = 0) -> str:
    """Return in words how many examples each part has and what is done with them: `train 50 in 2 classes; test 9 kept ...`."""
    chosen = list(chosen)
    used = " and ".join(f"{part} {counts[part]:,}" for part in chosen) + (f" in {classes} classes" if classes else "")
    left = " and ".join(f"{part} {count:,}" for part, count in counts.items() if part not in chosen)
    return used + (f"; {left} {'kept for evaluation' if 'train' in chosen else 'left out'}" if left else "")
