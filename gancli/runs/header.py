"""The head of a checkpoint file, read and checked without torch.

A checkpoint is one safetensors file: 8 bytes (little endian) give the length of a JSON table of tensors,
whose `__metadata__` holds, under the key `gancli`, one JSON text with the fields of `Header`; the tensors'
bytes follow.  JSON and raw numbers are all it can hold, so reading one never runs code.
"""

import math
import mmap
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gancli import __version__
from gancli.errors import UserError
from gancli.runs.config import refuse_code
from gancli.runs.formats import FORMAT, converted, reordered
from gancli.runs.records import (
    TEXT,
    WHOLE,
    Damaged,
    Kind,
    checked,
    is_number,
    is_text,
    is_whole,
    mapping_of,
    or_null,
    parse_json,
)

METADATA_KEY = "gancli"
MAX_HEADER_BYTES = 32 * 2**20
ITEM_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}

FOREIGN = (
    (b"PK\x03\x04", "a zip archive, as torch.save and numpy write it"),
    (b"\x80", "a Python pickle"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x1f\x8b", "a gzip archive"),
)


@dataclass(frozen=True)
class Tensor:
    """Where one tensor lies in the file."""

    dtype: str  # safetensors' name
    shape: tuple[int, ...]
    begin: int  # byte in the file
    end: int


@dataclass(frozen=True)
class Header:
    """What a checkpoint says of itself."""

    format: int
    version: str  # of the gancli that wrote it
    config: dict[str, Any]  # resolved
    spec: dict[str, Any]  # DataSpec.as_dict()
    progress: dict[str, Any]  # at least `images`
    extra: dict[str, Any]
    crc32: dict[str, int]  # checksum of each tensor's bytes
    table: dict[str, Tensor]

    @property
    def images(self) -> int:
        """Real images shown when the checkpoint was saved."""
        return self.progress["images"]

    @property
    def kimg(self) -> float:
        """Thousands of real images shown when the checkpoint was saved."""
        return self.images / 1000


def read_header(path: Path) -> Header:
    """Read and check the head of the checkpoint at `path`.

    Raises:
        UserError: the file is missing, unreadable, no checkpoint, truncated, or from a newer gancli.
    """
    if not os.path.isfile(path):
        raise UserError(f"There is no checkpoint at {path}{': it is a folder' if os.path.isdir(path) else ''}.")
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            start = file.read(8)
            table_bytes = _header_length(path, start, size)
            text = file.read(table_bytes)
    except OSError as error:
        raise UserError(f"The checkpoint {path} cannot be read: {error.strerror}.") from None
    table = _parse(path, text)
    metadata = table.pop("__metadata__", None)
    if not isinstance(metadata, dict) or not isinstance(metadata.get(METADATA_KEY), str):
        raise UserError(f"{path} is a safetensors file, but not a checkpoint of gancli.")
    fields = _parse(path, metadata[METADATA_KEY])
    _check_version(path, fields)
    return _header(path, fields, _tensors(path, table, 8 + table_bytes, size))


def verify(path: Path, names: list[str] | None = None) -> Header:
    """Read the header and compare the checksum of every tensor (or of `names`); a UserError if the file is damaged."""
    header = read_header(path)
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        view = memoryview(data)
        try:
            for name in header.table if names is None else names:
                tensor = header.table[name]
                if zlib.crc32(view[tensor.begin:tensor.end]) != header.crc32[name]:
                    raise UserError(f"The checkpoint {path} is damaged: the checksum of {name} is wrong.")
        finally:
            view.release()
    return header


def _header_length(path: Path, start: bytes, size: int) -> int:
    if len(start) < 8:
        raise UserError(f"{path} is truncated or not a checkpoint: it holds {size} bytes.")
    length = struct.unpack("<Q", start)[0]
    if length > MAX_HEADER_BYTES:
        kind = next((kind for magic, kind in FOREIGN if start.startswith(magic)), "no safetensors file")
        raise UserError(f"{path} is not a checkpoint of gancli: it is {kind}. Only gancli's own safetensors files are "
                        "read, since other formats can run code when they are loaded.")
    if 8 + length > size:
        raise UserError(f"{path} is truncated: {size:,} bytes are there and its header alone needs {8 + length:,}.")
    return length


def _parse(path: Path, text: bytes | str) -> dict[str, Any]:
    try:
        value = parse_json(text)
    except Damaged as error:
        raise UserError(f"{path} is not a checkpoint of gancli: of its header, {error}.") from None
    if not isinstance(value, dict):
        raise UserError(f"{path} is not a checkpoint of gancli: its header is no JSON object.")
    return value


def _tensors(path: Path, table: dict[str, Any], data_start: int, size: int) -> dict[str, Tensor]:
    """Read the table and check that the tensors lie one after the other and fill the rest of the file."""
    try:
        tensors = {name: Tensor(entry["dtype"], tuple(entry["shape"]), data_start + entry["data_offsets"][0],
                                data_start + entry["data_offsets"][1]) for name, entry in table.items()}
        position = data_start
        for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end)):
            if tensor.begin != position or tensor.end - tensor.begin != _bytes(tensor):
                raise ValueError(name)
            position = tensor.end
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        raise UserError(f"{path} is not a checkpoint of gancli: its table of tensors is wrong.") from None
    if position > size:
        raise UserError(f"{path} is truncated: {size:,} of {position:,} bytes are there.")
    if position < size:
        raise UserError(f"{path} is damaged: {size - position:,} bytes follow its last tensor.")
    return tensors


def _bytes(tensor: Tensor) -> int:
    if not all(isinstance(side, int) and side >= 0 for side in tensor.shape):
        raise ValueError(tensor.shape)
    return math.prod(tensor.shape) * ITEM_BYTES[tensor.dtype]


def _check_version(path: Path, fields: dict[str, Any]) -> None:
    written, version = fields.get("format"), fields.get("gancli")
    if not isinstance(written, int) or not isinstance(version, str):
        raise UserError(f"{path} is not a checkpoint of gancli: its header names no version.")
    if written > FORMAT:
        raise UserError(f"{path} was written by gancli {version[:40]} (checkpoint format {written}); this is gancli "
                        f"{__version__}, which reads formats up to {FORMAT}: install the newer gancli.")


def _header(path: Path, fields: dict[str, Any], table: dict[str, Tensor]) -> Header:
    config, spec, progress, extra, crc32 = (_mapping(path, fields, key)
                                            for key in ("config", "spec", "progress", "extra", "crc32"))
    if crc32.keys() != table.keys():
        raise _wrong_fields(path)
    _check_fields(path, config, progress, extra)
    if fields["format"] == 1 and reordered(config):
        raise UserError(f"{path} is a checkpoint of model={config['model'].get('name')} from before the features of "
                        "its last layer changed their order: its weights would be read wrongly. Train it anew.")
    config = converted(config) if fields["format"] < FORMAT else config
    return Header(fields["format"], fields["gancli"], config, spec, progress, extra, crc32, table)


def _mapping(path: Path, fields: dict[str, Any], key: str) -> dict[str, Any]:
    value = fields.get(key)
    if not isinstance(value, dict):
        raise _wrong_fields(path)
    return value


def _wrong_fields(path: Path) -> UserError:
    return UserError(f"{path} is not a checkpoint of gancli: its header lacks fields or has wrong ones.")


def _check_fields(path: Path, config: dict[str, Any], progress: dict[str, Any], extra: dict[str, Any]) -> None:
    """Refuse a config that asks for more than to be read, and counts that nothing can have counted to."""
    try:
        checked(progress, _PROGRESS, ("images",))
        checked(extra, _EXTRA)
    except Damaged as error:
        raise UserError(f"{path} is not a checkpoint of gancli: its header is wrong, {error}.") from None
    try:
        refuse_code(config)
    except (Damaged, RecursionError) as error:
        raise UserError(f"{path} is refused: of its config, {error or 'nesting has no end'}.") from None


def _is_followed(state: Any) -> bool:
    """Whether a value is what an evaluation knows of the best figure so far."""
    return (isinstance(state, dict) and is_text(state.get("metric")) and is_whole(state.get("since"))
            and is_whole(state.get("images")) and all(or_null(is_number)(state.get(key)) for key in ("value", "last")))


_PROGRESS = {"images": WHOLE, "rounds": WHOLE, "turns": Kind("a count of turns by player", mapping_of(is_whole)),
             "phase": TEXT, "phase_rounds": WHOLE}
_EXTRA = {"training_s": Kind("a number of seconds", is_number), "data_fingerprint": TEXT,
          "best": Kind("the best figure so far", or_null(_is_followed))}
