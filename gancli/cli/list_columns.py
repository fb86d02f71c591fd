"""The columns of a list of runs: by which it is sorted, and which of them a terminal has room for."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gancli.errors import UsageError, near

if TYPE_CHECKING:
    from gancli.runs.find import RunInfo

COLUMNS = ("id", "status", "kimg", "model", "loss", "dataset", "best", "alarms", "overrides", "path")
MORE = ("size", "date")  # a list is sorted by them, too, and shows them then
SPARED = ("path", "dataset", "model", "loss", "alarms", "overrides", "best", "kimg")  # in a narrow terminal, in turn
BETWEEN = 3  # characters from one column to the next


def sort_runs(runs: Sequence["RunInfo"], column: str, descending: bool) -> list["RunInfo"]:
    """Return the runs by a column, the date, the size on disk or a figure (fid); of figures the best comes first.

    Runs without that figure come last.

    Raises:
        UsageError: there is no such column and no such figure.
    """
    from gancli.metrics.catalog import FIGURES

    if column == "date":
        return sorted(runs, key=lambda run: run.started, reverse=descending)
    if column == "size":
        sizes = {run.path: size(run.path) for run in runs}
        return sorted(runs, key=lambda run: sizes[run.path], reverse=descending)
    if column in COLUMNS and column != "best":
        return sorted(runs, key=lambda run: getattr(run, column), reverse=descending)
    if column != "best" and column not in FIGURES and not any(figure(run, column) for run in runs):
        raise UsageError(f"There is no column {column}; {near(column, [*COLUMNS, *MORE, *FIGURES])}")

    def key(run: "RunInfo") -> tuple[str, float]:
        name, value = found[run.path]
        known = FIGURES.get(name.partition("(")[0])
        return name, -value if (known is not None and known.lower_is_better is False) != descending else value

    told = {run.path: run.best and run.best[:2] if column == "best" else figure(run, column) for run in runs}
    found = {path: of for path, of in told.items() if of}
    return sorted((run for run in runs if run.path in found), key=key) + [run for run in runs if run.path not in found]


def figure(run: "RunInfo", name: str) -> tuple[str, float] | None:
    """Return a run's figure by its name, or by its name before the protocol: of its best checkpoint, else the last one."""
    if run.best and name in (run.best[0], run.best[0].partition("(")[0]):
        return run.best[:2]
    return next(((full, value) for full, value in run.figures.items()
                 if value is not None and name in (full, full.partition("(")[0])), None)


def cell(run: "RunInfo", column: str) -> str:
    """Return what a list that is sorted by the date, the size or a figure shows of it."""
    if column == "date":
        return run.started[:16].replace("T", " ")
    if column == "size":
        return f"{size(run.path) / 2**20:,.1f} MiB"
    found = figure(run, column)
    return f"{found[1]:.4g}" if found else ""


def size(path: Path) -> int:
    """Return the bytes that a run takes on disk."""
    from gancli.runs.removing import size_of

    return size_of(path)


def fitting(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """Return the columns that a terminal of so many characters has room for (None: any), ids and what was asked for first."""
    widths = {name: max([len(name), *(len(row[place]) for row in rows)]) for place, name in enumerate(columns)}
    kept = list(columns)
    for name in SPARED:
        if width is None or sum(widths[each] for each in kept) + BETWEEN * len(kept) <= width:
            break
        kept = [each for each in kept if each != name]
    return kept
