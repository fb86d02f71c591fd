"""Checkpoints: whole runs as tensors and JSON in one safetensors file, written atomically (torch-free at import).

Names of tensors begin with who owns them: `model/`, `ema/` (the averaged ones only), `optimizer/<player>/`.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import shutil
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from gancli import __version__
from gancli.errors import UserError
from gancli.runs.atomic import remove_leftovers, write_atomic
from gancli.runs.files import BEST, CHECKPOINTS
from gancli.runs.formats import FORMAT
from gancli.runs.header import ITEM_BYTES, MAX_HEADER_BYTES, METADATA_KEY, Header, read_header, verify
from gancli.runs.records import LONGEST_NAME, Damaged, is_name, read_text

if TYPE_CHECKING:
    import torch

SUFFIX = ".safetensors"
NAME = re.compile(r"kimg-(\d{6,})(?:_(\d{3}))?")  # kimg-000012 or, between whole kimg, kimg-000012_345 (12,345 images)
ABBREVIATIONS = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64",
                 "int32": "I32", "int16": "I16", "int8": "I8", "uint8": "U8", "bool": "BOOL"}
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in memory: its header and the tensors that were asked for."""

    path: Path
    header: Header
    tensors: dict[str, torch.Tensor]

    @property
    def config(self) -> dict[str, Any]:
        """The run's resolved configuration."""
        return self.header.config

    @property
    def spec(self) -> dict[str, Any]:
        """DataSpec.as_dict() of the run's data."""
        return self.header.spec

    @property
    def progress(self) -> dict[str, Any]:
        """What the engine counts; `images` at least."""
        return self.header.progress

    @property
    def extra(self) -> dict[str, Any]:
        """Whatever else the writer kept, as JSON types."""
        return self.header.extra

    @property
    def kimg(self) -> float:
        """Thousands of real images shown."""
        return self.header.kimg

    def under(self, prefix: str) -> dict[str, torch.Tensor]:
        """Return the tensors whose names begin with `prefix`, without it."""
        return {name[len(prefix):]: tensor for name, tensor in self.tensors.items() if name.startswith(prefix)}


def kimg_name(images: int) -> str:
    """Return `kimg-000200` for 200,000 images and `kimg-000012_345` for 12,345; such names sort by time."""
    whole, rest = divmod(images, 1000)
    return f"kimg-{whole:06d}" + (f"_{rest:03d}" if rest else "")


def images_of(path: Path) -> int:
    """Return the number of images in a name that `kimg_name` made; ValueError for any other name."""
    match = NAME.fullmatch(path.name.removesuffix(SUFFIX))
    if match is None:
        raise ValueError(f"{path.name} is not the name of a checkpoint")
    return int(match[1]) * 1000 + int(match[2] or 0)


def write(path: Path, tensors: Mapping[str, torch.Tensor], header: Mapping[str, Any]) -> None:
    """Write a checkpoint atomically, in the safetensors format.

    Args:
        path: the file; a file of that name is replaced once the new one is whole.
        tensors: on any device, with any strides; tensors that share memory are written once each.
        header: JSON types under the keys config, spec, progress (with `images`), and optionally extra.

    Raises:
        UserError: the disk is full or the folder cannot be written; what was at `path` is untouched.
    """
    unknown = header.keys() - {"config", "spec", "progress", "extra"}
    if unknown:
        raise ValueError(f"a checkpoint's header has no {', '.join(sorted(unknown))}")
    # The widest items first, so that every tensor is aligned in a memory map of the file.
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    needed = sum(tensors[name].numel() * tensors[name].element_size() for name in names)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, lambda file: _write_file(file, {name: tensors[name] for name in names}, header))
    except OSError as error:
        raise _failed(path, error, needed) from None


def read(path: Path, device: torch.device | str = "cpu", prefixes: Iterable[str] | None = None) -> Checkpoint:
    """Read a checkpoint, or only its tensors whose names begin with one of `prefixes`; their checksums are compared.

    Raises:
        UserError: the file is missing, truncated, damaged, no checkpoint, or from a newer gancli.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    wanted = None if prefixes is None else tuple(prefixes)
    header = read_header(path)
    names = [name for name in header.table if wanted is None or name.startswith(wanted)]
    verify(path, names)
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            return Checkpoint(path, header, {name: file.get_tensor(name) for name in names})
    except (SafetensorError, OSError) as error:
        raise UserError(f"The checkpoint {path} cannot be read: {error}.") from None


class CheckpointFolder:
    """The checkpoints of one run: `<run>/checkpoints/kimg-*.safetensors` and the text file `best` with a name."""

    def __init__(self, run_dir: Path | str) -> None:
        self.path = Path(run_dir) / CHECKPOINTS

    def save(self, images: int, tensors: Mapping[str, torch.Tensor], header: Mapping[str, Any]) -> Path:
        """Write the checkpoint of `images` images shown (see `write`) and return its path."""
        if self.path.is_dir():
            remove_leftovers(self.path)
        path = self.path / (kimg_name(images) + SUFFIX)
        write(path, tensors, header)
        return path

    def list(self) -> list[Path]:
        """Return the checkpoints, oldest first."""
        found = (path for path in self.path.glob(f"kimg-*{SUFFIX}") if NAME.fullmatch(path.name.removesuffix(SUFFIX)))
        return sorted(found, key=images_of)

    def latest(self) -> Path | None:
        """Return the newest checkpoint that is whole, warning of damaged ones; None if there is none at all.

        Raises:
            UserError: there are checkpoints and none can be read; it says why the newest cannot.
        """
        first_error = None
        for path in reversed(self.list()):
            try:
                verify(path)
                return path
            except UserError as error:
                log.warning("%s Trying the one before it.", error)
                first_error = first_error or error
        if first_error is not None:
            raise first_error
        return None

    def best(self) -> Path | None:
        """Return the checkpoint that was marked as best, if it is still there."""
        try:
            name = read_text(self.path / BEST, LONGEST_NAME).strip()
        except (OSError, Damaged):
            return None
        path = self.path / Path(name).name
        return path if is_name(path.name) and os.path.isfile(path) else None

    def mark_best(self, name: Path | str) -> None:
        """Mark a checkpoint of this folder, by its path or name, as best; `prune` keeps it."""
        path = self.path / Path(name).name
        try:
            write_atomic(self.path / BEST, lambda file: file.write(path.name.encode()))
        except OSError as error:
            raise _failed(self.path / BEST, error, 0) from None

    def prune(self, keep: int) -> Sequence[Path]:
        """Remove all but the newest `keep` checkpoints and the best one; return what was removed."""
        if keep < 1:
            raise ValueError(f"prune must keep at least one checkpoint, not {keep}")
        doomed = [path for path in self.list()[:-keep] if path != self.best()]
        for path in doomed:
            path.unlink(missing_ok=True)
        return doomed


def _write_file(file: BinaryIO, tensors: Mapping[str, torch.Tensor], header: Mapping[str, Any]) -> None:
    """Write 8 bytes of length, the table with the metadata, then each tensor's bytes.

    The checksums stand in the header and are known only once the tensors are written: eight hexadecimal
    digits are kept free for each and filled in at the end, so that each tensor is copied to the host once.
    """
    table = _table(tensors, header, dict.fromkeys(tensors, 0))
    file.write(table)
    checksums = {name: _write_tensor(file, tensor) for name, tensor in tensors.items()}
    file.seek(0)
    file.write(_table(tensors, header, checksums, len(table)))


def _table(tensors: Mapping[str, torch.Tensor], header: Mapping[str, Any], checksums: Mapping[str, int],
           length: int | None = None) -> bytes:
    """Return the file's head, padded with spaces to `length` or to room for every checksum's digits."""
    table, position = {}, 0
    for name, tensor in tensors.items():
        kind = ABBREVIATIONS[str(tensor.dtype).removeprefix("torch.")]
        end = position + tensor.numel() * ITEM_BYTES[kind]
        table[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [position, end]}
        position = end
    fields = {"format": FORMAT, "gancli": __version__, "extra": {}, **header, "crc32": dict(checksums)}
    text = json.dumps({"__metadata__": {METADATA_KEY: json.dumps(fields)}, **table}).encode()
    room = len(text) + 10 * len(tensors) + 8 if length is None else length - 8  # a checksum has at most 10 digits
    text = text.ljust(room - room % 8 if length is None else room)
    if len(text) > MAX_HEADER_BYTES:
        raise ValueError(f"a checkpoint's header of {len(text):,} bytes is longer than {MAX_HEADER_BYTES:,}")
    return struct.pack("<Q", len(text)) + text


def _write_tensor(file: BinaryIO, tensor: torch.Tensor) -> int:
    """Write the tensor's bytes in row-major order and return their CRC-32."""
    import torch

    data = tensor.detach().to("cpu").contiguous().reshape(-1).view(torch.uint8).numpy().data
    file.write(data)
    return zlib.crc32(data)


def _failed(path: Path, error: OSError, needed: int) -> UserError:
    """Return the error for a save that failed: which file, why, how much room there is and how much it takes."""
    folder = next((parent for parent in path.parents if parent.is_dir()), Path.cwd())
    free = shutil.disk_usage(folder).free
    room = f"{free / 2**20:,.1f} MiB are free in {folder}, {needed / 2**20:,.1f} MiB are needed"
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    advice = f": free some space, then continue with resume={path.parent.parent}" if full else ""
    return UserError(f"Saving {path} failed: {error.strerror}; {room}. Earlier checkpoints are untouched{advice}.")
