"""Looking at folders that may be another's, or gone while they are looked at: what cannot be read is noted, never fatal."""

import os
from pathlib import Path

PassedOver = list[Path]  # what a look could not read


def folders(path: Path, passed: PassedOver) -> list[Path]:
    """Return the folders in a folder, sorted; those that cannot be read are noted in `passed` instead."""
    found = []
    for child in _children(path, passed):
        if os.path.isdir(child):
            if os.access(child, os.R_OK | os.X_OK):
                found.append(child)
            elif child not in passed:
                passed.append(child)
    return found


def _children(path: Path, passed: PassedOver) -> list[Path]:
    try:
        return [path / name for name in sorted(os.listdir(path))]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError:
        if path not in passed:
            passed.append(path)
        return []
