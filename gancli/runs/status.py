"""status.json: whether a run runs, finished, failed or was stopped, with its figures (torch-free)."""

import json
import math
import os
import socket
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path

from gancli.runs.atomic import write_json
from gancli.runs.files import STATUS

STATUSES = ("running", "finished", "failed", "stopped")


@dataclass(frozen=True)
class Status:
    """What status.json holds; `read_status` may also report the status `killed`, which nobody writes."""

    status: str  # one of STATUSES
    why: str = ""  # why it failed or stopped, one sentence
    images: int = 0  # real images shown
    figures: dict[str, float | None] = field(default_factory=dict)  # latest or final; None where it was not finite
    best: dict | None = None  # of the metric that `best` follows: {"metric", "value", "images"}
    alarms: list[dict] = field(default_factory=list)  # of the diagnosis: {"name", "images", "evidence", "advice"}
    objective: float | None = None  # of a job of a sweep: what the sweeper minimises or maximises
    overrides: list[str] = field(default_factory=list)  # of the command line
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
                   process_started=_process_start(os.getpid()))

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
    """Read status.json; None where it is absent or no status; `killed` where its process is gone from this host."""
    try:
        values = json.loads((Path(run_dir) / STATUS).read_text())
        known = {item.name for item in fields(Status)}
        status = Status(**{key: value for key, value in values.items() if key in known})
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return None
    if not _is_sound(status):
        return None
    if status.status == "running" and status.host == socket.gethostname() and not _alive(status):
        return replace(status, status="killed", why=f"process {status.pid} is gone")
    return status


def _is_sound(status: Status) -> bool:
    """Whether the fields that lists read have their types; a run directory may come from a stranger."""
    kinds = ((status.status, str), (status.why, str), (status.images, int), (status.figures, dict), (status.started, str),
             (status.best, (dict, type(None))), (status.alarms, list), (status.overrides, list), (status.pid, int))
    return (all(isinstance(value, kind) for value, kind in kinds) and all(isinstance(alarm, dict) for alarm in status.alarms)
            and all(isinstance(override, str) for override in status.overrides))


def _alive(status: Status) -> bool:
    if status.pid <= 0:
        return False
    try:
        os.kill(status.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's process
    start = _process_start(status.pid)
    return start is None or status.process_started in (None, start)


def _process_start(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; -1 for a zombie; None where /proc does not tell."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *rest = text.rpartition(")")[2].split()  # the name before it may hold spaces
    return -1 if state == "Z" else int(rest[18])
