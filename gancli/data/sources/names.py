"""First names of the United States census of 1990, 5,163 of them, embedded; a work of its government, in the public domain.

They are the names in its files dist.female.first and dist.male.first, each once, in lower case, sorted.
"""

from dataclasses import dataclass
from pathlib import Path

import gancli.data
from gancli.data.sources.text import LineOptions, Lines
from gancli.registry import datasets


@dataclass
class NamesOptions(LineOptions):
    """Options of dataset=names: those of lines."""


@datasets.register("names", options=NamesOptions)
class Names(Lines):
    """The embedded names, as letters."""

    def find(self) -> list[Path]:
        return [Path(gancli.data.__file__).with_name("names.txt")]

    def place(self) -> str:
        return ""
