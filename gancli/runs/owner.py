"""Who trains in a run's folder: one process at a time, on a local file system and on a shared one (torch-free).

A lock tells where locks work, and ends with its process.  Beside it lies owner.json, whose time is renewed while the run
lasts, for file systems that lock for one machine only or not at all.
"""

import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from gancli.errors import UserError
from gancli.monitor.terminal import tell
from gancli.runs.atomic import write_json
from gancli.runs.files import OWNER
from gancli.runs.locks import try_lock
from gancli.runs.records import TEXT, Damaged, Kind, checked, is_whole, read_json
from gancli.runs.status import LARGEST_PID, is_alive, now, process_start

LOCK, FILE = ".lock", OWNER
BEAT_S = 20.0
POLL_S = 1.0
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


class Taken(Exception):
    """Another process owns the folder."""

    def __init__(self, owner: Owner | None) -> None:
        super().__init__("another process" if owner is None else f"process {owner.pid} on {owner.host}, since {owner.since}")
        self.owner = owner


@contextmanager
def owned(run_dir: Path) -> Iterator[None]:
    """Own a run's folder, which is made if it is not there, for as long as a block runs.

    Raises:
        UserError: another process owns it (the message says which), or it cannot be written.
    """
    try:
        held = _claim_after_a_lost_node(run_dir)
    except OSError as error:
        raise UserError(f"{run_dir} cannot be written: {error.strerror}. Give another run_dir=.") from None
    except Taken as other:
        raise UserError(f"The run {run_dir.name} is being trained by {other}: stop that one first, or give another "
                        "run_dir=.") from None
    with held:
        yield


def _claim_after_a_lost_node(folder: Path) -> "Claim":
    """Claim a folder; a rank that torchrun has started again waits until an owner on another node is known to be gone."""
    until = time.monotonic() + QUIET_S + BEAT_S
    restarted, told = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0", False
    while True:
        try:
            return claim(folder)
        except Taken as other:
            lost = other.owner is not None and other.owner.host != socket.gethostname()
            if not (restarted and lost) or time.monotonic() > until:
                raise
            if not told:
                tell(f"Waiting until {other} has not been heard of for {QUIET_S:.0f} s: its node may be lost.")
                told = True
        time.sleep(POLL_S)


class Claim:
    """A folder that this process owns until `with` ends."""

    def __init__(self, folder: Path, lock: IO[str], owner: Owner) -> None:
        self.folder, self.lock, self.owner, self.ended = folder, lock, owner, threading.Event()

    def __enter__(self) -> "Claim":
        threading.Thread(target=_beat, args=(self.folder / FILE, self.ended), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.ended.set()
        if _owner(self.folder) == self.owner:
            _remove(self.folder / FILE)
        self.lock.close()


def claim(folder: Path) -> Claim:
    """Become the owner of a folder, which is made if it is not there.

    Raises:
        Taken: another process is.
        OSError: it cannot be written.
    """
    lock = try_lock(folder / LOCK)
    if lock is None:
        raise Taken(_owner(folder))
    try:
        return Claim(folder, lock, _claimed(folder))
    except BaseException:
        lock.close()
        raise


def owner_of(folder: Path) -> Owner | None:
    """Return the process that owns a folder, None where there is none that lives."""
    owner = _owner(folder)
    return owner if owner is not None and _lives(folder, owner) else None


def _claimed(folder: Path) -> Owner:
    """Write that this process is the owner, where no other is: machines that do not see each other's locks may meet here."""
    there = os.path.lexists(folder / FILE)  # before it is read: a record that comes later is a living owner's
    other = _owner(folder)
    if other is not None and _lives(folder, other):
        raise Taken(other)
    mine = Owner(socket.gethostname(), os.getpid(), process_start(os.getpid()), now(), secrets.token_hex(8))
    if there and not _set_aside(folder, other, mine.token):
        raise Taken(_owner(folder))
    if not _is_first(folder, mine):
        raise Taken(_owner(folder))
    return mine


def _set_aside(folder: Path, dead: Owner | None, token: str) -> bool:
    """Remove the record of an owner that is gone, or with None a damaged one; whether it was still that."""
    aside = folder / f".{FILE}.{token}.gone"
    try:
        os.rename(folder / FILE, aside)
    except FileNotFoundError:  # another process has removed it
        return True
    try:
        is_same = Owner(**checked(read_json(aside), _KINDS, tuple(_KINDS))) == dead
    except Damaged:
        is_same = dead is None
    if not is_same:  # another process was quicker: it gets its record back
        os.replace(aside, folder / FILE)
    _remove(aside)
    return is_same


def _is_first(folder: Path, owner: Owner) -> bool:
    """Write the record unless there is one: a link is made by one process alone, on network file systems, too."""
    temporary = folder / f".{FILE}.{owner.token}.tmp"
    write_json(temporary, asdict(owner))
    try:
        os.link(temporary, folder / FILE)
        return True
    except FileExistsError:
        return False
    except OSError:  # a file system without links
        os.replace(temporary, folder / FILE)
        return True
    finally:
        _remove(temporary)


def _lives(run_dir: Path, owner: Owner) -> bool:
    """Whether an owner may still train: by its process on this host, by the age of its last beat on another."""
    if owner.host == socket.gethostname():
        return owner.pid != os.getpid() and is_alive(owner.pid, owner.process_started)
    try:
        os.utime(run_dir / LOCK)  # the file system's own clock
        return (run_dir / LOCK).stat().st_mtime - (run_dir / FILE).stat().st_mtime < QUIET_S
    except OSError:
        return False


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
