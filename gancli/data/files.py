"""Sources whose examples are image files: listed, sampled for their size, decoded into blocks.

Legend: N examples, H height, W width, C channels, A attributes.
"""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from gancli.data.decode import BrokenImage, Frame, Header, decode_image, decode_many, probe
from gancli.data.listing import Entry, shown
from gancli.data.options import NO_PART, ImageOptions
from gancli.data.source import Block, Source, Stamp
from gancli.data.spec import DataSpec
from gancli.data.splits import Splits
from gancli.errors import UsageError, UserError

SAMPLE = 64  # files whose headers `inspect` reads
RUN = 4  # of them that are neighbors
FIRST_SIDE = 64  # pixels; what a processor trains on within a first hour
KEPT_SIDE = 128  # pixels; up to here images of one size keep theirs


@dataclass
class Group:
    """Files decoded together: one entry a row, or one per domain for pairs."""

    domain: int  # of the first entry in a row
    rows: list[tuple[Entry, ...]]
    labels: np.ndarray | None = None  # int64 [N]
    attributes: np.ndarray | None = None  # {0, 1} [N, A]


class FileSource(Source):
    """Image files; subclasses give `listed`, and their names of classes and domains."""

    slow = True
    options: ImageOptions
    broken = "fail"  # or "skip"
    classes: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    domains: tuple[str, ...] = ("real",)
    paired = False
    splits: Splits | None = None  # the parts that the folders are

    @abstractmethod
    def listed(self) -> list[Group]:
        """Return every file of the split; `groups` thins them out."""

    def decode(self, row: tuple[Entry, ...], frame: Frame) -> tuple[np.ndarray, ...]:
        """Return a row's images, each uint8 [H, W, C]."""
        return tuple(decode_image(entry.file(), frame) for entry in row)

    @cached_property
    def everything(self) -> list[Group]:
        """The groups before holdout and limit, listed once."""
        return self.listed()

    @cached_property
    def groups(self) -> list[Group]:
        """The groups that the options keep."""
        kept, everything = [], self.everything  # listing finds out which parts there are
        self.check_split()
        for group in everything:
            rows = self.select([row[0].key for row in group.rows])
            labels = None if group.labels is None else group.labels[rows]
            attributes = None if group.attributes is None else group.attributes[rows]
            kept.append(replace(group, rows=[group.rows[row] for row in rows], labels=labels, attributes=attributes))
        return kept

    def check_split(self) -> None:
        """Raise a UserError for a part that there is not; note a fraction that is not held out."""
        split, holdout = self.options.split, getattr(self.options, "holdout", None)
        if holdout is None:
            return
        if self.splits is not None:
            if holdout:
                self.notes.append(f"dataset.holdout={holdout:g} is not used: the folders are parts already "
                                  f"({', '.join(self.splits.parts)}).")
        elif split == "val":
            raise UserError(f"dataset.split=val needs a folder of that name beside train in {self.place()}: "
                            "give dataset.split=test and dataset.holdout=0.1 to draw a part by name.")
        elif split == "test" and not holdout:
            raise UserError(f"{NO_PART}.")

    def select(self, names: Sequence[str]) -> np.ndarray:
        if self.splits is None:
            return super().select(names)
        return self.evenly(len(names))

    @cached_property
    def headers(self) -> list[Header]:
        """The headers of a few files, evenly spread over all."""
        entries = [entry for group in self.everything for row in group.rows for entry in row]
        broken, headers = [], []
        for entry in spread(entries):
            try:
                headers.append(probe(entry.file()))
            except BrokenImage as error:
                broken.append((entry, error))
        if broken and (self.broken == "fail" or not headers):
            raise cannot_decode(*broken[0])
        return headers

    @cached_property
    def spec(self) -> DataSpec:
        """The spec of what is listed."""
        _ = self.groups  # an empty folder is reported before a missing size
        channels = self.options.channels or self.seen_channels()
        height, width = self.options.size or self.common_size() or self.missing_size()
        self.note_enlarged(height, width)
        return DataSpec((channels, height, width), max(self.counts()), self.classes, self.domains, self.paired,
                        attributes=self.attributes)

    def look(self) -> DataSpec:
        return self.spec

    def counts(self) -> tuple[int, ...]:
        return tuple(len(group.rows) for group in self.groups for _ in range(self.images_of(group)))

    def images_of(self, group: Group) -> int:
        """Return the number of images (domains) that a row of the group decodes to."""
        return len(group.rows[0])

    def seen_channels(self) -> int:
        """Return 1 if all files looked at are gray and the background too, else 3."""
        return 1 if all(header.gray for header in self.headers) and len(set(self.options.rgb)) == 1 else 3

    def seen_sizes(self) -> list[tuple[int, int]]:
        """Return (height, width) of the images in the files looked at."""
        return [(header.height, header.width) for header in self.headers]

    def note_enlarged(self, height: int, width: int) -> None:
        """Note how many images are smaller than the frame."""
        small = sum(seen[0] < height or seen[1] < width for seen in self.seen_sizes())
        if small and self.options.fit != "pad":
            self.notes.append(f"{small} of the {len(self.headers)} images looked at are smaller than {height}x{width} "
                              "and are enlarged (dataset.fit=pad would not).")

    def common_size(self) -> tuple[int, int] | None:
        """Return the size that all images looked at have, where crops are taken of them; else None."""
        sizes = set(self.seen_sizes()) if self.options.crops is not None else set()
        return sizes.pop() if len(sizes) == 1 else None

    def missing_size(self) -> tuple[int, int]:
        """Choose a size and say so; a UsageError where crops are to be taken of images that differ in size."""
        seen = self.seen_sizes()
        if self.options.crops is not None:
            height, width = min(seen)
            side = max(size for size in (16, 32, 64, 128, 256) if size <= max(16, min(height, width)))
            raise UsageError("dataset.size has no value and the images differ in size "
                             f"({height}x{width} is the smallest seen): give dataset.size={side}, or another number.")
        height, width = self.chosen_size = size_for(seen)
        least, most = min(seen), max(seen)
        are = f"are {least[0]}x{least[1]}" if least == most else f"differ, from {least[0]}x{least[1]} to {most[0]}x{most[1]}"
        text = f"{height}" if height == width else f"[{height},{width}]"
        if (height, width) == least == most:
            self.size_note = f"dataset.size has no value: the images keep their {height}x{width}."
        else:
            self.size_note = (f"dataset.size has no value and the images {are}: they become {height}x{width} "
                              f"(dataset.size={text}; another number makes them larger or smaller).")
        return height, width

    def stamps(self) -> list[Stamp]:
        return [Stamp(entry.name, entry.size, entry.mtime_ns) for group in self.groups for row in group.rows
                for entry in row]

    def blocks(self) -> Iterator[Block]:
        frame = Frame.of(self.options, self.look().shape)
        self.skipped = []
        for group in self.groups:
            start = 0
            for results in decode_many(group.rows, lambda row: self.decode(row, frame)):
                kept = [at for at, result in enumerate(results) if not self.is_broken(group.rows[start + at], result)]
                if kept:
                    labels, attributes = (None if whole is None else whole[start:start + len(results)][kept]
                                          for whole in (group.labels, group.attributes))
                    images = [np.stack(column) for column in zip(*(results[at] for at in kept), strict=True)]
                    for offset, examples in enumerate(images):
                        yield Block(group.domain + offset, examples, labels, attributes)
                start += len(results)

    def is_broken(self, row: tuple[Entry, ...], result: object) -> bool:
        """Whether the row could not be decoded; names it, or raises the UserError if that is fatal."""
        if not isinstance(result, BrokenImage):
            return False
        if self.broken == "fail":
            raise cannot_decode(row[0], result)
        self.skipped.append(f"{shown(row[0].name)} ({result})")
        return True


def spread(entries: list[Entry]) -> list[Entry]:
    """Return SAMPLE entries evenly spread, neighbors by RUN: tables are read by blocks of rows."""
    if len(entries) <= SAMPLE:
        return entries
    places = SAMPLE // RUN
    starts = [place * (len(entries) - RUN) // (places - 1) for place in range(places)]
    return [entries[start + at] for start in starts for at in range(RUN)]


def size_for(seen: list[tuple[int, int]]) -> tuple[int, int]:
    """Return the (height, width) that images of these sizes get where none is asked for.

    Images of one size keep it where networks can halve it and a first run can bear it.  Others become squares of the
    largest power of two, up to FIRST_SIDE, that nine of ten fill: one thumbnail among photos decides nothing.
    """
    height, width = seen[0]
    if len(set(seen)) == 1 and max(height, width) <= KEPT_SIDE and _halves(height) and _halves(width):
        return height, width
    shorter = sorted(min(size) for size in seen)[len(seen) // 10]
    side = max(size for size in (16, 32, FIRST_SIDE) if size <= max(16, shorter))
    return side, side


def _halves(side: int) -> bool:
    """Whether networks that double maps can make a side: three times, or evenly down to 4 to 7 pixels (28, MNIST's, to 7)."""
    return side % 8 == 0 or side in {least << times for least in range(4, 8) for times in range(7)}


def cannot_decode(entry: Entry, error: BrokenImage) -> UserError:
    """Return the error for a broken file that is fatal."""
    return UserError(f"{shown(entry.path)} cannot be decoded ({error}): repair or remove it"
                     " (dataset=folder, paired and unpaired can pass over such files: dataset.broken=skip).")
