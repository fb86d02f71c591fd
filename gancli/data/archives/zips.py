"""The images in a zip archive."""

import struct
import zipfile
from functools import partial
from pathlib import Path

from gancli.data.archives.members import Packed
from gancli.data.listing import Listing, place_in
from gancli.data.sizes import UNREADABLE, check_memory
from gancli.errors import UserError

PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
END, LONG_END = b"PK\x05\x06", b"PK\x06\x06"  # of the directory at an archive's end, APPNOTE 4.3.16 and 4.3.14
TAIL = (1 << 16) + 256  # bytes in which they stand: a comment has at most 65,535
OBJECTS = 16  # bytes of memory that a byte of the directory becomes, and more than that


def list_zip(path: Path, listing: Listing, prefix: str = "") -> None:
    """Add what an archive holds, each name behind `prefix`.

    Raises:
        UserError: it is damaged, encrypted or packed in a way that cannot be read in place.
    """
    try:
        check_memory(path, OBJECTS * _directory_bytes(path))
        archive = zipfile.ZipFile(path)
    except UNREADABLE as error:
        raise UserError(f"{path} cannot be read as a zip archive ({(str(error).splitlines() or ['damaged'])[0]}): fetch or "
                        "make it again.") from None
    infos = [info for info in archive.infolist() if not info.is_dir()]
    if any(info.flag_bits & 1 for info in infos):
        raise UserError(f"{path} is encrypted: unpack it with its password, and give the folder.")
    if any(info.compress_type not in PACKINGS for info in infos):
        raise UserError(f"{path} is packed in a way that cannot be read here: unpack it and give the folder, or pack it "
                        "without compression (images hardly shrink).")
    stamp = path.stat().st_mtime_ns
    for info in infos:
        place_in(listing, Packed(f"{prefix}{info.filename}", Path(f"{path}/{info.filename}"), info.file_size, stamp,
                                 read=partial(_read, archive, info)))


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Return a member, of no more bytes than its entry says; archives can be read by several threads."""
    with archive.open(info) as file:
        return file.read(info.file_size)


def _directory_bytes(path: Path) -> int:
    """Return how long the archive's end says that its directory is, as zipfile will read it; 0 where it says nothing."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        file.seek(max(0, size - TAIL))
        tail = file.read(TAIL)
    at = tail.rfind(END)
    if at < 0 or at + 22 > len(tail):
        return 0
    length = struct.unpack_from("<I", tail, at + 12)[0]
    far = tail.rfind(LONG_END, 0, at)
    if length == 0xFFFFFFFF and far >= 0 and far + 56 <= len(tail):
        length = struct.unpack_from("<Q", tail, far + 40)[0]
    return min(length, size)
