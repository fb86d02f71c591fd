"""The table of a comparison: columns, the settings in which runs differ, sorting, CSV and JSON."""

import csv
import io
import json
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from gancli import __version__
from gancli.compare.reading import Run, lower_is_better
from gancli.errors import UsageError, near
from gancli.runs.config import at
from gancli.runs.status import now

NAMED = {"model": "model.name", "loss": "loss.name", "dataset": "dataset.name"}
NO_SETTING = re.compile(r"(^|\.)recipe(\.|$)|^loss\.rule$")  # a paper's advice; the loss's name says it already
FEW = 4  # settings that differ and stand before the figures; more stand behind them
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # text that begins so is run by spreadsheets
Cell = str | float | None


@dataclass(frozen=True)
class Column:
    """One column: a cell per run."""

    name: str
    cells: list[Cell]
    kind: str = "text"  # text, setting, number or metric
    lower_is_better: bool | None = None

    @cached_property
    def is_number(self) -> bool:
        """Whether every cell that is not empty is a number."""
        return all(cell is None or isinstance(cell, (int, float)) for cell in self.cells)

    @cached_property
    def best(self) -> Cell:
        """The best cell of a metric that has a better side, None for other columns."""
        known = [cell for cell in self.cells if isinstance(cell, (int, float))]
        if self.lower_is_better is None or not known:
            return None
        return min(known) if self.lower_is_better else max(known)


    def text(self, row: int) -> str:
        """Return a cell for people: four digits of what was measured, all of a setting's."""
        cell = self.cells[row]
        if cell is None or isinstance(cell, str):
            return cell or ""
        if self.kind == "setting" or self.name.endswith("kimg"):
            return f"{cell:.10g}"
        return f"{cell:,.0f}" if self.kind == "number" and abs(cell) >= 100 else f"{cell:.4g}"


@dataclass(frozen=True)
class Table:
    """Runs and columns, rows in the order of `runs`."""

    runs: list[Run]
    columns: list[Column]

    def column(self, name: str) -> Column:
        """Return the column that `name` means: its name, or a metric's (`fid`), which means its best figure.

        Raises:
            UsageError: there is none, or several metrics of that name but of different protocols.
        """
        names = [column.name for column in self.columns]
        for wanted in (name, f"{name} best", f"{name} last"):
            if wanted in names:
                return self.columns[names.index(wanted)]
        for ending in ("best", "last"):
            found = [column for column in self.columns if column.name.startswith(f"{name}(")
                     and column.name.endswith(f") {ending}")]
            if len(found) == 1:
                return found[0]
            if found:
                raise UsageError(f"{name} was measured in several ways, which are not comparable; --sort takes one of: "
                                 + ", ".join(f"'{column.name}'" for column in found) + ".")
        raise UsageError(f"There is no column {name}; {near(name, names)}")

    def sorted(self, name: str, descending: bool | None = None) -> "Table":
        """Return the table sorted by a column (see `column`), empty cells last.

        Args:
            descending: None means the best first for a metric, else ascending.
        """
        column = self.column(name)
        if descending is None:
            descending = column.lower_is_better is False
        filled = [row for row, cell in enumerate(column.cells) if cell is not None]
        filled.sort(key=lambda row: sort_key(column.cells[row]), reverse=descending)
        return self.rows(filled + [row for row, cell in enumerate(column.cells) if cell is None])

    def rows(self, order: Sequence[int]) -> "Table":
        """Return the table with these rows in this order."""
        return Table([self.runs[row] for row in order],
                     [Column(column.name, [column.cells[row] for row in order], column.kind, column.lower_is_better)
                      for column in self.columns])


def make_table(runs: Sequence[Run]) -> Table:
    """Return the table of the runs."""
    runs = list(runs)
    columns = [Column("id", [run.id for run in runs]),
               Column("status", [run.status.status for run in runs]),
               Column("kimg", [run.status.images / 1000 for run in runs], "number")]
    columns += [Column(name, [at(run.config, key) for run in runs]) for name, key in NAMED.items()]
    settings = [Column(key, [setting(run.config[key]) if key in run.config else None for run in runs], "setting")
                for key in differences(runs)]
    few = len(settings) <= FEW
    columns += settings if few else []
    for name in dict.fromkeys(name for run in runs for name in run.figures):
        columns += _of_metric(name, runs)
    columns += [Column("seconds", [run.seconds for run in runs], "number"),
                Column("images/s", [run.images_per_s for run in runs], "number")]
    columns.append(Column("alarms", [" ".join(dict.fromkeys(str(alarm.get("name", "?")) for alarm in run.status.alarms))
                                     or None for run in runs]))
    return Table(runs, columns if few else columns + settings)


def differences(runs: Sequence[Run]) -> list[str]:
    """Return the keys of config.yaml in which the runs differ.

    A key that some runs lack counts where the component is the same in all, so that comparing a gan with a dcgan
    does not list every setting that only one of the two has.  Names of components have columns of their own.
    """
    configs = [run.config for run in runs if run.config]
    keys = dict.fromkeys(key for config in configs for key in config
                         if key not in NAMED.values() and not NO_SETTING.search(key))
    found = []
    for key in keys:
        having = [config for config in configs if key in config]
        name = f"{key.partition('.')[0]}.name"
        lacking = len(having) < len(configs) and len({str(config.get(name)) for config in configs}) == 1
        if lacking or len({json.dumps(config[key], default=str) for config in having}) > 1:
            found.append(key)
    return found


def setting(value: Any) -> Cell:
    """Return a value of a config as a cell: numbers stay numbers, the rest is as one types it in an override."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return value
    return value if isinstance(value, str) else json.dumps(value, default=str)


def sort_key(cell: Cell) -> tuple:
    """Return a key that sorts numbers before text, and 10 after 9 inside of text."""
    if isinstance(cell, (int, float)):
        return (0, cell)
    return (1, [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", str(cell).lower())])


def to_csv(table: Table) -> str:
    """Return the table as CSV (RFC 4180), numbers in full; text that a spreadsheet would run as a formula gets a '."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow([_no_formula(column.name) for column in table.columns])
    for row in range(len(table.runs)):
        writer.writerow(["" if (cell := column.cells[row]) is None else _no_formula(cell) for column in table.columns])
    return file.getvalue()


def to_json(table: Table) -> str:
    """Return the runs as JSON: settings that differ, figures by full name, alarms with evidence, overrides."""
    settings = [column for column in table.columns if column.kind == "setting"]
    plain = [column for column in table.columns if column.kind in ("text", "number") and column.name != "alarms"]
    runs = []
    for row, run in enumerate(table.runs):
        figures = {name: {key: value for key, value in asdict(figure).items() if key != "name"}
                   | {"lower_is_better": lower_is_better(name)} for name, figure in run.figures.items()}
        runs.append({column.name: column.cells[row] for column in plain}
                    | {"why": run.status.why, "path": str(run.path), "overrides": run.status.overrides,
                       "settings": {column.name: column.cells[row] for column in settings},
                       "figures": figures, "alarms": run.status.alarms})
    value = {"written": now(), "gancli": __version__, "runs": runs}
    return json.dumps(_finite(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _of_metric(name: str, runs: Sequence[Run]) -> list[Column]:
    """Return the columns of one figure: its best and when where it has a better side, and its last."""
    figures = [run.figures.get(name) for run in runs]
    lower = lower_is_better(name)
    last = Column(f"{name} last", [figure and figure.last for figure in figures], "metric", lower)
    if lower is None:
        return [last]
    return [Column(f"{name} best", [figure and figure.best for figure in figures], "metric", lower),
            Column(f"{name} best kimg", [figure and figure.best_kimg for figure in figures], "metric"), last]


def _no_formula(cell: Cell) -> Cell:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def _finite(value: Any) -> Any:
    """Return JSON types with null for numbers that JSON has no word for."""
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
