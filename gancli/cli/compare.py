"""`gan compare`: runs side by side, as a table, curves, sample grids and a page."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gancli.cli.completion import complete_run

if TYPE_CHECKING:
    from gancli.compare.table import Table

EXAMPLES = (
    "gan compare RUN",
    "gan compare outputs/sweep/SWEEP --sort seconds --descending",
    'gan compare RUN outputs/sweep/SWEEP --curves "loss,D(x)" --smooth 0.9',
    "gan compare outputs/sweep/SWEEP --csv runs.csv --json runs.json",
    "gan compare outputs/sweep/SWEEP --html page.html --kimg 100",
)


def command(
    runs: Annotated[list[str], typer.Argument(metavar="RUN|SWEEP...", show_default=False, autocompletion=complete_run,
                                              help="Folders or ids of runs and sweeps, or a unique part of an id.")],
    sort: Annotated[str | None, typer.Option("--sort", metavar="COLUMN", help="Sort by any column of the table, or by a "
                                             "metric (fid) at its best; the best comes first.")] = None,
    descending: Annotated[bool | None, typer.Option("--descending/--ascending", show_default=False,
                                                    help="Largest or smallest first.")] = None,
    curves: Annotated[list[str] | None, typer.Option(
        "--curves", metavar="TAG[,TAG]", help="Scalars to draw: a tag, loss/*, a folder of tags (loss) or a metric (fid); "
        "without it metrics, losses, D(x) and D(G(z)).")] = None,
    smooth: Annotated[float, typer.Option("--smooth", metavar="WEIGHT", help="Weight of the past in the curves' moving "
                                          "average: 0 to 0.999.")] = 0.0,
    kimg: Annotated[float | None, typer.Option("--kimg", help="Sample grids nearest to it; without it the last.")] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FOLDER", show_default=False, help="For the page, CSV, JSON "
                                             "and pictures; outputs/compare/<time>-<id> unless a file is asked for.")] = None,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Only the table, as CSV.")] = None,
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Only the table, as JSON.")] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Only the page.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
) -> None:
    """Compare runs: a table, curves, sample grids, and one HTML page with all of it that opens offline.

    Prints the table and the files it wrote.  Reads only what the runs recorded, also of failed or running ones.
    """
    from gancli.compare import report

    if out is None and not (csv or json or html):
        out = report.default_folder()
    comparison = report.compare(report.Request(runs, sort, descending, curves, smooth, kimg, out, csv, json, html, overwrite))
    files = report.write(comparison)
    _print(comparison.table)
    for path in files:
        if path.suffix in (".html", ".csv", ".json") or path.name == report.GRIDS:
            print(path)


def _print(table: "Table") -> None:
    """Print the table; model, loss and data set in its title where all runs share them."""
    from gancli.cli.table import print_table
    from gancli.compare.table import FEW, NAMED

    several = len(table.runs) > 1
    shared = [column for column in table.columns if several and column.name in NAMED and len(set(column.cells)) == 1]
    settings = [column for column in table.columns if column.kind == "setting"]
    empty = [column for column in table.columns if all(cell is None for cell in column.cells)]
    hidden = [*shared, *empty, *(settings if len(settings) > FEW else [])]
    columns = [column for column in table.columns if not any(column is other for other in hidden)]
    rows = [[column.text(row) + (" *" if several and column.best is not None and column.cells[row] == column.best else "")
             for column in columns] for row in range(len(table.runs))]
    same = ", ".join(f"{column.name} {column.cells[0]}" for column in shared)
    print_table([column.name for column in columns], rows,
                title=f"{len(table.runs)} runs" + (f"; in all of them {same}" if same else "") if several else None)
    if len(settings) > FEW:
        print(f"{len(settings)} settings differ, see the page, CSV or JSON: {', '.join(column.name for column in settings)}")
