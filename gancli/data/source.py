"""What a data set is to the store: a spec, cheap to find out, and blocks of decoded examples.

Legend: N examples, H height, W width, C channels, P coordinates, T tokens, A attributes.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gancli.data.crops import cropped
from gancli.data.geometry import fill_for, fit_array, set_channels
from gancli.data.labeled import partly_labeled
from gancli.data.options import MIN_SIDE, DatasetOptions, ImageOptions
from gancli.data.spec import DataSpec
from gancli.errors import UserError

BLOCK = 1024  # examples decoded at a time where they already are arrays


@dataclass
class Block:
    """Some examples of one domain, in order."""

    domain: int
    examples: np.ndarray  # uint8 [N, H, W, C], float32 [N, P] or token ids [N, T] (int64 or uint16)
    labels: np.ndarray | None = None  # int64 [N], of the first domain only
    attributes: np.ndarray | None = None  # bool or {0, 1} [N, A], of the first domain only


@dataclass(frozen=True)
class Stamp:
    """What tells that a file has not changed."""

    name: str
    size: int  # bytes
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> "Stamp":
        """Return the stamp of a file."""
        status = path.stat()
        return cls(path.name, status.st_size, status.st_mtime_ns)


@dataclass(frozen=True)
class InPlace:
    """Examples of one domain that lie on the disk as a store would have them."""

    path: Path
    examples: np.ndarray  # mapped
    checksum: Callable[[Callable[[int], None]], str]  # of the examples as a store hashes them; tells how many are done
    labels: np.ndarray | None = None  # int64 [N]
    attributes: np.ndarray | None = None  # uint8 [N, A]


class Source(ABC):
    """One data set.

    Built as `cls(options, data_dir)`; building and `inspect` create nothing, anywhere, and end in a UserError
    when the data are missing, empty or unreadable.  Subclasses give `look` and `blocks`.
    """

    slow = False  # decoding takes long enough for the store to be kept on disk
    chosen_size: tuple[int, int] | None = None  # (height, width), set by `inspect` where dataset.size leaves it to the source
    size_note = ""  # the sentence on it

    def __init__(self, options: DatasetOptions, data_dir: Path) -> None:
        self.options = options
        self.data_dir = data_dir
        self.notes: list[str] = []  # sentences for the user's log, filled by `inspect` and `blocks`
        self.skipped: list[str] = []  # "file (reason)", filled by `blocks`
        self.absent = ""  # a sentence on what training would first download, filled by `inspect`

    def inspect(self) -> DataSpec:
        """Return the spec of the examples: with crops and labels as the options say; a UserError where there are no such."""
        return partly_labeled(cropped(self.look(), self.options), self.options)

    @abstractmethod
    def look(self) -> DataSpec:
        """Return the spec from a look at the data (lists files, opens a few); `count` may include broken files."""

    def counts(self) -> tuple[int, ...]:
        """Return the number of examples of each domain, broken files included."""
        return (self.look().count,)

    def present(self) -> bool:
        """Whether the data are on disk, so that nothing is to be downloaded."""
        return True

    def prepare(self) -> None:  # noqa: B027 - most sources have nothing to fetch
        """Download what is missing."""

    def stamps(self) -> list[Stamp]:
        """Return the files that the decoded examples come from."""
        return []

    def place(self) -> str:
        """Return where the data are, to tell one folder's store from another's."""
        return ""

    @abstractmethod
    def blocks(self) -> Iterator[Block]:
        """Yield all examples in a fixed order; broken files are left out and named in `skipped`."""

    def in_place(self) -> InPlace | None:
        """Return the examples where nothing is to be done to them, so that no store is written; None elsewhere."""
        return None

    def select(self, names: Sequence[str]) -> np.ndarray:
        """Return the rows [N] int64 of `names` that the options keep: the split's, thinned to `limit`."""
        options: ImageOptions = self.options
        rows = np.array([row for row, name in enumerate(names) if options.holds(name)], dtype=np.int64)
        if len(names) and not len(rows):
            raise UserError(f"dataset.split={options.split} leaves none of the {len(names)} examples: "
                            "give another dataset.holdout=, or dataset.split=all.")
        return rows[self.evenly(len(rows))]

    def evenly(self, count: int) -> np.ndarray:
        """Return `limit` of the rows 0 to count - 1, evenly spread, or all of them, int64."""
        limit = min(count, self.options.limit or count)
        return np.arange(limit, dtype=np.int64) * count // max(limit, 1)


@dataclass(frozen=True)
class Native:
    """Images as the data set has them."""

    count: int
    height: int
    width: int
    channels: int
    classes: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()


class ArraySource(Source):
    """Images that come as one array; subclasses give `native` and `arrays`, and `attributes` where `native` names some."""

    options: ImageOptions

    @abstractmethod
    def native(self) -> Native:
        """Return what the whole split holds, without reading it."""

    @abstractmethod
    def arrays(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Return uint8 [N, h, w, c] and labels [N] or None."""

    def attributes(self) -> np.ndarray | None:
        """Return the binary labels [N, A] of all examples, or None."""
        return None

    def look(self) -> DataSpec:
        native = self.native()
        height, width = self.options.size or (native.height, native.width)
        if min(native.height, native.width) < MIN_SIDE and self.options.size is None:
            raise UserError(f"The images of dataset={self.options.name} are {native.height}x{native.width}, too small: "
                            f"give dataset.size={MIN_SIDE} or more to enlarge them.")
        count = len(self.kept(native.count))
        return DataSpec((self.options.channels or native.channels, height, width), count, native.classes,
                        attributes=native.attributes)

    def kept(self, count: int) -> np.ndarray:
        """Return the rows that the options keep; examples without names are known by their numbers."""
        if self.options.keeps_all:
            return self.evenly(count)
        return self.select([str(number) for number in range(count)])

    def blocks(self) -> Iterator[Block]:
        channels, height, width = self.look().shape
        images, labels = self.arrays()
        attributes = self.attributes()
        rows = self.kept(len(images))
        rgb, fit = self.options.rgb, self.options.fit
        for start in range(0, len(rows), BLOCK):
            part = rows[start:start + BLOCK]
            block = set_channels(images[part], channels, rgb)
            block = fit_array(block, (height, width), fit, fill_for(rgb, channels))
            yield Block(0, block, None if labels is None else labels[part].astype(np.int64),
                        None if attributes is None else attributes[part])


def stored(options: Any) -> dict[str, Any]:
    """Return the options that the decoded examples depend on; of those that once there were not, what is given."""
    return {key: value for key, value in vars(options).items()
            if key not in ("flip", "store", "path", "labeled", "crops", "splits", "label_files", "verify")
            and (key not in ("attributes", "second", "images") or value is not None)}
