"""Runs and checkpoints by path, by id or by a unique part of it (torch-free)."""

import os
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from math import isfinite
from pathlib import Path

from gancli.errors import UserError
from gancli.runs.checkpoint import SUFFIX, CheckpointFolder, images_of
from gancli.runs.config import at, stored_config
from gancli.runs.directory import is_run
from gancli.runs.files import CHECKPOINTS, CONFIG
from gancli.runs.looking import PassedOver, folders
from gancli.runs.records import Damaged
from gancli.runs.status import DAMAGED, Status, read_status
from gancli.runs.sweeps import FILE as SWEEP_FILE
from gancli.runs.sweeps import job_folders, sweep_of

OUTPUTS = "outputs"
SHOWN = 5  # how many runs an error lists


@dataclass(frozen=True)
class RunInfo:
    """One line of `gan list runs`; read from config.yaml and status.json alone."""

    id: str  # the folder's name; `<sweep>/<folder in it>` for a job of a sweep
    path: Path
    status: str  # running, finished, failed, stopped, killed or unknown
    kimg: float
    model: str
    loss: str
    dataset: str
    started: str = ""  # UTC, ISO 8601
    why: str = ""
    overrides: list[str] = field(default_factory=list)
    figures: dict[str, float | None] = field(default_factory=dict)
    best: tuple[str, float, int] | None = None  # the figure's name, its value, after so many images
    alarms: int = 0  # raised by the diagnosis
    in_sweep: bool = False


def list_runs(root: Path | str = OUTPUTS, passed: PassedOver | None = None) -> list[RunInfo]:
    """Return every run in `root`/train/* and of the sweeps `root`/sweep/* (or directly in `root`), oldest first.

    Args:
        passed: takes the folders that cannot be read.
    """
    return sorted((_info(path) for path in _run_folders(Path(root), passed)), key=lambda run: (run.started, run.id))


def find_run(text: str, root: Path | str = OUTPUTS) -> Path:
    """Return the directory of the run that `text` names: a path, an id, or a part that only one id has.

    Raises:
        UserError: no run or several runs match; it lists the matches, or the nearest.
    """
    path = Path(text)
    if text and os.path.isdir(path):
        return _run_at(path)
    runs = {run_id(path): path for path in _run_folders(Path(root))}
    wanted = str(text).strip("/")
    if wanted in runs:
        return runs[wanted]
    matches = [run for run in runs if wanted and wanted in run]
    whole = [run for run in matches if wanted in _pieces(run)]  # cgan is a part of dcgan too
    matches = whole or matches
    if len(matches) == 1:
        return runs[matches[0]]
    if matches:
        raise UserError(f"{text} names {len(matches)} runs: {_shown(matches)}. Give more of the id.")
    raise UserError(f"There is no run called {text}{_nearest(wanted, runs, Path(root))}")


def find_runs(text: str, root: Path | str = OUTPUTS) -> list[Path]:
    """Return the directories of the run, or of a sweep's jobs in their order, that `text` names.

    A sweep is named by its folder (any folder that holds runs), by its id or by a unique part of it.

    Raises:
        UserError: as `find_run`.
    """
    path, wanted = Path(text), str(text).strip("/")
    if text and os.path.isdir(path):
        inside = [] if is_run(path) else _run_folders(path)
        return sorted(inside, key=natural) or [_run_at(path)]
    sweeps = [folder for folder in folders(Path(root) / "sweep", []) if wanted in (folder.name, *_pieces(folder.name))]
    if wanted and len(sweeps) == 1:
        return sorted(_run_folders(sweeps[0]), key=natural) or [find_run(text, root)]
    return [find_run(text, root)]


def names(root: Path | str = OUTPUTS) -> list[str]:
    """Return the ids of all runs and sweeps."""
    runs = [run_id(path) for path in _run_folders(Path(root))]
    return sorted({*runs, *(run.partition("/")[0] for run in runs)})


def natural(path: Path) -> list[tuple[int, str]]:
    """Return a sort key in which 10 follows 9."""
    return [(int(part) if part.isdigit() else -1, part) for part in path.parts]


def run_id(path: Path) -> str:
    """Return a run's id: the folder's name, `<sweep>/<folder in it>` for a job of a sweep."""
    path = path.absolute()
    sweep = sweep_of(path)
    if sweep is not None:
        return f"{sweep.name}/{path.relative_to(sweep)}"
    return f"{path.parent.name}/{path.name}" if path.parent.parent.name == "sweep" else path.name


def find_checkpoint(text: str, root: Path | str = OUTPUTS) -> Path:
    """Return the checkpoint that `text` names.

    Args:
        text: a checkpoint file; a run (see `find_run`), which gives its best, else its latest checkpoint; or
            `run@12.5` (that many kimg), `run@best`, `run@latest`.

    Raises:
        UserError: no such run or checkpoint; it lists what exists.
    """
    path = Path(text)
    if os.path.isfile(path):
        return path
    if text and os.path.isdir(path):
        return _best_or_latest(_run_at(path))
    run, at, which = str(text).rpartition("@")
    if at:
        return _chosen(find_run(run, root), which)
    if path.suffix == SUFFIX:
        there = sorted(path.parent.glob(f"*{SUFFIX}"))
        hint = (f"its folder holds {_shown([other.name for other in there])}." if there else
                "ckpt=RUN takes the best or latest checkpoint of a run, and gan list runs shows them all.")
        raise UserError(f"There is no checkpoint at {path}; {hint}")
    return _best_or_latest(find_run(text, root))


def _chosen(run_dir: Path, which: str) -> Path:
    folder = CheckpointFolder(run_dir)
    if which in ("best", "latest"):
        path = folder.best() if which == "best" else folder.latest()
        if path is None:
            raise UserError(f"The run {run_dir.name} has no {which} checkpoint; it has {_have(folder)}.")
        return path
    try:
        images = round(float(which) * 1000)
    except (ValueError, OverflowError):
        raise UserError(f"{which} is no number of kimg: write RUN@200, RUN@best or RUN@latest.") from None
    for path in folder.list():
        if images_of(path) == images:
            return path
    raise UserError(f"The run {run_dir.name} has no checkpoint at {which} kimg; it has {_have(folder)}.")


def _best_or_latest(run_dir: Path) -> Path:
    folder = CheckpointFolder(run_dir)
    path = folder.best() or folder.latest()
    if path is None:
        raise UserError(f"The run {run_dir} has no checkpoint yet.")
    return path


def _have(folder: CheckpointFolder) -> str:
    kimg = [f"{images_of(path) / 1000:g}" for path in folder.list()]
    return f"those at {', '.join(kimg)} kimg" if kimg else "none yet"


def _run_at(path: Path) -> Path:
    """Return the run whose directory, or folder of checkpoints, is at `path`."""
    if path.name == CHECKPOINTS and any(path.glob(f"*{SUFFIX}")):
        return path.parent
    if is_run(path):
        return path
    inside = [run_id(run) for run in _run_folders(path)]
    raise UserError(f"The folder {path} holds no run." if not inside else
                    f"The folder {path} is no run but holds {len(inside)}: {_shown(inside)}.")


def _run_folders(root: Path, passed: PassedOver | None = None) -> list[Path]:
    """Return the runs under a folder; of a sweep those that its record names, however deep they lie in it.

    Args:
        passed: takes the folders that cannot be read.
    """
    passed = [] if passed is None else passed
    tops = folders(root, passed)
    sweeps = folders(root / "sweep", passed)
    paths = {*tops, *folders(root / "train", passed), *(job for sweep in sweeps for job in folders(sweep, passed))}
    for sweep in (root, *tops, *sweeps):
        if os.path.isfile(sweep / SWEEP_FILE):
            paths |= {job for job in job_folders(sweep) if os.path.isdir(job)}
    return sorted(path for path in paths if is_run(path))


def _info(path: Path) -> RunInfo:
    """Return what a run's records say; one that is damaged is told as the run's status."""
    status, config = read_status(path) or Status("unknown"), {}
    try:
        config = stored_config(path)
    except (OSError, Damaged) as error:
        if status.status != DAMAGED and os.path.lexists(path / CONFIG):
            status = replace(status, status=DAMAGED, why=f"{CONFIG} is damaged: {error}")
    in_sweep = sweep_of(path.absolute()) is not None or path.absolute().parent.parent.name == "sweep"
    return RunInfo(run_id(path), path, status.status, status.images / 1000, at(config, "model", "name"),
                   at(config, "loss", "name"), at(config, "dataset", "name"), status.started, status.why,
                   status.overrides, status.figures, _best(status.best), len(status.alarms), in_sweep)


def _best(best: dict | None) -> tuple[str, float, int] | None:
    match best:
        case {"metric": str(metric), "value": int() | float() as value, "images": int(images)} if isfinite(value):
            return metric, value, images
    return None


def _shown(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _pieces(run: str) -> list[str]:
    return run.replace("/", "-").split("-")


def _nearest(wanted: str, runs: dict[str, Path], root: Path) -> str:
    if not runs:
        return f", and none in {root}: train one with gan train, or give a path."
    pieces = {piece: run for run in runs for piece in (*_pieces(run), run)}
    near = list(dict.fromkeys(pieces[piece] for piece in get_close_matches(wanted, pieces, n=3, cutoff=0.6)))
    if near:
        return f"; did you mean {' or '.join(near)}?"
    return f"; the newest are {_shown(sorted(runs, reverse=True))}."
