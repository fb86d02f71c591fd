"""The images in a parquet file, read a few rows at a time."""

from bisect import bisect_right
from collections import OrderedDict
from functools import partial
from itertools import accumulate
from pathlib import Path
from threading import Lock
from typing import Any

from gancli.data.archives.members import Packed
from gancli.data.archives.tables import arrow, bytes_of, image_column, label_column
from gancli.data.listing import Listing
from gancli.data.sizes import UNREADABLE, check_memory
from gancli.errors import UserError

ROWS = 32  # read at a time
KEPT = 6  # such blocks, of those read last: threads that decode are seldom further apart
KEPT_BYTES = 1 << 28  # of which they take no more, but for the last three
ROW_BYTES = 600  # of memory that a listed row takes


def list_parquet(path: Path, listing: Listing, prefix: str, images: str | None, labels: str) -> None:
    """Add the rows of a file, named by their numbers behind `prefix`, with their labels.

    Args:
        images: the column of images; None: the one that looks like it.
        labels: the column of labels, auto or none.

    Raises:
        UserError: it is damaged, has no such columns, or claims more than it can hold.
    """
    try:
        file = _open(path)
        schema, count = file.schema_arrow, file.metadata.num_rows
        if count > path.stat().st_size:
            raise UserError(f"{path} is damaged: it claims {count:,} rows and has {path.stat().st_size:,} bytes.")
        check_memory(path, ROW_BYTES * count)
        column = image_column(schema, images, path)
        label = label_column(schema, column, labels, path, listing)
        values = [None] * count if label is None else file.read(columns=[label], use_threads=False).column(0).to_pylist()
        rows = Rows(path, column, file.metadata)
    except table_errors() as error:
        raise unreadable(path, error) from None
    stamp, where = path.stat().st_mtime_ns, f"{path}"
    for row, value in enumerate(values):
        listing.images.append(Packed(f"{prefix}{row:08d}", Path(f"{where}/row {row}"), -1, stamp, value,
                                     read=partial(rows.read, row)))


class Rows:
    """The images of a file's rows; forward reading is cheap, and going back begins the row group again."""

    def __init__(self, path: Path, column: str, metadata: Any) -> None:
        self.path, self.column = path, column
        self._lock, self._file = Lock(), None
        sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        if any(size < 0 for size in sizes) or sum(sizes) != metadata.num_rows:
            raise ValueError("its row groups do not add up")
        self._starts = [0, *accumulate(sizes)]
        self._blocks: OrderedDict[tuple[int, int], list] = OrderedDict()
        self._group, self._next, self._batches = -1, 0, iter(())

    def read(self, row: int) -> bytes:
        """Return the bytes of a row's image; a ValueError where the file is damaged."""
        group = bisect_right(self._starts, row) - 1
        block, at = divmod(row - self._starts[group], ROWS)
        with self._lock:
            try:
                return bytes_of(self._block(group, block)[at])
            except table_errors() as error:
                raise ValueError(_reason(error)) from None

    def _block(self, group: int, block: int) -> list:
        """Return the cells of a block of a row group."""
        while (group, block) not in self._blocks:
            if group != self._group or self._next > block:
                self._file = self._file or _open(self.path)
                self._batches = self._file.iter_batches(ROWS, row_groups=[group], columns=[self.column], use_threads=False)
                self._group, self._next = group, 0
            self._blocks[group, self._next] = next(self._batches, _Empty()).column(0).to_pylist()
            self._next += 1
            while len(self._blocks) > KEPT or len(self._blocks) > 3 and self._taken() > KEPT_BYTES:
                self._blocks.popitem(last=False)
        return self._blocks[group, block]

    def _taken(self) -> int:
        return sum(len(bytes_of(cell)) for cells in self._blocks.values() for cell in cells if cell is not None)


class _Empty:
    def column(self, number: int) -> Any:
        """A file that ends too early."""
        raise ValueError("it has fewer rows than it claims")


def _open(path: Path) -> Any:
    arrow()
    from pyarrow import parquet

    return parquet.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False)


def table_errors() -> tuple[type[Exception], ...]:
    """Return what pyarrow raises for damaged files."""
    return (*UNREADABLE, arrow().ArrowException, MemoryError, OverflowError, IndexError)


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or ["damaged"])[0].rstrip(".")


def unreadable(path: Path, error: Exception) -> UserError:
    """Return the error for a damaged table."""
    return UserError(f"{path} cannot be read as a table ({_reason(error)[:200]}): fetch or write it again.")
