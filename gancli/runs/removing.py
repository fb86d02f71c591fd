"""Runs and sweeps taken away: only what is a record of ours, only where nobody trains, and never along a link (torch-free).

A folder is removed when it holds a run's settings or status, or a sweep's record, in its own plain files; links in it are
removed as links, and what they lead to stays.
"""

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from gancli.errors import UserError
from gancli.runs.directory import is_run
from gancli.runs.files import CHECKPOINTS, CONFIG, STATUS
from gancli.runs.find import find_run, run_id
from gancli.runs.locks import try_lock
from gancli.runs.owner import LOCK, owned
from gancli.runs.status import read_status
from gancli.runs.sweeps import FILE as SWEEP_FILE
from gancli.runs.sweeps import find_sweep, job_folders, read_sweep


@dataclass(frozen=True)
class Removal:
    """What would be removed."""

    path: Path
    name: str
    runs: list[Path]  # in it, or itself
    size: int  # bytes on disk

    @property
    def kind(self) -> str:
        """What it is, in words."""
        return "run" if self.runs == [self.path] else f"sweep of {len(self.runs)} run{'s' if len(self.runs) != 1 else ''}"


def find_removal(text: str, root: Path | str) -> Removal:
    """Return the run or the sweep that `text` names.

    Raises:
        UserError: there is none, it is no record of ours, it lies behind a link, or a run of it is running.
    """
    sweep = find_sweep(text, root)
    path = sweep if sweep is not None else find_run(text, root)
    if text and os.path.isdir(text) and path.absolute() != Path(text).absolute():
        raise UserError(f"{text} lies in the run {path}: name the run itself.")
    check_removable(path)
    runs = [path] if sweep is None else [job for job in job_folders(path) if is_run(job)]
    for run in runs:
        check_idle(run)
    return Removal(path, path.name if sweep is not None else run_id(path), runs, size_of(path))


def check_removable(path: Path) -> None:
    """Refuse a folder that is no record of ours, that a link leads to, or in which somebody works."""
    if path.is_symlink():
        raise UserError(f"{path} is a link: remove it by hand, or name the folder that it leads to.")
    place = path.resolve()
    if place in (Path.cwd().resolve(), *Path.cwd().resolve().parents, Path.home().resolve()):
        raise UserError(f"{path} is the folder that you are in, or one above it: go to another folder first.")
    if _is_plain(path / SWEEP_FILE) and read_sweep(path) is not None:
        return
    if not (_is_plain(path / STATUS) or _is_plain(path / CONFIG) and os.path.isdir(path / CHECKPOINTS)):
        raise UserError(f"{path} holds neither a run's {STATUS} nor a sweep's {SWEEP_FILE}: it is no run of gan, and stays.")


def check_idle(run: Path) -> None:
    """Refuse a run that is running, here or on another machine."""
    status = read_status(run)
    if status is not None and status.status == "running":
        raise UserError(f"The run {run_id(run)} is running (process {status.pid} on {status.host}): stop it first.")


def remove(removal: Removal) -> None:
    """Remove a run or a sweep while nobody can begin to train in it.

    Raises:
        UserError: somebody does, since it was looked at.
    """
    with ExitStack() as stack:
        if removal.runs != [removal.path]:
            lock = try_lock(removal.path / LOCK)  # a sweep's jobs come one after the other
            if lock is None:
                raise UserError(f"The sweep {removal.name} is running: stop it first.")
            stack.enter_context(lock)
        for run in removal.runs:
            stack.enter_context(owned(run))
            check_idle(run)
        shutil.rmtree(removal.path)  # takes links away and does not follow them


def size_of(folder: Path) -> int:
    """Return the bytes that a folder's files take on disk; links count as themselves, what cannot be read as nothing."""
    return sum(_taken(entry) for entry in _inside(folder))


def _inside(folder: Path) -> Iterator[os.DirEntry]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        yield entry
        if entry.is_dir(follow_symlinks=False):
            yield from _inside(Path(entry.path))


def _taken(entry: os.DirEntry) -> int:
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        return 0
    if not stat.S_ISREG(status.st_mode):
        return 0
    return status.st_blocks * 512 if hasattr(status, "st_blocks") else status.st_size


def _is_plain(path: Path) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False
