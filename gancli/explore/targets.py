"""Where a command's results go: the ending of `out=` decides the format, and nothing is overwritten unasked."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from gancli.errors import UsageError, UserError
from gancli.explore.loaded import Loaded
from gancli.runs.checkpoint import kimg_name
from gancli.runs.files import CHECKPOINTS
from gancli.runs.find import OUTPUTS

FOLDER = "folder"


class Target(NamedTuple):
    """A file or a folder that a command will write."""

    path: Path
    kind: str  # a file's ending, or FOLDER


def choose_target(out: str | None, endings: tuple[str, ...], overwrite: bool) -> Target | None:
    """Return what `out=` names, a file that ends in one of `endings` or a folder; None for no `out=`.

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
    _check_writable(path if path.is_dir() else path.parent)
    return Target(path, kind)


def default_target(command: str, stem: str, ending: str) -> Target:
    """Return outputs/<command>/<stem><ending>, a folder for no ending, with a number behind the stem if that exists."""
    folder = Path(OUTPUTS) / command
    _check_writable(folder)
    path, number = folder / f"{stem}{ending}", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}{ending}"
    return Target(path, ending or FOLDER)


def run_stem(loaded: Loaded) -> str | None:
    """Return what names a checkpoint's run among others, <run> or <sweep>-<job>; None for a file outside of a run."""
    parent = loaded.path.absolute().parent
    if parent.name != CHECKPOINTS:
        return None
    run = parent.parent
    return f"{run.parent.name}-{run.name}" if run.parent.parent.name == "sweep" else run.name


def checkpoint_stem(loaded: Loaded) -> str:
    """Return what names a checkpoint among others: <run>-<kimg>, or the file's name without its ending."""
    run = run_stem(loaded)
    return loaded.path.stem if run is None else f"{run}-{kimg_name(loaded.images)}"


def refuse_kind(loaded: Loaded, target: Target, able: Sequence[str]) -> None:
    """Raise a UserError if the model's points or texts do not go into the target, whose kind is none of `able`.

    Args:
        able: endings for what the model makes; none: the command is for pictures and points.
    """
    kind = loaded.spec.kind
    if kind == "tokens" and not able:
        raise UserError(f"model={loaded.name} makes text, of which this command can show nothing: use gan sample "
                        "out=samples.txt.")
    if target.kind == ".txt" and kind != "tokens":
        raise UserError(f"This model makes {kind} and no text, of which {target.path} could hold a line each: give another "
                        "out=.")
    if kind != "images" and target.kind not in able:
        raise UserError(f"This model makes {'text' if kind == 'tokens' else kind}, of which {target.path} can hold no "
                        f"pictures: end out= in {' or '.join(able)}.")


def _check_writable(folder: Path) -> None:
    """Raise a UserError unless files can be made in `folder`, or in the nearest of its parents that exists."""
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"{folder} is {'a file' if folder.is_file() else 'not writable'}: give another out=.")
