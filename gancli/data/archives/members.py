"""An image inside of another file: its bytes are read when they are wanted, and no more of them than are plausible."""

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass

from gancli.capacity import free_bytes
from gancli.data.broken import BrokenImage
from gancli.data.listing import Entry
from gancli.data.sizes import UNREADABLE
from gancli.errors import UserError

LARGEST_IMAGE = 1 << 28  # bytes of one image file
LARGEST_TEXT = 1 << 30  # bytes of one file of labels
ASKED = 1 << 24  # bytes above which it is asked how much memory there is


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed(Entry):
    """A member of an archive, or a row of a table; `path` is what it is called in messages and no place to open."""

    read: Callable[[], bytes]  # all of it; whatever a reader of archives raises

    def file(self) -> io.BytesIO:
        """Return the image's bytes; a BrokenImage where they are too many or cannot be had."""
        refuse_size(self.size, LARGEST_IMAGE)
        try:
            return io.BytesIO(self.read())
        except BrokenImage:
            raise
        except MemoryError:
            raise BrokenImage("there is no memory for it") from None
        except (*UNREADABLE, NotImplementedError, zipfile.LargeZipFile) as error:
            raise BrokenImage((str(error).splitlines() or ["damaged"])[0].rstrip(".")) from None

    def text(self) -> str:
        """Return a file of labels as text in UTF-8; a UserError where it is none."""
        try:
            refuse_size(self.size, LARGEST_TEXT)
            return self.read().decode("utf-8-sig")
        except (BrokenImage, *UNREADABLE, NotImplementedError) as error:
            raise unreadable_labels(self, error) from None


def refuse_size(size: int, most: int) -> None:
    """Raise a BrokenImage for more bytes than such a file has, or than the memory holds; -1 is not known yet."""
    if size > most:
        raise BrokenImage(f"{size:,} bytes are more than such a file has")
    if size > ASKED and (free := free_bytes()) is not None and size > free:
        raise BrokenImage(f"{size:,} bytes do not fit into the memory that is free")


def unreadable_labels(entry: Entry, error: Exception) -> UserError:
    """Return the error for a file of labels that cannot be used."""
    reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
    return UserError(f"The labels in {entry.where} cannot be read ({reason}): repair the file, or give "
                     "dataset.label_files=none to do without it.")
