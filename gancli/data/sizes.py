"""What a data file claims to hold against what it holds and what the memory holds, before anything of that size is made."""

import math
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from gancli.capacity import free_bytes
from gancli.errors import UserError

# What numpy, zipfile and zlib raise for archives that are damaged, encrypted, packed otherwise or no archives.
UNREADABLE = (OSError, ValueError, EOFError, TypeError, KeyError, SyntaxError, RecursionError, RuntimeError, struct.error,
              tokenize.TokenError, zipfile.BadZipFile, zlib.error)


def check_memory(path: Path, needed: int) -> None:
    """Raise a UserError where a file's content would need more memory than is free."""
    free = free_bytes()
    if free is not None and needed > free:
        raise UserError(f"{path} would need {needed / 2**30:,.1f} GiB of memory and {free / 2**30:,.1f} GiB are free: give a "
                        "smaller file, or close other programs.")


def check_arrays(path: Path, mapped: bool = False) -> None:
    """Check the header of every array in an .npy or .npz file.

    Args:
        mapped: large arrays (of three axes or more) are mapped where they lie, and need no memory unless they are compressed.

    Raises:
        UserError: it is no such file, an array is shorter than its header says, or memory is too small for them.
    """
    try:
        if path.suffix == ".npy":
            with open(path, "rb") as file:
                total = _bytes(file, path.stat().st_size, mapped)
        else:
            with zipfile.ZipFile(path) as archive:
                total = 0
                for member in archive.infolist():
                    if member.filename.endswith(".npy"):
                        with archive.open(member) as file:
                            total += _bytes(file, member.file_size, mapped and member.compress_type == zipfile.ZIP_STORED)
    except UNREADABLE as error:
        raise UserError(f"{path} cannot be read as .npz or .npy ({str(error).splitlines()[0] if str(error) else 'damaged'}): "
                        "write it with numpy.savez.") from None
    check_memory(path, total)


def _bytes(file: BinaryIO, size: int, mapped: bool) -> int:
    """Return the bytes of memory for an array, as its header says; ValueError where so many do not follow it."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    needed = math.prod(map(int, shape)) * dtype.itemsize
    if min(shape, default=0) < 0 or needed > size - file.tell() and not dtype.hasobject:
        raise ValueError(f"its header says {needed:,} bytes of {list(shape)} and {size - file.tell():,} follow")
    return 0 if mapped and len(shape) > 2 else needed
