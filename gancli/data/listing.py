"""Which image files a folder holds, and what is wrong with a folder that holds none."""

import io
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from gancli.errors import UserError, near

SUFFIXES = frozenset(
    ".png .jpg .jpeg .jpe .jfif .webp .bmp .gif .tif .tiff .ppm .pgm .pbm .pnm .tga .avif .jp2".split())

LABEL_FILES = ("dataset.json", "metadata.csv", "metadata.jsonl")  # of StyleGAN's archives, and of Hugging Face's imagefolder
BESIDE = (".cls", ".json", ".txt")  # of one image of that name in a tar archive, as webdataset has them

TEXT_SUFFIXES = frozenset((".txt", ".text"))


@dataclass(frozen=True, slots=True)
class Entry:
    """An image file."""

    name: str  # relative to the listed folder, with / between its parts
    path: Path
    size: int  # bytes
    mtime_ns: int
    label: Any = None  # as a file of labels or a table has it: a number or text

    def file(self) -> Path | io.BytesIO:
        """Return what a decoder opens."""
        return self.path

    def text(self) -> str:
        """Return the content of a file of labels, in UTF-8; what a reader of files raises."""
        return self.path.read_text(encoding="utf-8-sig")

    @property
    def where(self) -> str:
        """What the file is called in messages."""
        return shown(self.path)

    @property
    def key(self) -> str:
        """The name without its ending: what makes two files a pair, and what a held-out part is drawn by."""
        return str(PurePosixPath(self.name).with_suffix(""))


@dataclass
class Listing:
    """The contents of a folder, of an archive or of several."""

    images: list[Entry] = field(default_factory=list)  # sorted by name
    ignored: int = 0  # files that are no images by their ending; hidden ones are not even counted
    texts: dict[str, Entry] = field(default_factory=dict)  # files that may hold labels, by name
    names: tuple[str, ...] | None = None  # of the classes, where labels are their numbers
    label_source: str = ""  # where labels come from, in words
    columns: list[str] = field(default_factory=list)  # that could be labels and are not taken


def place_in(listing: Listing, entry: Entry) -> None:
    """Put a member of an archive where its name belongs: among images, files of labels or others; hidden ones nowhere."""
    parts = entry.name.split("/")
    if any(part.startswith(".") or part == "__MACOSX" for part in parts):
        return
    ending = os.path.splitext(parts[-1])[1].lower()
    if ending in SUFFIXES:
        listing.images.append(entry)
    elif parts[-1] in LABEL_FILES or ending in BESIDE:
        listing.texts[entry.name] = entry
    else:
        listing.ignored += 1


def list_images(folder: Path) -> Listing:
    """Return the image files below `folder`; hidden files and loops of links are passed over.

    Raises:
        UserError: the folder or one below it cannot be read.
    """
    listing = Listing()
    walk(folder, "", (), listing)
    listing.images.sort(key=lambda entry: entry.name)
    return listing


def walk(folder: Path, prefix: str, above: tuple[tuple[int, int], ...], listing: Listing) -> None:
    """Add what lies in `folder`; `above` identifies the folders that lead to it."""
    try:
        status = folder.stat()
        identity = (status.st_dev, status.st_ino)
        if identity in above:
            return
        with os.scandir(folder) as scan:
            found = sorted((entry for entry in scan if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(f"{shown(folder)} cannot be read ({error.strerror}): change its permissions, "
                        "or move it away.") from None
    for entry in found:
        if is_folder(entry):
            walk(Path(entry.path), f"{prefix}{entry.name}/", (*above, identity), listing)
        elif os.path.splitext(entry.name)[1].lower() in SUFFIXES and (stamp := stamp_of(entry)) is not None:
            listing.images.append(Entry(f"{prefix}{entry.name}", Path(entry.path), stamp[0], stamp[1]))
        elif entry.name in LABEL_FILES and (stamp := stamp_of(entry)) is not None:
            listing.texts[f"{prefix}{entry.name}"] = Entry(f"{prefix}{entry.name}", Path(entry.path), stamp[0], stamp[1])
        else:
            listing.ignored += 1


def is_folder(entry: os.DirEntry) -> bool:
    """Whether the entry is a folder or a link to one."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def stamp_of(entry: os.DirEntry) -> tuple[int, int] | None:
    """Return (bytes, mtime in ns), or None for a link that leads nowhere and for what is no file (a pipe would hang)."""
    try:
        status = entry.stat()
    except OSError:
        return None
    return (status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None


def is_text_file(path: Path) -> bool:
    """Whether a path is that of a text file by its name, and not hidden."""
    return path.suffix.lower() in TEXT_SUFFIXES and not path.name.startswith(".") and path.is_file()


def find_path(key: str, value: str | None, data_dir: Path, kind: str = "folder") -> Path:
    """Return the existing path that `value` names, from here or from `data_dir`.

    Raises:
        UserError: no value, or nothing there; the message names what is near.
    """
    if not value:
        raise UserError(f"{key} has no value: give {key}={kind.upper()}.")
    given = Path(value).expanduser()
    for path in (Path(os.path.abspath(given)), data_dir / given):
        if exists(path):
            return path
    parent = Path(os.path.abspath(given)).parent
    hint = near(given.name, visible(parent)[:20]) if exists(parent) else f"there is no folder {parent} either."
    also = "" if given.is_absolute() else f" (nor below {data_dir})"
    raise UserError(f"{key}={value} does not exist{also}; {hint} Give {key}={kind.upper()}.")


def exists(path: Path) -> bool:
    """Whether there is something at `path`; a UserError where that may not be seen."""
    try:
        return path.exists()
    except OSError as error:
        raise UserError(f"{shown(path)} cannot be read ({error.strerror}): change its permissions, "
                        "or give another path.") from None


def visible(folder: Path) -> list[str]:
    """Return the names in `folder` that are not hidden, sorted; none where it cannot be read."""
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError:
        return []


def require_images(folder: Path, listing: Listing) -> None:
    """Raise a UserError if `folder` holds no image."""
    if not listing.images:
        instead = f"{listing.ignored} files of other kinds" if listing.ignored else "no files"
        raise UserError(f"{shown(folder)} holds no images but {instead}: give a folder with "
                        ".png, .jpg, .webp, .gif, .tif, .bmp, .ppm, .tga or .avif files.")


def ignored(count: int, where: str = "") -> str:
    """Return the sentence on files that were left out."""
    return f"Ignored 1 file{where} that is no image." if count == 1 else f"Ignored {count:,} files{where} that are no images."


def shown(path: Path | str) -> str:
    """Return a path that can be printed, whatever bytes its name has."""
    return os.fspath(path).encode("utf-8", "replace").decode()


def list_names(names: Iterable[str], most: int = 5) -> str:
    """Return the first names joined by commas, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(shown(name) for name in names[:most]) + more
