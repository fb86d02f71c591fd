"""The page of a comparison: one HTML file that opens without a server or a network, safe to open on anybody's runs.

What a run's folder says is text: every string is escaped, the data of the curves are JSON that cannot end their
element, pictures are drawn anew, and the page's policy lets no script run but its own, known by its hash.
"""

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

import numpy as np

from gancli import __version__
from gancli.compare.curves import FEWEST_POINTS, MOST_POINTS, thin
from gancli.compare.reading import METRICS, Run
from gancli.compare.samples import MOST_RUNS, Grid, caption, png
from gancli.compare.table import NAMED, Column, Table
from gancli.monitor.offline import image, json_text, policy, style
from gancli.runs.status import STATUSES, now

MOST_IN_PAGE = 200_000  # points of all curves
STATUS_CLASSES = (*STATUSES, "killed", "unknown")
LONG = 40  # characters from which a cell may be broken into lines


def make_page(table: Table, names: Sequence[str], charts: Mapping[str, bytes], grids: Sequence[Grid],
              smoothing: float = 0.0) -> str:
    """Return the page.

    Args:
        names: of the runs, in legends.
        charts: a PNG of each tag's curves, shown where scripts are off.
        grids: sample grids.
        smoothing: where the page's slider stands at first.
    """
    script = _file("page.js")
    parts = [("table", "Table")] + [("curves", "Curves")] * bool(charts) + [("samples", "Samples")] * bool(grids) + [
        ("runs", "Runs")]
    count = len(table.runs)
    return Template(_file("page.html")).substitute(
        policy=policy(script),
        title=escape(f"{count} runs compared" if count > 1 else f"Run {table.runs[0].id}"),
        subtitle=f"Written {escape(now())} by gan compare, gancli {escape(__version__)}.",
        nav="".join(f'<a href="#{anchor}">{text}</a>' for anchor, text in parts),
        style=style(), script=script, shared=_shared(table), table=_table(table, names),
        charts=_charts(table.runs, names, charts), samples=_samples(grids, count),
        runs="\n".join(_run(number, run, name) for number, (run, name) in enumerate(zip(table.runs, names, strict=True))),
        data=json_text({"runs": list(names), "smoothing": smoothing,
                    "charts": [_points(tag, table.runs, MOST_IN_PAGE // max(1, count * len(charts))) for tag in charts]}))


def _file(name: str) -> str:
    return files("gancli.compare").joinpath(name).read_text(encoding="utf-8")


def _shared(table: Table) -> str:
    """Return a sentence on the model, loss and data set that all runs share."""
    shared = [f"{column.name} {column.cells[0]}" for column in table.columns
              if column.name in NAMED and len(set(column.cells)) == 1]
    return f"<p>In all of them: {escape(', '.join(shared))}.</p>" if shared and len(table.runs) > 1 else ""


def _table(table: Table, names: Sequence[str]) -> str:
    heads = "".join(_head(column) for column in table.columns)
    rows = []
    for row, run in enumerate(table.runs):
        first = (f'<th scope="row" data-v="{escape(run.id)}"><a href="#run-{row}" title="{escape(names[row])}">'
                 f"{escape(run.id)}</a></th>")
        cells = "".join(_cell(column, row) for column in table.columns[1:])
        rows.append(f'<tr data-run="{row}">{first}{cells}</tr>')
    return f"<table><thead><tr>{heads}</tr></thead><tbody>\n" + "\n".join(rows) + "\n</tbody></table>"


def _head(column: Column) -> str:
    lower = "" if column.lower_is_better is None else f' data-lower="{str(column.lower_is_better).lower()}"'
    classes = ["number"] * _is_numeric(column) + ["metric"] * (column.kind == "metric")
    kind = f' class="{" ".join(classes)}"' if classes else ""
    name = escape(column.name)
    shown = name.replace("(", "<wbr>(").replace(",", ",<wbr>")  # where a long name may be broken
    return f'<th scope="col"{kind}{lower} data-name="{name}">{shown}</th>'


def _is_numeric(column: Column) -> bool:
    return column.is_number and any(cell is not None for cell in column.cells)


def _cell(column: Column, row: int) -> str:
    cell, text = column.cells[row], escape(column.text(row))
    if cell is None:
        return '<td aria-label="none"></td>'
    classes = ["number"] if _is_numeric(column) else ["long"] if len(str(cell)) > LONG else []
    if column.best is not None and cell == column.best:
        classes.append("best")
        text = f'<span aria-label="best">★</span> {text}'
    if column.name == "status" and cell in STATUS_CLASSES:
        text = f'<span class="status {cell}">{text}</span>'
    if column.name == "alarms":
        text = f'<span class="alarm">⚠ {text}</span>'
    kind = f' class="{" ".join(classes)}"' if classes else ""
    return f'<td{kind} data-v="{escape(str(cell))}">{text}</td>'


def _charts(runs: Sequence[Run], names: Sequence[str], charts: Mapping[str, bytes]) -> str:
    if not charts:
        return ""
    figures = "\n".join(f'<figure class="chart"><figcaption>{escape(tag.removeprefix(METRICS))}</figcaption>'
                        f"{image(picture, _told(tag, runs, names))}</figure>" for tag, picture in charts.items())
    return (f'<section id="curves" aria-labelledby="curves-title"><h2 id="curves-title">Curves</h2>\n'
            f'<div class="charts">\n{figures}\n</div></section>')


def _told(tag: str, runs: Sequence[Run], names: Sequence[str]) -> str:
    """Return what a chart shows, in words: where each curve ends."""
    ends = [f"{name} ends at {curve.values[-1]:.4g}" for run, name in zip(runs, names, strict=True)
            if (curve := run.curves.get(tag)) is not None]
    more = f", and {len(ends) - 12} more" if len(ends) > 12 else ""
    return f"Curves of {tag.removeprefix(METRICS)} against kimg: {'; '.join(ends[:12])}{more}."


def _samples(grids: Sequence[Grid], count: int) -> str:
    if not grids:
        return ""
    figures = "\n".join(f"<figure><figcaption>{escape(grid.name)}<span class=\"muted\">{escape(caption(grid))}</span>"
                        f"</figcaption>{image(png(grid.picture), f'{caption(grid)}, run {grid.name}')}</figure>"
                        for grid in grids)
    left_out = f'<p class="muted">Grids of the first {MOST_RUNS} of {count} runs.</p>' if count > MOST_RUNS else ""
    return (f'<section id="samples" aria-labelledby="samples-title"><h2 id="samples-title">Samples</h2>{left_out}\n'
            f'<div class="grids">\n{figures}\n</div></section>')


def _run(number: int, run: Run, name: str) -> str:
    """Return what a run was: how it ended, alarms, overrides, where it came from."""
    status = run.status
    facts = [("Status", f"{status.status}{': ' if status.why else ''}{status.why}"),
             ("Folder", str(run.path)), ("Started", status.started), ("Ended", status.ended or ""),
             ("Overrides", " ".join(status.overrides) or "none")]
    if status.best:
        best = status.best
        facts.append(("Best checkpoint", f"{best.get('metric')} {best.get('value')} after {best.get('images')} images"))
    facts += [("Alarm", ". ".join(str(alarm[key]) for key in ("name", "evidence", "advice") if alarm.get(key)))
              for alarm in status.alarms]
    facts += [(key.replace("_", " ").capitalize(), _plain(value)) for key, value in run.provenance.items()
              if key != "continues"]
    listed = "".join(f"<dt>{escape(key)}</dt><dd><code>{escape(str(value))}</code></dd>" for key, value in facts if value)
    return f'<details id="run-{number}"><summary>{escape(name)}</summary><dl>{listed}</dl></details>'


def _plain(value: Any) -> str:
    """Return a value of provenance.json in one line: `torch 2.11, numpy 2.4`."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _points(tag: str, runs: Sequence[Run], most: int) -> dict[str, Any]:
    """Return a chart's curves for the script: kimg and values with five digits, null where not finite."""
    curves = []
    for number, run in enumerate(runs):
        if tag in run.curves:
            curve = thin(run.curves[tag], min(MOST_POINTS, max(FEWEST_POINTS, most)))
            curves.append({"run": number, "x": [float(f"{x:.6g}") for x in curve.kimg],
                           "y": [float(f"{y:.5g}") if np.isfinite(y) else None for y in curve.values]})
    return {"tag": tag, "curves": curves}
