"""Runs and checkpoints by path, by id or by a unique part of it (torch-free)."""

from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from gancli.errors import UserError
from gancli.runs.checkpoint import SUFFIX, CheckpointFolder, images_of
from gancli.runs.directory import is_run
from gancli.runs.status import Status, read_status

OUTPUTS = "outputs"
SHOWN = 5  # how many runs an error lists


@dataclass(frozen=True)
class RunInfo:
    """One line of `gan list runs`; read from config.yaml and status.json alone."""

    id: str  # the folder's name; `<sweep>/<number>` for a job of a sweep
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


def list_runs(root: Path | str = OUTPUTS) -> list[RunInfo]:
    """Return every run in `root`/train/* and `root`/sweep/*/* (or directly in `root`), oldest first."""
    return sorted((_info(path) for path in _run_folders(Path(root))), key=lambda run: (run.started, run.id))


def find_run(text: str, root: Path | str = OUTPUTS) -> Path:
    """Return the directory of the run that `text` names: a path, an id, or a part that only one id has.

    Raises:
        UserError: no run or several runs match; it lists the matches, or the nearest.
    """
    path = Path(text)
    if text and path.is_dir():
        return _run_at(path)
    runs = {_id(path): path for path in _run_folders(Path(root))}
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


def find_checkpoint(text: str, root: Path | str = OUTPUTS) -> Path:
    """Return the checkpoint that `text` names.

    Args:
        text: a checkpoint file; a run (see `find_run`), which gives its best, else its latest checkpoint; or
            `run@12.5` (that many kimg), `run@best`, `run@latest`.

    Raises:
        UserError: no such run or checkpoint; it lists what exists.
    """
    path = Path(text)
    if path.is_file():
        return path
    if text and path.is_dir():
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
    if path.name == "checkpoints" and any(path.glob(f"*{SUFFIX}")):
        return path.parent
    if is_run(path):
        return path
    inside = [_id(run) for run in _run_folders(path)]
    raise UserError(f"The folder {path} holds no run." if not inside else
                    f"The folder {path} is no run but holds {len(inside)}: {_shown(inside)}.")


def _run_folders(root: Path) -> list[Path]:
    return sorted(path for pattern in ("*", "train/*", "sweep/*/*") for path in root.glob(pattern)
                  if path.is_dir() and is_run(path))


def _id(path: Path) -> str:
    path = path.absolute()
    return f"{path.parent.name}/{path.name}" if path.parent.parent.name == "sweep" else path.name


def _info(path: Path) -> RunInfo:
    config = _config(path / "config.yaml")
    status = read_status(path) or Status("unknown")
    return RunInfo(_id(path), path, status.status, status.images / 1000, _at(config, "model", "name"),
                   _at(config, "loss", "name"), _at(config, "dataset", "name"), status.started, status.why,
                   status.overrides, status.figures)


def _config(path: Path) -> dict[str, Any]:
    """Read a run's config as plain values; {} where it is absent or broken, since a list must not fail on one run."""
    try:
        config = OmegaConf.to_container(OmegaConf.load(path))
    except (OSError, YAMLError, OmegaConfBaseException, UnicodeDecodeError):
        return {}
    return config if isinstance(config, dict) else {}


def _at(config: dict[str, Any], *keys: str) -> str:
    value: Any = config
    for key in keys:
        value = value[key] if isinstance(value, dict) and key in value else None
    return "?" if value is None else str(value)


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
