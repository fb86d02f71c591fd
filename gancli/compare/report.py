"""A comparison's files: the page, the table as CSV and JSON, a PNG for each curve and one of all grids."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gancli.compare import curves, samples
from gancli.compare.page import make_page
from gancli.compare.reading import labels, read_runs
from gancli.compare.table import Table, make_table, to_csv, to_json
from gancli.errors import UsageError, UserError, check_range
from gancli.runs.atomic import write_atomic
from gancli.runs.find import OUTPUTS

PAGE, CSV, JSON, GRIDS = "index.html", "runs.csv", "runs.json", "samples.png"


@dataclass(frozen=True)
class Request:
    """What `gan compare` is asked for."""

    runs: Sequence[str]
    sort: str | None = None  # a column
    descending: bool | None = None  # None: the best first for a metric, else ascending
    tags: Sequence[str] | None = None  # of the curves; None: metrics, losses, D(x) and D(G(z))
    smoothing: float = 0.0  # weight of the past, in [0, 1)
    kimg: float | None = None  # the grids nearest to it; None: the last
    out: Path | None = None  # folder for everything
    csv: Path | None = None
    json: Path | None = None
    html: Path | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class Comparison:
    """What is written down: the table, its runs' names in legends, the curves' tags."""

    table: Table
    names: list[str]
    tags: list[str]
    request: Request


def compare(request: Request, root: Path | str = OUTPUTS) -> Comparison:
    """Read the runs and put them in order; nothing is written.

    Raises:
        UserError: no such run.
        UsageError: no such column or curve, or a number out of range.
    """
    try:
        check_range("--smooth", request.smoothing, 0, 0.999)
        check_range("--kimg", request.kimg, 0)
    except ValueError as error:
        raise UsageError(f"{error}.") from None
    table = make_table(read_runs(request.runs, root))
    if request.sort is not None:
        table = table.sorted(request.sort, request.descending)
    return Comparison(table, labels(table.runs), curves.choose_tags(request.tags, table.runs), request)


def default_folder(root: Path | str = OUTPUTS) -> Path:
    """Return outputs/compare/<UTC time>-<6 hex>."""
    return Path(root) / "compare" / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def write(comparison: Comparison) -> list[Path]:
    """Write what the request names and return the files, the page first.

    Raises:
        UsageError: a file is there and may not be replaced; nothing was written.
    """
    request, table, names = comparison.request, comparison.table, comparison.names
    folder = request.out
    pages, csvs, jsons = ([path for path in (single, folder and folder / name) if path is not None] for single, name in
                          ((request.html, PAGE), (request.csv, CSV), (request.json, JSON)))
    charts = _charts(comparison.tags, folder)
    check_free([*pages, *csvs, *jsons, *charts.values(), *([folder / GRIDS] if folder else [])], request.overwrite)
    contents: dict[Path, str | bytes] = {}
    if pages:
        drawn = {tag: curves.draw(tag, table.runs, names, request.smoothing) for tag in comparison.tags}
        grids = samples.choose_grids(table.runs, names, request.kimg)
        contents |= dict.fromkeys(pages, make_page(table, names, drawn, grids, request.smoothing))
        contents |= {path: drawn[tag] for tag, path in charts.items()}
        if grids and folder is not None:
            contents[folder / GRIDS] = samples.side_by_side(grids)
    contents |= dict.fromkeys(csvs, to_csv(table)) | dict.fromkeys(jsons, to_json(table))
    for path, content in contents.items():
        put(path, content)
    return list(contents)


def _charts(tags: Sequence[str], folder: Path | None) -> dict[str, Path]:
    """Return the PNG of each tag, all different."""
    paths: dict[str, Path] = {}
    for number, tag in enumerate(tags if folder is not None else ()):
        path = folder / "curves" / curves.file_name(tag)
        paths[tag] = path if path not in paths.values() else path.with_name(f"{number}-{path.name}")
    return paths


def check_free(paths: Sequence[Path], overwrite: bool) -> None:
    """Raise a UsageError for files that share a name, are folders, or are there and may not be replaced."""
    if len(set(paths)) < len(paths):
        raise UsageError("Two of the files have one name: give each its own.")
    for path in paths:
        if path.is_dir():
            raise UsageError(f"{path} is a folder: give the name of a file.")
        if path.exists() and not overwrite:
            raise UsageError(f"{path} is there already: give another name, or --overwrite to replace it.")


def put(path: Path, content: str | bytes) -> None:
    """Write a file, making its folder; a UserError where that cannot be."""
    data = content.encode("utf-8", "replace") if isinstance(content, str) else content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, lambda file: file.write(data))
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}.") from None

