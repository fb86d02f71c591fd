"""Where a command's pictures go: the ending of `out=` decides the format, and nothing is overwritten unasked."""

import os
from pathlib import Path

from gancli.errors import UsageError, UserError

FOLDER = "folder"


def choose_target(out: str | None, endings: tuple[str, ...], overwrite: bool) -> tuple[Path, str] | None:
    """Return the path that `out=` names and its format: one of `endings`, or FOLDER; None for no `out=`.

    Raises:
        UsageError: an ending that the command does not write.
        UserError: the path exists (and not `overwrite`), or cannot be written.
    """
    if out is None:
        return None
    path = Path(out)
    kind = FOLDER if path.is_dir() or not path.suffix else path.suffix.lower()
    if kind != FOLDER and kind not in endings:
        raise UsageError(f"out={out} ends in {path.suffix}, which this command does not write: end it in "
                         f"{', '.join(endings)}, or give a folder.")
    if kind == FOLDER and path.exists() and not path.is_dir():
        raise UserError(f"{path} is a file: give a folder, or a name that ends in {', '.join(endings)}.")
    if not overwrite and (path.is_file() or path.is_dir() and any(path.iterdir())):
        state = "is not empty" if kind == FOLDER else "exists"
        raise UserError(f"{path} {state}: give another out=, or overwrite=true.")
    check_writable(path if path.is_dir() else path.parent)
    return path, kind


def default_target(folder: Path, stem: str, ending: str) -> Path:
    """Return a path in `folder` that does not exist yet: `stem`, else `stem-2`, `stem-3`, ..."""
    check_writable(folder)
    path, number = folder / f"{stem}{ending}", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}{ending}"
    return path


def check_writable(folder: Path) -> None:
    """Raise a UserError unless files can be made in `folder`, or in the nearest of its parents that exists."""
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"{folder} is {'a file' if folder.is_file() else 'not writable'}: give another out=.")
