"""A second domain made of any set of images: half of them changed, the other half as they are, never the same image in both.

Liu & Tuzel 2016 train on digits and edges, and on digits and negatives, in two disjoint halves (section 6; the authors' code,
github.com/mingyuliutw/CoGAN, dataset_mnistedge.py).

Legend: N images, H height, W width, C channels.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from gancli.data.options import SECOND
from gancli.data.source import Block, Source, Stamp
from gancli.data.spec import DataSpec
from gancli.errors import UserError

ORIGINAL = "original"  # the first domain


def edges(images: np.ndarray) -> np.ndarray:
    """Return the 3x3 dilation of uint8 images [N, H, W, C] minus the images: what a stroke would grow by."""
    height, width = images.shape[1:3]
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))  # zeros add nothing to a maximum
    rows = np.maximum(np.maximum(padded[:, :height], padded[:, 1:-1]), padded[:, 2:])
    dilated = np.maximum(np.maximum(rows[:, :, :width], rows[:, :, 1:-1]), rows[:, :, 2:])
    return _opaque_as(images, dilated - images)


def negatives(images: np.ndarray) -> np.ndarray:
    """Return uint8 images [N, H, W, C] with light and dark exchanged."""
    return _opaque_as(images, 255 - images)


def _opaque_as(images: np.ndarray, changed: np.ndarray) -> np.ndarray:
    """Return the changed images with the opacity that the images had, which is the last of 2 or 4 channels."""
    if images.shape[3] in (2, 4):
        changed[..., -1] = images[..., -1]
    return changed


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = dict(zip(SECOND, (edges, negatives), strict=True))


class SecondDomain(Source):
    """A source of images as two domains: every second image of the split is changed."""

    def __init__(self, source: Source, change: str) -> None:
        self.source, self.change = source, change
        self.options, self.data_dir, self.slow = source.options, source.data_dir, source.slow

    @property
    def notes(self) -> list[str]:  # the source may replace its own at any time
        """Sentences for the user's log."""
        return self.source.notes

    @property
    def chosen_size(self) -> tuple[int, int] | None:  # type: ignore[override]
        """The size that the source chose."""
        return self.source.chosen_size

    @property
    def size_note(self) -> str:  # type: ignore[override]
        """The sentence on it."""
        return self.source.size_note

    @property
    def absent(self) -> str:
        """A sentence on what training would first download."""
        return self.source.absent

    @property
    def skipped(self) -> list[str]:
        """Broken files."""
        return self.source.skipped

    def look(self) -> DataSpec:
        spec = self.source.look()
        if len(spec.domains) > 1:
            raise UserError(f"dataset.second={self.change} makes a second domain, and dataset={self.options.name} has two: "
                            "leave it out.")
        if spec.count < 2:
            raise UserError(f"dataset.second={self.change} needs two images or more, one for each domain, and there is one.")
        return replace(spec, count=_halves(spec.count)[0], domains=(ORIGINAL, self.change))

    def counts(self) -> tuple[int, ...]:
        return _halves(self.source.look().count)

    def present(self) -> bool:
        return self.source.present()

    def prepare(self) -> None:
        self.source.prepare()

    def stamps(self) -> list[Stamp]:
        return self.source.stamps()

    def place(self) -> str:
        return self.source.place()

    def blocks(self) -> Iterator[Block]:
        """Yield images by turns: the even ones as they are, with their labels, the odd ones changed."""
        seen = 0
        for block in self.source.blocks():
            odd = (seen + np.arange(len(block.examples))) % 2 == 1
            seen += len(odd)
            if not odd.all():
                yield Block(0, block.examples[~odd], _of(block.labels, ~odd), _of(block.attributes, ~odd))
            if odd.any():
                yield Block(1, CHANGES[self.change](block.examples[odd]))


def in_two_domains(source: Source, change: str | None) -> Source:
    """Return the source with the second domain that `dataset.second` asks for, if it does."""
    return source if change is None else SecondDomain(source, change)


def _halves(count: int) -> tuple[int, int]:
    return count - count // 2, count // 2


def _of(values: np.ndarray | Sequence | None, rows: np.ndarray) -> np.ndarray | None:
    return None if values is None else np.asarray(values)[rows]
