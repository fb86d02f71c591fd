"""Files that give images their labels: StyleGAN's dataset.json, imagefolder's metadata, webdataset's .cls and .json.

Names in them are looked up among the images that were listed, and lead nowhere else.
"""

import csv
import io
import json
import posixpath
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from gancli.data.archives.members import LARGEST_TEXT, refuse_size, unreadable_labels
from gancli.data.broken import BrokenImage
from gancli.data.labels import choose_column
from gancli.data.listing import LABEL_FILES, Entry, Listing, shown

NAME_COLUMNS = ("file_name", "filename", "file", "image", "image_file")  # the first is imagefolder's
LARGEST_BESIDE = 1 << 20  # bytes of the labels of one image
DAMAGED = (OSError, ValueError, TypeError, KeyError, RecursionError, csv.Error, BrokenImage)


def annotate(listing: Listing, wanted: str) -> list[str]:
    """Give the images of `listing` the labels that its files say; return sentences on what is not used.

    Args:
        wanted: dataset.labels.

    Raises:
        UserError: a file is damaged, or has no such column.
    """
    if wanted in ("folders", "none"):
        used = sorted({name.rsplit("/", 1)[-1] for name in listing.texts if name.rsplit("/", 1)[-1] in LABEL_FILES})
        return [f"{name} is not looked at (dataset.labels={wanted})." for name in used]
    notes: list[str] = []
    labels: dict[str, Any] = {}
    for name, entry in sorted(listing.texts.items()):
        folder, _, base = name.rpartition("/")
        if base not in LABEL_FILES:
            continue
        try:
            refuse_size(entry.size, LARGEST_TEXT)
            found = (_stylegan(entry) if base == "dataset.json" and wanted == "auto" else
                     {} if base == "dataset.json" else _metadata(entry, wanted, listing, notes))
        except DAMAGED as error:
            raise unreadable_labels(entry, error) from None
        labels |= {posixpath.normpath(posixpath.join(folder, file.replace("\\", "/"))): label
                   for file, label in found.items()}
        if found:
            listing.label_source = base if base == "dataset.json" else f"{listing.label_source} of {base}"
    if not labels:
        labels = _beside(listing, wanted)
    if labels:
        listing.images = [replace(entry, label=labels.get(entry.name)) for entry in listing.images]
    return notes


def _stylegan(entry: Entry) -> dict[str, Any]:
    """Return the labels of a dataset.json, {"labels": [[name, label], ...]} (github.com/NVlabs/stylegan3, dataset_tool.py)."""
    content = json.loads(entry.text())
    labels = content.get("labels") if isinstance(content, dict) else None
    if labels is None:
        return {}
    if not isinstance(labels, list) or not all(isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str)
                                               for pair in labels):
        raise ValueError("its labels are no list of [name, label]")
    return {name: label for name, label in labels}


def _metadata(entry: Entry, wanted: str, listing: Listing, notes: list[str]) -> dict[str, Any]:
    """Return the labels of a metadata.csv or .jsonl, and note where it has none."""
    rows = _csv_rows(entry) if entry.name.endswith(".csv") else _json_rows(entry)
    found: dict[str, Any] = {}
    named = column = None
    for number, row in enumerate(rows):
        if number == 0:
            named = next((name for name in NAME_COLUMNS if name in row), None)
            if named is None:
                notes.append(f"{shown(entry.name)} is passed over: it has no column {NAME_COLUMNS[0]} that names the images.")
                return {}
            columns = [name for name in row if isinstance(name, str) and name != named]  # None: what has no heading
            column = choose_column(columns, wanted, entry.where, listing)
            if column is None:
                return {}
        if isinstance(row.get(named), str):
            found[row[named]] = row.get(column)
    return found


def _csv_rows(entry: Entry) -> Iterator[dict[str, Any]]:
    yield from csv.DictReader(io.StringIO(entry.text(), newline=""))


def _json_rows(entry: Entry) -> Iterator[dict[str, Any]]:
    for line in entry.text().splitlines():
        if line.strip():
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError("a line of it is no object")
            yield row


def _beside(listing: Listing, wanted: str) -> dict[str, Any]:
    """Return the labels that stand in files beside the images, as in webdataset's archives."""
    by_key = {_key(name): entry for name, entry in listing.texts.items() if name.endswith(".cls")} if wanted == "auto" else {}
    if by_key:
        listing.label_source = ".cls files"
        return _read_beside(listing, by_key, lambda text: text.strip())
    by_key = {_key(name): entry for name, entry in listing.texts.items()
              if name.endswith(".json") and name.rsplit("/", 1)[-1] not in LABEL_FILES}
    first = next((by_key[_key(image.name)] for image in listing.images if _key(image.name) in by_key), None)
    if first is None:
        return {}
    row = _object(first)
    column = choose_column(list(row), wanted, first.where, listing)
    if column is None:
        return {}
    listing.label_source = f"the key {column} of .json files"
    return _read_beside(listing, by_key, lambda text: json.loads(text).get(column))


def _object(entry: Entry) -> dict[str, Any]:
    try:
        refuse_size(entry.size, LARGEST_BESIDE)
        row = json.loads(entry.text())
    except DAMAGED as error:
        raise unreadable_labels(entry, error) from None
    return row if isinstance(row, dict) else {}


def _read_beside(listing: Listing, by_key: dict[str, Entry], read: Any) -> dict[str, Any]:
    labels = {}
    for image in listing.images:
        entry = by_key.get(_key(image.name))
        if entry is None:
            continue
        try:
            refuse_size(entry.size, LARGEST_BESIDE)
            labels[image.name] = read(entry.text())
        except (*DAMAGED, AttributeError) as error:
            raise unreadable_labels(entry, error) from None
    return labels


def _key(name: str) -> str:
    """Return what the files of one example have in common: the name up to the first dot behind the last slash."""
    folder, slash, base = name.rpartition("/")
    return f"{folder}{slash}{base.partition('.')[0]}"


