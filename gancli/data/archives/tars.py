"""The images in a tar archive."""

import tarfile
from functools import partial
from pathlib import Path

from gancli.data.archives.members import Packed
from gancli.data.listing import Listing, place_in
from gancli.data.sizes import UNREADABLE
from gancli.errors import UserError

COMPRESSED = {b"\x1f\x8b": "gunzip", b"BZh": "bunzip2", b"\xfd7zXZ": "unxz", b"\x28\xb5\x2f\xfd": "unzstd"}  # by magic number


def list_tar(path: Path, listing: Listing, prefix: str = "") -> None:
    """Add what an archive holds, each name behind `prefix`; links, devices and sparse files are passed over.

    Raises:
        UserError: it is damaged, cut short, or compressed as a whole, so that no file in it can be read by itself.
    """
    try:
        _refuse_compressed(path)
        size, stamp = path.stat().st_size, path.stat().st_mtime_ns
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                archive.members = []  # of which it would keep every one
                if not member.isreg() or member.issparse():
                    listing.ignored += not member.isdir()
                    continue
                if member.size < 0 or member.offset_data + member.size > size:
                    raise tarfile.ReadError(f"it ends within {member.name}")
                place_in(listing, Packed(f"{prefix}{member.name}", Path(f"{path}/{member.name}"), member.size, stamp,
                                         read=partial(_read, path, member.offset_data, member.size)))
    except (*UNREADABLE, tarfile.TarError, OverflowError) as error:
        raise UserError(f"{path} cannot be read as a tar archive ({(str(error).splitlines() or ['damaged'])[0]}): fetch or "
                        "make it again.") from None


def _read(path: Path, start: int, size: int) -> bytes:
    with open(path, "rb") as file:  # of its own: threads read at the same time
        file.seek(start)
        return file.read(size)


def _refuse_compressed(path: Path) -> None:
    with open(path, "rb") as file:
        start = file.read(8)
    for magic, tool in COMPRESSED.items():
        if start.startswith(magic):
            raise UserError(f"{path} is compressed as a whole, so that no image in it can be read by itself: type "
                            f"`{tool} --keep {path.name}` and give the .tar (images hardly shrink), or unpack it.")
