"""What a comparison knows of a run: its settings, status, curves and sample grids, read without trust in any of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gancli.errors import UserError
from gancli.metrics.catalog import FIGURES
from gancli.runs.checkpoint import images_of
from gancli.runs.config import flat, read_config
from gancli.runs.files import SAMPLES, STATS
from gancli.runs.find import find_runs, run_id
from gancli.runs.provenance import read_provenance
from gancli.runs.stats import METRIC_TAG, read_ticks
from gancli.runs.status import Status, read_status

LABEL_LENGTH = 60  # characters of a name in a legend, where they are overrides
NOT_TOLD = ("run_dir=", "resume=", "device=", "data_dir=")  # overrides that do not tell what was tried


@dataclass(frozen=True)
class Curve:
    """One scalar of a run: its value after so many thousands of real images; NaN where it was not finite."""

    kimg: NDArray[np.float64]  # [T], rising
    values: NDArray[np.float64]  # [T]


@dataclass(frozen=True)
class Figure:
    """What became of a metric in a run; its name says the extractor and the counts, as `fid(classifier,2000/60000)`."""

    name: str
    last: float | None  # None: not finite
    best: float | None  # None also for a metric without a better side
    best_kimg: float | None


@dataclass(frozen=True)
class Run:
    """One run of a comparison."""

    id: str
    path: Path
    short: str  # the shortest name that no other run of the comparison has
    config: dict[str, Any]  # dotted keys
    status: Status
    provenance: dict[str, Any]
    curves: dict[str, Curve]  # by tag
    grids: dict[str, dict[int, Path]] = field(default_factory=dict)  # kind ("samples", "translations") -> images -> PNG

    @property
    def seconds(self) -> float | None:
        """Training time."""
        return _last(self.curves.get("time/training_s"))

    @cached_property
    def images_per_s(self) -> float | None:
        """The median of the recorded speeds, which a pause or a slow first turn does not move."""
        curve = self.curves.get("speed/images_per_s")
        known = curve.values[np.isfinite(curve.values)] if curve is not None else ()
        return float(np.median(known)) if len(known) else None

    @cached_property
    def figures(self) -> dict[str, Figure]:
        """The last and the best figure of every metric, by full name."""
        return {tag.removeprefix(METRIC_TAG): _figure(tag.removeprefix(METRIC_TAG), curve)
                for tag, curve in self.curves.items() if tag.startswith(METRIC_TAG)}


def lower_is_better(name: str) -> bool | None:
    """Return which side of a figure `fid(...)` is better; None where neither is, or the figure is unknown."""
    known = FIGURES.get(name.partition("(")[0])
    return None if known is None else known.lower_is_better


def read_runs(texts: Iterable[str], root: Path | str) -> list[Run]:
    """Return the runs that paths, ids and sweeps name, each once, in that order; a UserError where one names none."""
    found: dict[Path, Path] = {}
    for text in texts:
        for path in find_runs(text, root):
            found.setdefault(path.resolve(), path)
    if not found:
        raise UserError("Nothing to compare: give runs, or the folder of a sweep; gan list runs shows them.")
    shorts = short_names(list(found.values()))
    return [read_run(path, short) for path, short in zip(found.values(), shorts, strict=True)]


def read_run(path: Path, short: str = "") -> Run:
    """Read one run's folder; whatever is missing, cut or broken there is left out."""
    return Run(run_id(path), path, short or run_id(path), flat(read_config(path)), read_status(path) or Status("unknown"),
               read_provenance(path), read_curves(path / STATS), _grids(path / SAMPLES))


def read_curves(path: Path) -> dict[str, Curve]:
    """Return the curves of a stats.jsonl by tag; lines that a kill has cut are left out."""
    rows = {row["images"]: row for row in read_ticks(path)}
    ordered = [rows[images] for images in sorted(rows)]
    tags = dict.fromkeys(tag for row in ordered for tag in row if tag != "images")
    return {tag: _curve(ordered, tag) for tag in tags}


def labels(runs: Sequence[Run]) -> list[str]:
    """Return a name for the legends: the short one, and of the overrides that not all runs were given as many as fit."""
    given = [[word for word in run.status.overrides if not word.startswith(NOT_TOLD)] for run in runs]
    shared = set.intersection(*map(set, given)) if len(runs) > 1 else set(given[0])
    names = []
    for run, words in zip(runs, given, strict=True):
        told = [run.short, *(word for word in words if word not in shared)]
        fitting = [word for i, word in enumerate(told) if i == 0 or len(" ".join(told[:i + 1])) <= LABEL_LENGTH]
        names.append(" ".join(fitting) + (" …" if len(fitting) < len(told) else ""))
    return names


def short_names(paths: Sequence[Path]) -> list[str]:
    """Return the shortest distinct names: a job's number, the six digits of an id, a folder's name, or a longer path."""
    for candidate in (_piece, run_id, lambda path: "/".join(path.absolute().parts[-2:]), str):
        names = [candidate(path) for path in paths]
        if len(set(names)) == len(names):
            return names
    return names


def _piece(path: Path) -> str:
    """Return `a1b2c3` of `20260101T000000Z-a1b2c3-dcgan-mnist`, else the folder's name."""
    time, _, rest = path.name.partition("-")
    return rest.partition("-")[0] if rest and len(time) == 16 and time[8] == "T" else path.absolute().name


def _curve(rows: list[dict[str, Any]], tag: str) -> Curve:
    """Return one scalar of the rows that have it."""
    having = [row for row in rows if tag in row]
    values = np.array([row[tag] for row in having], dtype=np.float64)  # null becomes NaN
    return Curve(np.array([row["images"] for row in having], dtype=np.float64) / 1000, values)


def _last(curve: Curve | None) -> float | None:
    """Return the last value, None where there is none or it was not finite."""
    return float(curve.values[-1]) if curve is not None and np.isfinite(curve.values[-1]) else None


def _figure(name: str, curve: Curve) -> Figure:
    lower = lower_is_better(name)
    if lower is None or not np.isfinite(curve.values).any():
        return Figure(name, _last(curve), None, None)
    place = int(np.nanargmin(curve.values) if lower else np.nanargmax(curve.values))
    return Figure(name, _last(curve), float(curve.values[place]), float(curve.kimg[place]))


def _grids(folder: Path) -> dict[str, dict[int, Path]]:
    """Return the grids that the engine has written: `kimg-000200.png`, `reconstructions-kimg-000200.png`."""
    found: dict[str, dict[int, Path]] = {}
    for path in sorted(folder.glob("*kimg-*.png")):
        kind, dash, name = path.stem.rpartition("kimg-")
        try:
            images = images_of(Path(dash + name))
        except ValueError:
            continue
        found.setdefault(kind.rstrip("-") or "samples", {})[images] = path
    return found
