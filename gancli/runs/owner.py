"""Who trains in a run's folder: one process at a time, on a local file system and on a shared one (torch-free).

A lock tells where locks work, and ends with its process.  Beside it lies owner.json, whose time is renewed while the run
lasts, for file systems that lock for one machine only or not at all.
"""

import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from gancli.errors import UserError
from gancli.runs.atomic import write_json
from gancli.runs.locks import try_lock
from gancli.runs.records import TEXT, Damaged, Kind, checked, is_whole, read_json
from gancli.runs.status import LARGEST_PID, is_alive, now, process_start

LOCK, FILE = ".lock", "owner.json"
BEAT_S = 20.0
QUIET_S = 120.0  # an owner on another machine that has not been heard of for so long is gone


@dataclass(frozen=True)
class Owner:
    """What owner.json holds."""

    host: str
    pid: int
    process_started: int | None
    since: str  # UTC, ISO 8601
    token: str  # tells two starts apart


_KINDS = {"host": TEXT, "pid": Kind("the number of a process", lambda value: is_whole(value) and value <= LARGEST_PID),
          "process_started": Kind("a whole number or null", lambda value: value is None or value == -1 or is_whole(value)),
          "since": TEXT, "token": TEXT}


@contextmanager
def owned(run_dir: Path) -> Iterator[None]:
    """Own a run's folder, which is made if it is not there, for as long as a block runs.

    Raises:
        UserError: another process owns it (the message says which), or it cannot be written.
    """
    try:
        lock = try_lock(run_dir / LOCK)
        owner = _claimed(run_dir, lock)
    except OSError as error:
        raise UserError(f"{run_dir} cannot be written: {error.strerror}. Give another run_dir=.") from None
    assert lock is not None  # else it was another's
    ended = threading.Event()
    threading.Thread(target=_beat, args=(run_dir / FILE, ended), daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        if _owner(run_dir) == owner:
            _remove(run_dir / FILE)
        lock.close()


def _claimed(run_dir: Path, lock: IO[str] | None) -> Owner:
    """Write that this process is the owner; a UserError where another one is."""
    other = _owner(run_dir)
    if lock is None:
        raise _running(run_dir, other)
    if other is not None and _lives(run_dir, other):
        lock.close()
        raise _running(run_dir, other)
    mine = Owner(socket.gethostname(), os.getpid(), process_start(os.getpid()), now(), secrets.token_hex(8))
    write_json(run_dir / FILE, asdict(mine))
    return mine


def _lives(run_dir: Path, owner: Owner) -> bool:
    """Whether an owner may still train: by its process on this host, by the age of its last beat on another."""
    if owner.host == socket.gethostname():
        return owner.pid != os.getpid() and is_alive(owner.pid, owner.process_started)
    try:
        os.utime(run_dir / LOCK)  # the file system's own clock
        return (run_dir / LOCK).stat().st_mtime - (run_dir / FILE).stat().st_mtime < QUIET_S
    except OSError:
        return False


def _running(run_dir: Path, owner: Owner | None) -> UserError:
    who = "another process" if owner is None else f"process {owner.pid} on {owner.host}, since {owner.since}"
    return UserError(f"The run {run_dir.name} is being trained by {who}: stop that one first, or give another run_dir=.")


def _owner(run_dir: Path) -> Owner | None:
    try:
        return Owner(**checked(read_json(run_dir / FILE), _KINDS, tuple(_KINDS)))
    except (OSError, Damaged):
        return None


def _beat(path: Path, ended: threading.Event) -> None:
    while not ended.wait(BEAT_S):
        try:
            os.utime(path)
        except OSError:  # the folder is gone: the run itself will meet that
            return


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return  # what remains is a process that is gone
