"""The page of a comparison: one HTML file that opens without a server or a network, safe to open on anybody's runs.

What a run's folder says is text: every string is escaped, the data of the curves are JSON that cannot end their
element, pictures are drawn anew, and the page's policy lets no script run but its own, known by its hash.
"""

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np

from gancli import __version__
from gancli.compare.curves import FEWEST_POINTS, MOST_POINTS, thin
from gancli.compare.reading import Run
from gancli.compare.samples import MOST_RUNS, Grid, caption, png
from gancli.compare.table import NAMED, Column, Table
from gancli.monitor.offline import image
from gancli.monitor.page import Page, build
from gancli.runs.stats import METRIC_TAG
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
    parts = [("table", "Table")] + [("curves", "Curves")] * bool(charts) + [("samples", "Samples")] * bool(grids) + [
        ("runs", "Runs")]
    count = len(table.runs)
    told = "\n".join(_run(number, run, name) for number, (run, name) in enumerate(zip(table.runs, names, strict=True)))
    return build(Page(
        title=f"{count} runs compared" if count > 1 else f"Run {table.runs[0].id}",
        note=f"Written {now()} by gan compare, gancli {__version__}.", parts=parts, scripts=[_file("page.js")],
        body="\n".join((_whole_table(table, names), curves_section(table.runs, names, charts), _samples(grids, count),
                        section("runs", "Runs", told))),
        data={"runs": list(names), "smoothing": smoothing, "charts": chart_data(table.runs, list(charts))}))


def curves_script() -> str:
    """Return the script that draws the curves of a page whose data have `runs`, `smoothing` and `charts`."""
    return _file("page.js")


def chart_data(runs: Sequence[Run], tags: Sequence[str]) -> list[dict[str, Any]]:
    """Return the tags' curves for the script, thinned so that a page holds at most MOST_IN_PAGE points."""
    return [_points(tag, runs, MOST_IN_PAGE // max(1, len(runs) * len(tags))) for tag in tags]


def section(anchor: str, title: str, body: str) -> str:
    """Return a part of a page; the anchor and the title are ours, the body is HTML."""
    return (f'<section id="{anchor}" aria-labelledby="{anchor}-title"><h2 id="{anchor}-title">{title}</h2>\n{body}\n'
            "</section>")


def _file(name: str) -> str:
    return files("gancli.compare").joinpath(name).read_text(encoding="utf-8")


def _shared(table: Table) -> str:
    """Return a sentence on the model, loss and data set that all runs share."""
    shared = [f"{column.name} {column.cells[0]}" for column in table.columns
              if column.name in NAMED and len(set(column.cells)) == 1]
    return f"<p>In all of them: {escape(', '.join(shared))}.</p>" if shared and len(table.runs) > 1 else ""


def _whole_table(table: Table, names: Sequence[str]) -> str:
    """Return the table's part of the page."""
    return section("table", "Table", f'''{_shared(table)}
<div class="scroll" tabindex="0" role="region" aria-labelledby="table-title">{_table(table, names)}</div>
<p class="muted">★ marks the best of a column. Figures of different extractors or counts are never in one column.</p>''')


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


def curves_section(runs: Sequence[Run], names: Sequence[str], charts: Mapping[str, bytes]) -> str:
    """Return the part of a page with a picture of each tag's curves, over which the script draws; empty without any."""
    if not charts:
        return ""
    figures = "\n".join(f'<figure class="chart"><figcaption>{escape(tag.removeprefix(METRIC_TAG))}</figcaption>'
                        f"{image(picture, _told(tag, runs, names))}</figure>" for tag, picture in charts.items())
    return section("curves", "Curves", f'<div class="charts">\n{figures}\n</div>')


def _told(tag: str, runs: Sequence[Run], names: Sequence[str]) -> str:
    """Return what a chart shows, in words: where each curve ends."""
    ends = [f"{name} ends at {curve.values[-1]:.4g}" for run, name in zip(runs, names, strict=True)
            if (curve := run.curves.get(tag)) is not None]
    more = f", and {len(ends) - 12} more" if len(ends) > 12 else ""
    return f"Curves of {tag.removeprefix(METRIC_TAG)} against kimg: {'; '.join(ends[:12])}{more}."


def _samples(grids: Sequence[Grid], count: int) -> str:
    if not grids:
        return ""
    figures = "\n".join(f"<figure><figcaption>{escape(grid.name)}<span class=\"muted\">{escape(caption(grid))}</span>"
                        f"</figcaption>{image(png(grid.picture), f'{caption(grid)}, run {grid.name}')}</figure>"
                        for grid in grids)
    left_out = f'<p class="muted">Grids of the first {MOST_RUNS} of {count} runs.</p>' if count > MOST_RUNS else ""
    return section("samples", "Samples", f'{left_out}<div class="grids">\n{figures}\n</div>')


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
