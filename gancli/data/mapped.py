"""Arrays of .npy files, and of .npz files that are not compressed, where they lie: mapped into memory, never read whole.

What a header says is held against the file first, and pickled objects are refused.

Legend: N rows.
"""

import math
import mmap
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

import numpy as np

from gancli.capacity import free_bytes

NORESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)  # Linux's, which Python names since 3.13
PIECE = 16 << 20  # bytes read at a time


@dataclass(frozen=True)
class Lying:
    """An array on the disk."""

    path: Path
    start: int  # of its numbers, in bytes
    shape: tuple[int, ...]
    dtype: np.dtype
    by_rows: bool  # each row lies in one piece
    member: zipfile.ZipInfo | None = None  # of an .npz file

    def array(self) -> np.ndarray:
        """Return the array, mapped."""
        return mapping(self.path, self.dtype, self.start, self.shape, self.by_rows)

    def pieces(self) -> Iterator[np.ndarray]:
        """Yield its rows in pieces of about PIECE bytes, read and not mapped, so that memory holds one of them.

        Raises:
            ValueError: the file is cut short, or a member of an .npz file has another checksum than it says.
        """
        assert self.by_rows
        row = math.prod(self.shape[1:]) * self.dtype.itemsize
        count = max(1, PIECE // max(1, row))
        with open(self.path, "rb") as file:
            file.seek(self.start)
            for first in range(0, self.shape[0], count):
                rows = min(count, self.shape[0] - first)
                buffer = bytearray(rows * row)
                if file.readinto(buffer) != len(buffer):
                    raise ValueError("it is cut short")
                yield np.frombuffer(buffer, self.dtype).reshape(rows, *self.shape[1:])

    def check(self) -> None:
        """Compare a member's checksum, as reading the whole of it would; ValueError where it is another."""
        if self.member is None:
            return
        with open(self.path, "rb") as file:
            left, found = self.member.file_size, 0
            file.seek(_content(file, self.member))
            while left:
                piece = file.read(min(PIECE, left))
                if not piece:
                    raise ValueError("it is cut short")
                found, left = zlib.crc32(piece, found), left - len(piece)
        if found != self.member.CRC:
            raise ValueError(f"Bad CRC-32 for file {self.member.filename!r}")


def mapping(path: Path, dtype: np.dtype, start: int, shape: tuple[int, ...], by_rows: bool = True) -> np.ndarray:
    """Return an array in a file, memory-mapped copy-on-write: torch wants writable memory, and the file stays as it is.

    No memory is set aside for what might be written, else a file larger than memory could not be mapped.  Of such a file
    the system reads what is asked for and no more: rows come in random order, and what lies around one would have to go again
    before it is wanted (batches of 64 from 30 GB beside 24: 0.7 to 1.5 ms, not 24 to 83).  A smaller file is better read
    ahead, since all of it stays.

    Raises:
        ValueError: the file is shorter.
    """
    begin = start - start % mmap.ALLOCATIONGRANULARITY
    length = start - begin + math.prod(shape) * dtype.itemsize
    with open(path, "rb") as file:
        if sys.platform == "linux":
            found = mmap.mmap(file.fileno(), length, mmap.MAP_PRIVATE | NORESERVE, mmap.PROT_READ | mmap.PROT_WRITE,
                              offset=begin)
        else:
            found = mmap.mmap(file.fileno(), length, access=mmap.ACCESS_COPY, offset=begin)
    free = free_bytes()
    if free is not None and length > free and hasattr(found, "madvise"):
        found.madvise(mmap.MADV_RANDOM)
    return np.ndarray(shape, dtype, found, start - begin, order="C" if by_rows else "F")


def lying(path: Path, name: str) -> Lying | None:
    """Return where an array lies; None for a compressed or encrypted member, whose numbers the file does not hold.

    Args:
        name: of the array in an .npz file.

    Raises:
        ValueError, OSError, zipfile.BadZipFile: it is no such file, or shorter than its header says.
    """
    member = None
    if path.suffix != ".npy":
        with zipfile.ZipFile(path) as archive:
            member = archive.getinfo(f"{name}.npy")
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
            return None
    with open(path, "rb") as file:
        end = path.stat().st_size
        if member is not None:
            start = _content(file, member)
            end = min(end, start + member.file_size)
            file.seek(start)
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, by_columns, dtype = read(file)
        needed = math.prod(map(int, shape)) * dtype.itemsize
        if dtype.hasobject or min(shape, default=0) < 0 or needed > end - file.tell():
            raise ValueError(f"its header says {needed:,} bytes of {list(shape)} and {end - file.tell():,} follow")
        return Lying(path, file.tell(), tuple(map(int, shape)), dtype, not by_columns or len(shape) < 2, member)


def checksum(where: Lying, axes: tuple[int, ...], told) -> str:
    """Return blake2b over an array's rows with their axes in another order, as the store hashes them.

    Args:
        axes: the order; the first is that of the rows.
        told: is called with how many rows are done.
    """
    whole, done = blake2b(digest_size=16), 0
    where.check()
    for piece in where.pieces():
        whole.update(np.ascontiguousarray(piece.transpose(axes)))
        done += len(piece)
        told(done)
    return whole.hexdigest()


def _content(file: BinaryIO, member: zipfile.ZipInfo) -> int:
    """Return where a member's content begins; ValueError where there is no member."""
    file.seek(member.header_offset)
    head = file.read(30)
    if len(head) < 30 or head[:4] != b"PK\x03\x04":
        raise ValueError("a member is missing")
    name, extra = struct.unpack("<HH", head[26:30])
    return member.header_offset + 30 + name + extra
