"""status.json: whether a run runs, finished, failed or was stopped, with its figures (torch-free)."""

import math
import os
import socket
import time
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from gancli.runs.atomic import write_json
from gancli.runs.files import OWNER, STATUS
from gancli.runs.records import (
    NUMBER,
    NUMBERS,
    TEXT,
    TEXTS,
    WHOLE,
    Damaged,
    Kind,
    checked,
    is_number,
    is_text,
    is_whole,
    list_of,
    or_null,
    read_json,
)

STATUSES = ("running", "finished", "failed", "stopped")
DAMAGED = "damaged"  # what `read_status` reports of a file that is no status
LARGEST_PID = 2**31 - 1
SILENT_S = 600.0  # a run on another machine that has not renewed its owner.json for so long is gone; their clocks may differ


@dataclass(frozen=True)
class Status:
    """What status.json holds; `read_status` may also report `killed` and `damaged`, which nobody writes."""

    status: str  # one of STATUSES
    why: str = ""  # why it failed or stopped, one sentence
    images: int = 0  # real images shown
    figures: dict[str, float | None] = field(default_factory=dict)  # latest or final; None where it was not finite
    best: dict | None = None  # of the metric that `best` follows: {"metric", "value", "images"}
    alarms: list[dict] = field(default_factory=list)  # of the diagnosis: {"name", "images", "evidence", "advice"}
    objective: float | None = None  # of a job of a sweep: what the sweeper minimizes or maximizes
    overrides: list[str] = field(default_factory=list)  # of the command line
    next: str = ""  # the command that shows more of what the model makes: sample, translate, ...; "" where none does
    measurable: bool = False  # whether gan evaluate can measure it
    started: str = ""  # UTC, ISO 8601
    ended: str | None = None
    pid: int = 0
    host: str = ""
    process_started: int | None = None  # clock ticks since boot (Linux): a pid may be given to another process later

    @property
    def is_local(self) -> bool:
        """Whether the run's process is, or was, one of this host."""
        return self.host == socket.gethostname()

    @classmethod
    def begin(cls, overrides: list[str]) -> "Status":
        """Return the status of a run that this process starts now."""
        return cls("running", overrides=list(overrides), started=now(), pid=os.getpid(), host=socket.gethostname(),
                   process_started=process_start(os.getpid()))

    def end(self, status: str, why: str = "") -> "Status":
        """Return the status of the run, ended now as `finished`, `failed` or `stopped`."""
        if status not in STATUSES[1:]:
            raise ValueError(f"a run ends as {', '.join(STATUSES[1:])}, not {status}")
        return replace(self, status=status, why=why, ended=now())


def now() -> str:
    """Return the time as UTC in ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_status(run_dir: Path | str, status: Status) -> None:
    """Write status.json atomically; figures that are not finite become null, since JSON has no other word for them."""
    figures = {name: value if value is not None and math.isfinite(value) else None
               for name, value in status.figures.items()}
    objective = status.objective if status.objective is not None and math.isfinite(status.objective) else None
    write_json(Path(run_dir) / STATUS, asdict(replace(status, figures=figures, objective=objective)))


def read_status(run_dir: Path | str) -> Status | None:
    """Read status.json; None where there is none, `damaged` with the reason where it is no status or unreadable.

    A run is `killed` where it was running and its process is gone from this host, or has not been heard of from another.
    """
    values: dict = {}
    try:
        values = read_json(Path(run_dir) / STATUS)
        status = Status(**checked(values, _KINDS, ("status",)))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return Status(DAMAGED, f"{STATUS} cannot be read: {error.strerror}")
    except Damaged as error:
        sound = {name: values[name] for name, kind in _KINDS.items() if name in values and kind.holds(values[name])}
        return replace(Status(DAMAGED), **{**sound, "status": DAMAGED, "why": f"{STATUS} is damaged: {error}"})
    if status.status == "running" and status.host == socket.gethostname() and not is_alive(status.pid, status.process_started):
        return replace(status, status="killed", why=f"process {status.pid} is gone")
    if status.status == "running" and not status.is_local and _is_silent(Path(run_dir)):
        return replace(status, status="killed", why=f"nothing has been heard of process {status.pid} on {status.host} for "
                                                    f"{SILENT_S / 60:.0f} minutes")
    return status


def _is_silent(run_dir: Path) -> bool:
    """Whether a run's process, which renews its file while it lives, has not done so for long; False without a file."""
    try:
        return time.time() - (run_dir / OWNER).stat().st_mtime > SILENT_S
    except OSError:
        return False


def _is_best(value: dict) -> bool:
    """Whether a value is the state of the figure that `best` follows."""
    return isinstance(value, dict) and (not value or is_text(value.get("metric")) and is_whole(value.get("images"))
                                        and or_null(is_number)(value.get("value")))


_KINDS = {
    "status": Kind(f"one of {', '.join(STATUSES)}", lambda value: value in STATUSES),
    "why": TEXT,
    "images": WHOLE,
    "figures": NUMBERS,
    "best": Kind("the best figure's metric, value and images", or_null(_is_best)),
    "alarms": Kind("a list of alarms", list_of(lambda value: isinstance(value, dict))),
    "objective": NUMBER,
    "overrides": TEXTS,
    "next": TEXT,
    "measurable": Kind("true or false", lambda value: isinstance(value, bool)),
    "started": TEXT,
    "ended": Kind("a text or null", or_null(is_text)),
    "pid": Kind("the number of a process", lambda value: is_whole(value) and value <= LARGEST_PID),
    "host": TEXT,
    "process_started": Kind("a whole number or null", lambda value: value is None or value == -1 or is_whole(value)),
}


def is_alive(pid: int, started: int | None) -> bool:
    """Whether a process of this host runs, and is the one that started then (where the system tells)."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's process
    start = process_start(pid)
    return start is None or started in (None, start)


def process_start(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; -1 for a zombie; None where /proc does not tell."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *rest = text.rpartition(")")[2].split()  # the name before it may hold spaces
    return -1 if state == "Z" else int(rest[18])
