"""sweep.json: the command of a sweep and which job lies in which folder of it (torch-free)."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from gancli import __version__
from gancli.errors import UserError
from gancli.runs.atomic import write_json
from gancli.runs.directory import is_run
from gancli.runs.files import SWEEP
from gancli.runs.looking import folders
from gancli.runs.progress import SweepProgress, read_progress
from gancli.runs.records import (
    TEXT,
    TEXTS,
    Damaged,
    Kind,
    checked,
    is_name,
    is_place,
    is_text,
    list_of,
    mapping_of,
    or_null,
    read_json,
)
from gancli.runs.status import now

FILE = SWEEP


@dataclass
class SweepRecord:
    """What sweep.json holds; written whole whenever a job gets its folder, before the job starts."""

    config_name: str  # the command: train
    overrides: list[str]  # of the command line, paths absolute
    config_dir: str | None = None  # --config-dir
    jobs: dict[str, list[str]] = field(default_factory=dict)  # folder in the sweep's own -> the job's overrides
    started: str = field(default_factory=now)  # UTC, ISO 8601
    gancli: str = __version__

    def folder_of(self, overrides: Sequence[str], ignored: frozenset[str] = frozenset()) -> str | None:
        """Return the folder of the job with these settings, in any order and but for the keys in `ignored`."""
        wanted = settings(overrides, ignored)
        return next((name for name, job in self.jobs.items() if settings(job, ignored) == wanted), None)

    def free_number(self) -> int:
        """Return the least number above those of all jobs' folders."""
        return max((int(name) for name in self.jobs if name.isdecimal()), default=-1) + 1


def settings(overrides: Sequence[str], ignored: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """Return overrides in a fixed order, without those of the keys in `ignored`."""
    return tuple(sorted(override for override in overrides if key_of(override) not in ignored))


def key_of(override: str) -> str:
    """Return the key of an override."""
    return override.lstrip("+~").partition("=")[0]


def write_sweep(folder: Path, record: SweepRecord) -> None:
    """Write sweep.json atomically."""
    write_json(folder / FILE, asdict(record))


def read_sweep(folder: Path) -> SweepRecord | None:
    """Read sweep.json; None where there is none or it is no record of a sweep."""
    try:
        return SweepRecord(**checked(read_json(folder / FILE), _KINDS, ("config_name", "overrides")))
    except (OSError, Damaged):
        return None


_KINDS = {
    "config_name": Kind("the name of a command", is_name),
    "overrides": TEXTS,
    "config_dir": Kind("a path or null", or_null(is_text)),
    "jobs": Kind("a mapping of folders in the sweep's own to overrides", mapping_of(list_of(is_text), key=is_place)),
    "started": TEXT,
    "gancli": TEXT,
}


def job_folder(folder: Path, name: str) -> Path:
    """Return the folder of a sweep's job.

    Raises:
        UserError: it would lie outside of the sweep's folder, by its name or by a link.
    """
    path = folder / name
    if not is_place(name) or not path.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"A job of {folder} would lie in {name!r}, outside of the sweep's folder: give hydra.sweep.subdir= "
                        "names of folders in it.")
    return path


def job_folders(folder: Path) -> list[Path]:
    """Return the folders of a sweep's jobs in their order: those of sweep.json, else every one that holds a run."""
    record = read_sweep(folder)
    if record is not None:
        return [folder / name for name in record.jobs]
    return sorted((path for path in folders(folder, []) if is_run(path)), key=_natural)


def sweep_of(path: Path) -> Path | None:
    """Return the sweep in which a run lies, by the sweep.json above it; None for a run of its own."""
    return next((above for above in path.parents if os.path.isfile(above / FILE)), None)


def shared_words(sweep: Path | None, jobs: Sequence[Sequence[str]]) -> set[str]:
    """Return the overrides that do not tell jobs of a sweep apart: those that all have, and those of the sweep's command."""
    record = None if sweep is None else read_sweep(sweep)
    common = set.intersection(*map(set, jobs)) if len(jobs) > 1 else set()
    return common | set([] if record is None else record.overrides)


def sweeps_in(root: Path) -> list[tuple[Path, SweepProgress]]:
    """Return the sweeps that lie in a folder, in its folder `sweep`, or are it, with how far they are; the oldest first."""
    found = [(folder, read_progress(folder)) for folder in (root, *folders(root, []), *folders(root / "sweep", []))]
    told = [(folder, progress) for folder, progress in found if progress is not None and os.path.isfile(folder / FILE)]
    return sorted(told, key=lambda each: (each[1].started, each[0].name))


def differing(run_dir: Path) -> list[str]:
    """Return the keys whose values tell the jobs apart of the sweep in which a run lies; none of a run of its own."""
    sweep = sweep_of(run_dir.absolute())
    record = None if sweep is None else read_sweep(sweep)
    if record is None or len(record.jobs) < 2:
        return []
    shared = set.intersection(*(set(job) for job in record.jobs.values()))
    return list(dict.fromkeys(key_of(word) for job in record.jobs.values() for word in job if word not in shared))


def find_sweep(text: str, root: Path | str) -> Path | None:
    """Return the sweep that `text` names: its path, its name in `root`/sweep, or a whole piece of one such name.

    Raises:
        UserError: several sweeps have that piece.
    """
    path = Path(text)
    if text and os.path.isfile(path / FILE):
        return path
    sweeps = {found.name: found for found in folders(Path(root) / "sweep", []) if os.path.isfile(found / FILE)}
    matches = [name for name in sweeps if text == name or text in name.split("-")]
    if len(matches) > 1:
        raise UserError(f"{text} names {len(matches)} sweeps: {', '.join(matches[:5])}. Give more of the name.")
    return sweeps[matches[0]] if matches else None


def _natural(path: Path) -> list[tuple[int, str]]:
    """Return a sort key in which 10 follows 9."""
    return [(int(part) if part.isdigit() else -1, part) for part in path.parts]
