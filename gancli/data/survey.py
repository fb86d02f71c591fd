"""A look at every example of a data set, in bounded memory: sizes, modes, broken files, duplicates, classes.

Legend: N examples, H height, W width, C channels.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from gancli.data.broken import BrokenImage
from gancli.data.decode import Frame, decode_image, decode_many, examine_image
from gancli.data.duplicates import THUMBNAIL, Duplicates, difference_hash, find_duplicates
from gancli.data.files import FileSource
from gancli.data.listing import Entry
from gancli.data.source import Source
from gancli.data.spec import DataSpec
from gancli.data.splits import PARTS

WHITE = (255, 255, 255)
HASHED = Frame((8, 9), 1, "stretch", WHITE)
COMPARED = Frame((THUMBNAIL, THUMBNAIL), 1, "stretch", WHITE)
CHUNK = 1 << 20  # bytes of a larger file that are read at a time
WHOLE = 1 << 24  # bytes, up to which a file is read at once
TOLD_BROKEN = 100  # files whose reasons are kept

Progress = Callable[[str, int, int], None]


@dataclass
class Survey:
    """What was found."""

    names: list[str] = field(default_factory=list)  # of the images that were looked at
    parts: list[str | None] = field(default_factory=list)  # that they belong to: train, val, test
    sizes: Counter = field(default_factory=Counter)  # (height, width), upright
    modes: Counter = field(default_factory=Counter)  # as Pillow names them: L, RGB, RGBA, P, CMYK
    formats: Counter = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)  # "name (reason)", the first TOLD_BROKEN
    broken_count: int = 0
    duplicates: Duplicates = field(default_factory=Duplicates)
    classes: Counter = field(default_factory=Counter)  # examples by the number of their class


def survey_files(source: FileSource, place: str, progress: Progress) -> Survey:
    """Look at every file of a source: read, decoded small, compared.

    Args:
        source: with dataset.split=all, where there are parts, so that names begin with them.
        place: the folder or archive, to leave out of names.
    """
    found = Survey()
    entries = [entry for group in source.groups for row in group.rows for entry in row]
    found.names = [str(entry.path).removeprefix(place).lstrip("/") for entry in entries]
    if source.splits is not None:
        found.parts = [PARTS.get(entry.name.split("/", 1)[0].lower()) for entry in entries]
    digests: list[bytes | None] = []
    hashes: list[int | None] = []
    for results in decode_many(entries, _examined):
        for result in results:
            if isinstance(result, BrokenImage):
                found.broken_count += 1
                if len(found.broken) < TOLD_BROKEN:
                    found.broken.append(f"{found.names[len(digests)]} ({result})")
                digests.append(None)
                hashes.append(None)
                continue
            header, digest, value = result
            found.sizes[header.height, header.width] += 1
            found.modes[header.mode] += 1
            found.formats[header.format] += 1
            digests.append(digest)
            hashes.append(value)
        progress("looking at images", len(digests), len(entries))

    def thumbnails(rows: Sequence[int]) -> dict[int, np.ndarray]:
        small: dict[int, np.ndarray] = {}
        for results in decode_many([entries[row] for row in rows],
                                   lambda entry: (decode_image(entry.file(), COMPARED)[..., 0],)):
            for row, result in zip(rows[len(small):], results):
                small[row] = np.full((THUMBNAIL,) * 2, np.nan) if isinstance(result, BrokenImage) else result[0]
            progress("comparing", len(small), len(rows))
        return small

    found.duplicates = find_duplicates(digests, hashes, thumbnails)
    return found


def count_classes(source: FileSource) -> Counter:
    """Return how many examples each class has, by number."""
    labels = [group.labels for group in source.groups if group.labels is not None]
    return Counter(np.concatenate(labels).tolist()) if labels else Counter()


def survey_blocks(source: Source, spec: DataSpec, wanted: Sequence[int],
                  progress: Progress) -> tuple[Survey, list[np.ndarray]]:
    """Look at every example of a source that has no files, and return those at the rows wanted, of the first domain."""
    found, shown, rows, seen = Survey(), [], set(wanted), 0
    digests: list[bytes | None] = []
    for block in source.blocks():
        if block.domain:
            continue
        for at, example in enumerate(block.examples):
            digests.append(blake2b(np.ascontiguousarray(example), digest_size=16).digest())
            if seen + at in rows:
                shown.append(np.asarray(example))
        if block.labels is not None:
            found.classes.update(np.asarray(block.labels).tolist())
        seen += len(block.examples)
        progress("looking at examples", seen, max(spec.count, seen))
    found.names = [f"number {row}" for row in range(seen)] if seen < 1_000_000 else []
    if spec.is_image:
        found.sizes[tuple(spec.shape[1:])] = seen
        found.duplicates = find_duplicates(digests, [None] * seen, lambda rows: {})
    return found, shown


def chosen_rows(source: FileSource, n: int) -> list[tuple[Entry, ...]]:
    """Return n rows of a source spread evenly, of each class in turn where there are labels."""
    chosen: list[tuple[Entry, ...]] = []
    for group in source.groups:
        rows = np.arange(len(group.rows))
        if group.labels is not None:
            order = np.argsort(group.labels, kind="stable")
            counts = np.bincount(group.labels)
            turn = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
            rows = order[np.lexsort((group.labels[order], turn))][:n]
        elif len(rows) > n:
            rows = np.arange(n) * len(rows) // n
        chosen += [group.rows[row] for row in rows[:n]]
    return chosen


def decoded_rows(source: FileSource, rows: list[tuple[Entry, ...]], spec: DataSpec) -> list[tuple[Any, ...]]:
    """Return the images of some rows, each uint8 [H, W, C] as training would see it; broken ones are left out."""
    frame = Frame.of(source.options, spec.shape)
    return [result for results in decode_many(rows, lambda row: source.decode(row, frame)) for result in results
            if not isinstance(result, BrokenImage)]


def _examined(entry: Entry) -> tuple[Any, bytes, int]:
    """Return an image's header, a checksum of its bytes and its difference hash; a file of common size is read once."""
    file = entry.file()
    try:
        if isinstance(file, Path) and file.stat().st_size <= WHOLE:
            file = BytesIO(file.read_bytes())
        digest = _checksum(file)
    except OSError as error:
        raise BrokenImage(error.strerror or "unreadable") from None
    header, pixels = examine_image(file, HASHED)
    return header, digest, difference_hash(pixels)


def _checksum(file: Path | BytesIO) -> bytes:
    if isinstance(file, BytesIO):
        return blake2b(file.getbuffer(), digest_size=16).digest()
    whole = blake2b(digest_size=16)
    with open(file, "rb") as opened:
        while chunk := opened.read(CHUNK):
            whole.update(chunk)
    return whole.digest()
