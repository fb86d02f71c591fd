"""The images in a file of Arrow's stream format, as Hugging Face's `save_to_disk` writes it; mapped, not read.

Every message is looked at before it is decoded: compressed ones, which may claim any size, are refused, and offsets are
checked before anything is read by them.
"""

import struct
from bisect import bisect_right
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

from gancli.data.archives.members import Packed
from gancli.data.archives.parquet import ROW_BYTES, table_errors, unreadable
from gancli.data.archives.tables import arrow, bytes_of, image_column, label_column
from gancli.data.listing import Listing
from gancli.data.sizes import check_memory
from gancli.errors import UserError

FILE_MAGIC = b"ARROW1"  # of the other format, Feather
COMPRESSION = 3  # number of the field in a record batch (github.com/apache/arrow, format/Message.fbs)
HEADER = 2  # of the field in a message that holds the record batch


def list_arrow(path: Path, listing: Listing, prefix: str, images: str | None, labels: str) -> None:
    """Add the rows of a file, named by their numbers behind `prefix`; the arguments are those of `list_parquet`.

    Raises:
        UserError: it is damaged, compressed, in Arrow's other format, or has no such columns.
    """
    pyarrow = arrow()
    try:
        with open(path, "rb") as file:
            if file.read(6) == FILE_MAGIC:
                raise UserError(f"{path} is in the Feather format: write it with datasets' save_to_disk, or as parquet.")
        schema, batches = _batches(pyarrow, path)
        column = image_column(schema, images, path)
        label = label_column(schema, column, labels, path, listing)
        count = sum(batch.num_rows for batch in batches)
        check_memory(path, ROW_BYTES * count)
        for batch in batches:
            for name in filter(None, (column, label)):
                batch.column(name).validate(full=True)
        values: list[Any] = [None] * count
        if label is not None:
            values = [value for batch in batches for value in batch.column(label).to_pylist()]
        rows = Cells([batch.column(column) for batch in batches])
    except table_errors() as error:
        raise unreadable(path, error) from None
    stamp = path.stat().st_mtime_ns
    for row, value in enumerate(values):
        listing.images.append(Packed(f"{prefix}{row:08d}", Path(f"{path}/row {row}"), -1, stamp, value,
                                     read=partial(rows.read, row)))


class Cells:
    """The images of a file's rows, in its mapped batches."""

    def __init__(self, columns: list[Any]) -> None:
        self._columns = columns
        self._starts = [0, *accumulate(len(column) for column in columns)]

    def read(self, row: int) -> bytes:
        """Return the bytes of a row's image; a ValueError where it has none."""
        number = bisect_right(self._starts, row) - 1
        return bytes_of(self._columns[number][row - self._starts[number]].as_py())


def _batches(pyarrow: Any, path: Path) -> tuple[Any, list[Any]]:
    """Return the schema and the record batches of a file, which lie in the mapped file."""
    source = pyarrow.memory_map(str(path))
    messages = pyarrow.ipc.MessageReader.open_stream(source)
    first = next(messages, None)
    if first is None or first.type != "schema":
        raise ValueError("it does not begin with a schema")
    schema, batches = pyarrow.ipc.read_schema(first), []
    for message in messages:
        if message.type != "record batch":
            raise ValueError(f"it holds a {message.type}, which these files do not")
        if _is_compressed(message.metadata.to_pybytes()):
            raise ValueError("it is compressed: write it with save_to_disk, or as parquet")
        batches.append(pyarrow.ipc.read_record_batch(message, schema))
    return schema, batches


def _is_compressed(metadata: bytes) -> bool:
    """Whether a record batch's description names a compression; a struct.error where it is cut short."""
    message = struct.unpack_from("<I", metadata)[0]
    header = _field(metadata, message, HEADER)
    if header is None:
        raise ValueError("a message of it is damaged")
    return _field(metadata, header + struct.unpack_from("<I", metadata, header)[0], COMPRESSION) is not None


def _field(data: bytes, table: int, number: int) -> int | None:
    """Return where a field of a flatbuffer's table lies, or None where it is left out (flatbuffers.dev/internals)."""
    vtable = table - struct.unpack_from("<i", data, table)[0]
    if vtable < 0 or 4 + 2 * number + 2 > struct.unpack_from("<H", data, vtable)[0]:
        return None
    offset = struct.unpack_from("<H", data, vtable + 4 + 2 * number)[0]
    return table + offset if offset else None
