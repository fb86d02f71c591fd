"""The decoded examples of a data set, in memory or in one memory-mapped file that the next start uses again.

File: the domains' examples, the labels, the attributes, a JSON footer, the footer's length (8 bytes), a magic number.
It is written under a temporary name and renamed, so that a kill leaves either the old file or the new one.  The checksum over
all of it is computed when it is first read; a file beside it, NAME.checked, then remembers which file that was.

Legend: N examples, H height, W width, C channels, P coordinates, T tokens, A attributes.
"""

import json
import os
import secrets
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path

import numpy as np

from gancli.capacity import free_bytes
from gancli.data.checksums import checked_file, combined, remembered, stamped
from gancli.data.in_place import taken
from gancli.data.mapped import mapping
from gancli.data.once import FOLDER, made_once
from gancli.data.sizes import check_memory
from gancli.data.source import InPlace, Source, stored
from gancli.data.spec import DataSpec
from gancli.errors import UserError
from gancli.runs.atomic import write_json

MAGIC = b"GANSTOR1"
MEMORY_SHARE = 0.5  # of the free memory that store=auto fills before it turns to a file
UNKNOWN_FREE = 2 << 30  # taken for the free memory where the system does not say
STALE_S = 3600  # a temporary file untouched for so long belongs to a run that was killed

DTYPES = {"images": "uint8", "points": "float32", "tokens": "int32"}  # int32: what every device can index, in half the bytes

Progress = Callable[[int, int], None]


@dataclass
class Decoded:
    """A whole data set, decoded."""

    examples: list[np.ndarray]  # one uint8 [N, H, W, C], float32 [N, P] or int32 [N, T] per domain
    labels: np.ndarray | None  # int64 [N]
    digest: str  # over every byte above
    skipped: list[str] = field(default_factory=list)  # broken files, "name (reason)"
    path: Path | None = None  # of the memory-mapped file
    attributes: np.ndarray | None = None  # uint8 [N, A] in {0, 1}


def decode(source: Source, spec: DataSpec, store: str, progress: Progress) -> Decoded:
    """Return the decoded examples of `source`: from its file if that is unchanged, else decoded (and kept, if it pays).

    Args:
        store: auto, memory or mmap. auto keeps a file where decoding is slow or the memory too small; what lies on the
            disk as that file would have it is used there.

    Raises:
        UserError: nothing could be decoded, a file is broken and dataset.broken=fail, the disk is full, or the memory.
    """
    needed = _bytes(source, spec)
    if _stays_in_memory(source, needed, store):
        check_memory(Path(source.place() or source.options.name), needed)
        return in_memory(source, spec, progress)
    path, key = store_path(source), store_key(source, spec)
    there = source.in_place()
    if there is not None:
        return _in_place(there, path, key, source, progress)
    try:
        return made_once(path.with_name(f"{path.name}.making"),
                         _Look(path, key, source.notes, getattr(source.options, "verify", False)),
                         lambda: written(source, spec, path, key, progress), "decodes these data")
    except OSError as error:
        if store == "mmap" or needed > _most_in_memory():
            raise UserError(f"The decoded data ({needed / 1e9:.1f} GB) cannot be kept in {path.parent} "
                            f"({error.strerror or error}): give data_dir=FOLDER on another disk, or a "
                            "smaller dataset.size= or dataset.limit=.") from None
        source.notes.append(f"{path.parent} cannot be written ({error.strerror or error}): the decoded data stay in "
                            "memory and will be decoded again at the next start.")
        return in_memory(source, spec, progress)


def _in_place(there: InPlace, path: Path, key: str, source: Source, progress: Progress) -> Decoded:
    """Return examples that are used where they lie; beside `path`, which would be their store, it is noted what was read."""
    digest = taken(there, path, key, getattr(source.options, "verify", False), progress)
    return Decoded([there.examples], there.labels, digest, path=there.path, attributes=there.attributes)


class _Look:
    """Returns what a file holds, None where it is not there or of no use; reads it again when it has changed."""

    def __init__(self, path: Path, key: str, notes: list[str], verify: bool) -> None:
        self.path, self.key, self.notes, self.verify = path, key, notes, verify
        self._seen: tuple[int, int] | None = None

    def __call__(self) -> Decoded | None:
        try:
            stat = self.path.stat()
        except OSError:
            return None
        if self._seen == (stat.st_mtime_ns, stat.st_ino):
            return None
        self._seen = stat.st_mtime_ns, stat.st_ino
        found, problem = read_file(self.path, self.key, self.verify)
        if found is None:
            self.notes.append(f"{self.path} {problem} and is made again.")
        return found


def waits_on_disk(source: Source, spec: DataSpec, store: str) -> bool | None:
    """Whether the decoded examples are on disk; False where they would first be written, None where they stay in memory."""
    if _stays_in_memory(source, _bytes(source, spec), store):
        return False if source.slow else None
    if source.in_place() is not None:
        return True
    try:
        return read_footer(store_path(source))["key"] == store_key(source, spec)
    except (OSError, ValueError, KeyError, TypeError, struct.error):
        return False


class Tally:
    """Counts, labels, attributes and checksum of the blocks that pass by, wherever they are put."""

    def __init__(self, source: Source, spec: DataSpec, progress: Progress) -> None:
        self.planned = source.counts()
        self.rows = [0] * len(self.planned)
        self.labels: list[np.ndarray] = []
        self.attributes: list[np.ndarray] = []
        self._hashes = [blake2b(digest_size=16) for _ in self.planned]
        self._progress = progress
        self._vocabulary = len(spec.vocabulary) if spec.kind == "tokens" else None
        self.row_shape = (*spec.shape[1:], spec.shape[0]) if spec.is_image else tuple(spec.shape)
        self.dtype = np.dtype(DTYPES[spec.kind])

    def pieces(self, source: Source):
        """Yield (domain, first row, contiguous examples) for each block of `source`."""
        done = 0
        for block in source.blocks():
            if self._vocabulary is not None:
                check_tokens(block.examples, self._vocabulary)
            examples = np.ascontiguousarray(block.examples, dtype=self.dtype)
            yield block.domain, self.rows[block.domain], examples
            self._hashes[block.domain].update(examples)
            self.rows[block.domain] += len(examples)
            if block.labels is not None and block.domain == 0:
                self.labels.append(np.asarray(block.labels, dtype=np.int64))
            if block.attributes is not None and block.domain == 0:
                self.attributes.append(np.asarray(block.attributes, dtype=np.uint8))
            done += len(examples)
            self._progress(done, sum(self.planned))
        if min(self.rows) == 0:
            raise UserError(f"None of the files could be decoded: {'; '.join(source.skipped[:3])}.")

    def all_labels(self) -> np.ndarray | None:
        """Return the labels [N] of the first domain."""
        return np.concatenate(self.labels) if self.labels else None

    def all_attributes(self) -> np.ndarray | None:
        """Return the attributes [N, A] of the first domain."""
        return np.concatenate(self.attributes) if self.attributes else None

    def digest(self) -> str:
        """Return the checksum over shapes, examples, labels and attributes."""
        return combined([shard.hexdigest() for shard in self._hashes], self.rows, self.row_shape, self.all_labels(),
                        self.all_attributes())


def check_tokens(tokens: np.ndarray, vocabulary: int) -> None:
    """Refuse ids that the vocabulary does not have."""
    if tokens.size and not 0 <= tokens.min() <= tokens.max() < vocabulary:
        raise UserError(f"The data hold token ids from {tokens.min()} to {tokens.max()} and the vocabulary has "
                        f"{vocabulary} symbols, 0 to {vocabulary - 1}: make the data again with the vocabulary they have.")


def in_memory(source: Source, spec: DataSpec, progress: Progress) -> Decoded:
    """Decode into memory."""
    tally = Tally(source, spec, progress)
    arrays = [np.empty((count, *tally.row_shape), dtype=tally.dtype) for count in tally.planned]
    for domain, row, examples in tally.pieces(source):
        arrays[domain][row:row + len(examples)] = examples
    arrays = [array[:rows] for array, rows in zip(arrays, tally.rows, strict=True)]
    return Decoded(arrays, tally.all_labels(), tally.digest(), list(source.skipped), attributes=tally.all_attributes())


def written(source: Source, spec: DataSpec, path: Path, key: str, progress: Progress) -> Decoded:
    """Decode into the file `path` and map it; an OSError leaves nothing behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_stale(path.parent)
    temporary = path.with_name(f"{path.name}.tmp-{secrets.token_hex(4)}")
    tally = Tally(source, spec, progress)
    row_bytes = int(np.prod(tally.row_shape)) * tally.dtype.itemsize
    starts = np.cumsum([0, *(count * row_bytes for count in tally.planned)]).tolist()
    try:
        with open(temporary, "xb") as file:
            for domain, row, examples in tally.pieces(source):
                file.seek(starts[domain] + row * row_bytes)
                file.write(examples)
            labels, attributes = tally.all_labels(), tally.all_attributes()
            file.seek(starts[-1])
            for values in (labels, attributes):
                file.write(b"" if values is None else np.ascontiguousarray(values))
            footer = json.dumps({
                "key": key, "starts": starts[:-1], "rows": tally.rows, "row_shape": tally.row_shape,
                "dtype": tally.dtype.name, "labels_start": starts[-1], "labels": 0 if labels is None else len(labels),
                "attributes": 0 if attributes is None else attributes.shape[1],
                "digest": tally.digest(), "skipped": source.skipped,
            }).encode()
            file.write(footer + struct.pack("<Q", len(footer)) + MAGIC)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return mapped(path, json.loads(footer))


def read_file(path: Path, key: str, verify: bool = False) -> tuple[Decoded | None, str]:
    """Return what the file holds, or None and what is the matter with it.

    Every byte is checked, unless that was done before and the file is the same one since, or `verify` asks for it again.
    """
    try:
        stamp = stamped(path)
        footer = read_footer(path)
        if footer["key"] != key:
            return None, "was made from other files or options"
        decoded = mapped(path, footer)
    except (OSError, ValueError, KeyError, TypeError, struct.error):
        return None, "is damaged"
    if not verify and remembered(path) == {**stamp, "digest": footer["digest"]}:
        return decoded, ""
    digests = [blake2b(array, digest_size=16).hexdigest() for array in decoded.examples]
    whole = combined(digests, footer["rows"], tuple(footer["row_shape"]), decoded.labels, decoded.attributes)
    if whole != footer["digest"]:
        return None, "is damaged (its checksum is wrong)"
    with suppress(OSError):  # a folder that only others may write: it is checked at every start
        write_json(checked_file(path), {**stamp, "digest": whole})
    return decoded, ""


def read_footer(path: Path) -> dict:
    """Return the JSON footer; ValueError where the file is no store or is cut short."""
    with open(path, "rb") as file:
        file.seek(0, os.SEEK_END)
        end = file.tell()
        if end < 16:
            raise ValueError("too short")
        file.seek(end - 16)
        length, magic = struct.unpack("<Q8s", file.read(16))
        if magic != MAGIC or length > end - 16:
            raise ValueError("no store")
        file.seek(end - 16 - length)
        return json.loads(file.read(length))


def mapped(path: Path, footer: dict) -> Decoded:
    """Return the file's arrays, the examples memory-mapped."""
    dtype, shape = np.dtype(footer["dtype"]), tuple(footer["row_shape"])
    examples = [mapping(path, dtype, start, (rows, *shape))
                for start, rows in zip(footer["starts"], footer["rows"], strict=True)]
    labels = attributes = None
    if footer["labels"]:
        labels = np.array(np.memmap(path, np.int64, "r", footer["labels_start"], (footer["labels"],)))
    if "attributes" in footer and footer["attributes"]:  # files of before have none
        start = footer["labels_start"] + 8 * footer["labels"]
        attributes = np.array(np.memmap(path, np.uint8, "r", start, (footer["rows"][0], footer["attributes"])))
    return Decoded(examples, labels, footer["digest"], list(footer["skipped"]), path, attributes)


def store_path(source: Source) -> Path:
    """Return the file that keeps this source under these options; a changed source overwrites its own file."""
    identity = json.dumps([stored(source.options), source.place()], sort_keys=True, default=str)
    name = f"{source.options.name}-{blake2b(identity.encode(), digest_size=8).hexdigest()}.store"
    return source.data_dir / FOLDER / name


def store_key(source: Source, spec: DataSpec) -> str:
    """Return a hash of the options, the spec and the stamps of the files: equal keys, equal decoded bytes."""
    whole = blake2b(digest_size=16)
    whole.update(json.dumps([1, stored(source.options), kept_of(spec)], sort_keys=True, default=str).encode())
    for stamp in source.stamps():
        whole.update(json.dumps(asdict(stamp)).encode())
    return whole.hexdigest()


def kept_of(spec: DataSpec) -> dict:
    """Return what the decoded bytes depend on; fields that specs once had not, where they say something."""
    once = {"kind": "points" if len(spec.shape) == 1 else "images", "vocabulary": [], "separator": "", "attributes": [],
            "stored": 0}
    return {key: value for key, value in spec.as_dict().items() if key != "labeled" and once.get(key) != value}


def remove_stale(folder: Path) -> None:
    """Delete what killed runs left half written."""
    for path in folder.glob("*.tmp-*"):
        try:
            if time.time() - path.stat().st_mtime > STALE_S:
                path.unlink()
        except OSError:
            continue


def _bytes(source: Source, spec: DataSpec) -> int:
    return sum(source.counts()) * int(np.prod(spec.shape)) * np.dtype(DTYPES[spec.kind]).itemsize


def _stays_in_memory(source: Source, needed: int, store: str) -> bool:
    return store == "memory" or (store == "auto" and not source.slow and needed < _most_in_memory())


def _most_in_memory() -> float:
    """Return the bytes that examples may take without crowding out the rest."""
    free = free_bytes()
    return MEMORY_SHARE * (UNKNOWN_FREE if free is None else free)
