"""status.json of a sweep: how far all of its jobs are (torch-free)."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from gancli.runs.atomic import write_json
from gancli.runs.files import STATUS
from gancli.runs.records import NUMBER, TEXT, WHOLE, Damaged, Kind, checked, is_text, is_whole, mapping_of, or_null, read_json
from gancli.runs.status import Status, now

STANDINGS = ("running", "finished", "failed", "stopped")


@dataclass(frozen=True)
class SweepProgress:
    """What a sweep's status.json holds."""

    status: str  # one of STANDINGS
    of: int  # jobs that the sweep's command asks for
    jobs: dict[str, int] = field(default_factory=dict)  # how many stand so: finished, running, not started, ...
    best: str | None = None  # the folder, in the sweep's own, of the job with the best objective so far
    objective: float | None = None  # its objective
    checkpoints_bytes: int = 0  # that the checkpoints of all jobs take
    started: str = ""  # UTC, ISO 8601
    updated: str = ""  # UTC, ISO 8601

    def sentence(self) -> str:
        """Return how far the sweep is, in words."""
        counts = [f"{count} {standing}" for standing, count in sorted(self.jobs.items())]
        left = self.of - sum(self.jobs.values())
        counts += [f"{left} not launched"] if left > 0 else []
        known = self.best is not None and self.objective is not None
        best = f"; the best so far is {self.best} with {self.objective:.5g}" if known else ""
        return f"{self.status}: {', '.join(counts)} of {self.of} jobs{best}"


def progress_of(status: str, count: int, jobs: Mapping[Path, Status], sweep: Path, lower_is_better: bool,
                started: str) -> SweepProgress:
    """Return how far a sweep is.

    Args:
        count: jobs that its command asks for; its study may know them later.
        jobs: the status of each by its folder.
    """
    measured = [(job.objective, path) for path, job in jobs.items() if job.status == "finished" and job.objective is not None]
    best = (min if lower_is_better else max)(measured, default=None)
    size = sum(file.stat().st_size for path in jobs for file in path.glob("checkpoints/kimg-*") if file.is_file())
    name, objective = (None, None) if best is None else (str(best[1].relative_to(sweep)), best[0])
    return SweepProgress(status, max(count, len(jobs)), dict(Counter(job.status for job in jobs.values())), name, objective,
                         size, started, now())


def write_progress(sweep: Path, progress: SweepProgress) -> None:
    """Write a sweep's status.json atomically."""
    write_json(sweep / STATUS, asdict(progress))


def read_progress(sweep: Path) -> SweepProgress | None:
    """Read a sweep's status.json; None where there is none that can be read."""
    try:
        return SweepProgress(**checked(read_json(sweep / STATUS), _KINDS, ("status", "of")))
    except (OSError, Damaged):
        return None


def _is_moment(value: object) -> bool:
    """Whether a value is empty or a time in ISO 8601 that can be compared with others."""
    try:
        return value == "" or is_text(value) and datetime.fromisoformat(str(value)).tzinfo is not None
    except ValueError:
        return False


_KINDS = {
    "status": Kind(f"one of {', '.join(STANDINGS)}", lambda value: value in STANDINGS),
    "of": WHOLE,
    "jobs": Kind("a mapping of words to counts", mapping_of(is_whole)),
    "best": Kind("a text or null", or_null(is_text)),
    "objective": NUMBER,
    "checkpoints_bytes": WHOLE,
    "started": TEXT,
    "updated": Kind("a time with its zone", _is_moment),
}
