"""What is computed once for a data set and kept beside it: tensors under a description, verified when they are read.

A file is safetensors under data_dir/.gancli-store; its header holds the description and a checksum of the bytes.
"""

import json
import os
import secrets
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

METADATA_KEY = "gancli"


def fingerprint(description: dict[str, Any]) -> str:
    """Return 16 hex digits that stand for a description of plain values."""
    return blake2b(json.dumps(description, sort_keys=True).encode(), digest_size=8).hexdigest()


def checksum(tensors: dict[str, Tensor]) -> str:
    """Return the SHA-256 over names, types, shapes and bytes of tensors on the CPU."""
    whole = sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().contiguous()
        whole.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        whole.update(tensor.numpy().tobytes())
    return whole.hexdigest()


class Cache:
    """A folder of such files, or memory alone where there is no folder or it cannot be written."""

    def __init__(self, folder: Path | None, *, keeps: bool = True) -> None:
        """Name the folder; without `keeps` it is read and what is put stays in memory."""
        self.folder, self.keeps = folder, keeps
        self.notes: list[str] = []  # sentences for the user's log
        self._memory: dict[str, tuple[dict[str, Tensor], dict[str, Any]]] = {}

    def path(self, kind: str, description: dict[str, Any]) -> Path | None:
        """Return the file of a description."""
        return None if self.folder is None else self.folder / f"{kind}-{fingerprint(description)}.safetensors"

    def get(self, kind: str, description: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Return what `put` was given, or None where nothing is kept or what is kept is damaged."""
        found = self._memory.get(f"{kind}-{fingerprint(description)}")
        path = self.path(kind, description)
        if found is not None or path is None or not path.is_file():
            return found
        try:
            with safe_open(path, "pt") as file:
                head = json.loads((file.metadata() or {})[METADATA_KEY])
                tensors = {name: file.get_tensor(name) for name in file.keys()}
            if head["description"] != json.loads(json.dumps(description)):
                return None
            if checksum(tensors) == head["sha256"]:
                return tensors, head["facts"]
        except (OSError, SafetensorError, ValueError, KeyError, TypeError):
            pass
        self.notes.append(f"{path} is damaged and is made again.")
        return None

    def put(self, kind: str, description: dict[str, Any], tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Keep tensors on the CPU, and facts about them in JSON types, for this process and for later ones."""
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        self._memory[f"{kind}-{fingerprint(description)}"] = tensors, facts
        path = self.path(kind, description)
        if path is None or not self.keeps:
            return
        head = json.dumps({"description": description, "facts": facts, "sha256": checksum(tensors)})
        temporary = path.with_name(f"{path.name}.tmp-{secrets.token_hex(4)}")  # several jobs may write it at once
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(temporary, "xb") as file:
                file.write(save(tensors, {METADATA_KEY: head}))
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            self.notes.append(f"{path.parent} cannot be written ({error.strerror or error}): {kind} will be computed "
                              "again at the next start.")
