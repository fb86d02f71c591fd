"""The checksum of a data set, and which file was last found to have it, so that its bytes are not read at every start.

Legend: N examples, A attributes.
"""

import json
from hashlib import blake2b
from pathlib import Path

import numpy as np

from gancli.runs.records import Damaged, read_json


def combined(digests: list[str], rows: list[int], row_shape: tuple[int, ...], labels: np.ndarray | None,
             attributes: np.ndarray | None) -> str:
    """Return one checksum of the domains' checksums, their shapes, the labels and the attributes."""
    whole = blake2b(json.dumps([digests, rows, row_shape]).encode(), digest_size=16)
    for values in (labels, attributes):
        if values is not None:
            whole.update(np.ascontiguousarray(values))
    return whole.hexdigest()


def stamped(path: Path) -> dict[str, int]:
    """Return what tells this file from another and from a changed one; the system itself sets the time of the last change."""
    now = path.stat()
    return {"bytes": now.st_size, "modified_ns": now.st_mtime_ns, "changed_ns": now.st_ctime_ns, "inode": now.st_ino}


def remembered(path: Path) -> dict | None:
    """Return the stamp and digest of the file that was last found whole here."""
    try:
        return read_json(checked_file(path))
    except (OSError, Damaged):
        return None


def checked_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.checked")
