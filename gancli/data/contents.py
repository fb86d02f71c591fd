"""What lies at a path of the user's: a folder of images, an archive or table, or a folder of such (shards)."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from gancli.data.annotations import annotate
from gancli.data.archives.arrow import list_arrow
from gancli.data.archives.parquet import list_parquet
from gancli.data.archives.tars import list_tar
from gancli.data.archives.zips import list_zip
from gancli.data.listing import LABEL_FILES, Listing, list_images, shown
from gancli.data.splits import PARTS
from gancli.errors import UserError

KINDS = {".zip": "zip archive", ".tar": "tar archive", ".parquet": "parquet file", ".arrow": "Arrow file"}
WHOLE = (".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2", ".tar.zst")  # refused by list_tar, with what to type
OTHER_ARCHIVES = (".7z", ".rar", ".gz", ".bz2", ".xz", ".zst")
PART = re.compile(rf"(?:^|[-_./])({'|'.join(sorted(PARTS, key=len, reverse=True))})(?=[-_./]|$)", re.IGNORECASE)
OWN = re.compile(r"(cache-|indices).*\.arrow|.*\.incomplete")  # files that Hugging Face's library keeps for itself


@dataclass
class Contents:
    """The images at a path, named so that a first folder may be a part or a class."""

    listing: Listing
    what: str  # "Zip archive photos.zip"
    packed: bool  # whether the images lie in archives or tables
    notes: list[str]
    files: list[Path]  # archives, tables and files of labels: what changes when they do
    unlabeled: bool  # a file of labels says that there are none, so that folders are no classes


def contents_of(path: Path, images: str | None, labels: str, label_files: str) -> Contents:
    """Return what is at `path`.

    Args:
        images: dataset.images, the column of images in tables.
        labels: dataset.labels.
        label_files: dataset.label_files; none passes over files of labels.

    Raises:
        UserError: it cannot be read, or is nothing that holds images.
    """
    if not path.is_dir():
        listing, notes, unlabeled = _opened(path, images, labels, label_files)
        return Contents(_sorted(listing), f"{_kind(path).capitalize()} {shown(path.name)}", True, notes, [path], unlabeled)
    listing = list_images(path)
    shards = [] if listing.images else shards_in(path)
    if not shards:
        notes, unlabeled = _annotated(listing, labels, label_files)
        files = [entry.path for entry in listing.texts.values()] if listing.label_source else []
        return Contents(listing, f"Folder {shown(path.name)}", False, notes, files, unlabeled)
    whole, parts = Listing(), parts_of([os.fspath(shard.relative_to(path)) for shard in shards])
    notes, unlabeled = [], False
    for number, shard in enumerate(shards):
        listing, more, none = _opened(shard, images, labels, label_files)
        prefix = f"{parts[number]}/" if parts else ""
        if _is_table(shard):
            prefix = f"{prefix}{shown(shard.stem)}-"
        whole.images += [replace(entry, name=f"{prefix}{entry.name}") for entry in listing.images]
        whole.ignored += listing.ignored
        whole.names, whole.label_source = listing.names or whole.names, listing.label_source or whole.label_source
        whole.columns, unlabeled = listing.columns, unlabeled or none
        notes += [note for note in more if note not in notes]
    kinds = sorted({_kind(shard) for shard in shards})
    what = f"Folder {shown(path.name)} of {len(shards):,} {' and '.join(kinds)}{'s' if len(shards) > 1 else ''}"
    return Contents(_sorted(whole), what, True, notes, shards, unlabeled)


def shards_in(folder: Path) -> list[Path]:
    """Return the archives or tables below a folder, sorted by name; hidden ones, and those of a library's own, are none."""
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(place, name) for name in sorted(files) if not name.startswith(".") and not OWN.fullmatch(name)
                  and os.path.splitext(name)[1].lower() in KINDS and Path(place, name).is_file()]
    return found


def parts_of(names: list[str]) -> list[str] | None:
    """Return the part that each shard is by its name (train-00000-of-00002.parquet, train/0000.parquet), or None.

    They are parts where each is named so and train is among them.
    """
    found = [matches[-1] if (matches := PART.findall(os.path.splitext(name)[0].replace(os.sep, "/"))) else None
             for name in names]
    parts = [None if part is None else PARTS[part.lower()] for part in found]
    return parts if None not in parts and "train" in parts else None


def is_archive(path: Path) -> bool:
    """Whether a file is an archive or a table by its name, readable or not."""
    return path.name.lower().endswith((*KINDS, *WHOLE))


def _opened(path: Path, images: str | None, labels: str, label_files: str) -> tuple[Listing, list[str], bool]:
    """Return what one archive or table holds, sentences on it, and whether it says that there are no labels."""
    listing, ending = Listing(), path.suffix.lower()
    if ending in (".parquet", ".arrow"):
        _table_reader(ending)(path, listing, "", images, labels)
        return listing, [], False
    if ending == ".zip":
        list_zip(path, listing)
    elif ending == ".tar" or path.name.lower().endswith(WHOLE):
        list_tar(path, listing)
    else:
        other = "unpack it" if ending in OTHER_ARCHIVES else f"give one that ends in {', '.join(KINDS)}"
        raise UserError(f"{shown(path)} is a file and no archive of images that can be read: {other}, give the folder that "
                        "holds the images, or dataset=npz for an array.")
    if not listing.images:
        raise UserError(f"{shown(path)} holds no images but {listing.ignored + len(listing.texts)} files of other kinds: "
                        "give an archive with .png, .jpg, .webp or other image files.")
    notes, unlabeled = _annotated(listing, labels, label_files)
    return _without_top(listing), notes, unlabeled


def _table_reader(ending: str) -> Callable[..., None]:
    return list_parquet if ending == ".parquet" else list_arrow


def _annotated(listing: Listing, labels: str, label_files: str) -> tuple[list[str], bool]:
    """Give the images their labels; return sentences, and whether a dataset.json says that there are none."""
    named = sorted({name.rsplit("/", 1)[-1] for name in listing.texts if name.rsplit("/", 1)[-1] in LABEL_FILES})
    if label_files == "none":
        return [f"{name} is not looked at (dataset.label_files=none)." for name in named], False
    notes = annotate(listing, labels)
    labeled = any(entry.label is not None for entry in listing.images)
    unlabeled = labels == "auto" and not labeled and "dataset.json" in named
    if unlabeled:
        notes.append("dataset.json has no labels, so that folders are not taken for classes (dataset.labels=folders would).")
    if not listing.label_source:
        listing.ignored += sum(name.rsplit("/", 1)[-1] not in LABEL_FILES for name in listing.texts)
    return notes, unlabeled


def _without_top(listing: Listing) -> Listing:
    """Return the listing of an archive without a folder that all images lie in and that is no part."""
    while listing.images:
        top, slash, _ = listing.images[0].name.partition("/")
        if not slash or top.lower() in PARTS or not all(entry.name.startswith(f"{top}/") for entry in listing.images):
            break
        listing.images = [replace(entry, name=entry.name[len(top) + 1:]) for entry in listing.images]
    return listing


def _sorted(listing: Listing) -> Listing:
    listing.images.sort(key=lambda entry: entry.name)
    return listing


def _is_table(path: Path) -> bool:
    return path.suffix.lower() in (".parquet", ".arrow")


def _kind(path: Path) -> str:
    return KINDS.get(path.suffix.lower(), "tar archive")


