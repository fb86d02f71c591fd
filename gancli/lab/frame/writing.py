"""An experiment's files: tables as CSV and JSON, the figure in four versions, the film and the page."""

import csv
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gancli.errors import UserError
from gancli.lab.frame.film import save_film
from gancli.lab.frame.page import make_page
from gancli.lab.frame.result import Result, Table
from gancli.lab.frame.style import STYLES, Style
from gancli.runs.atomic import write_atomic, write_json

JSON, PAGE, FILM = "result.json", "index.html", "animation.gif"


def write(folder: Path, name: str, claim: str, options: Mapping[str, Any], result: Result, seconds: float) -> list[Path]:
    """Write everything and return the files, the page first."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files = []
        for table in result.tables:
            files.append(folder / f"{table.name}.csv")
            _put(files[-1], _csv(table).encode())
        pictures = {}
        for style in STYLES:
            pictures[style.name] = _figure(result, style)
            for kind, content in pictures[style.name].items():
                files.append(folder / f"figure{'' if style.name == 'light' else '-dark'}.{kind}")
                _put(files[-1], content)
        write_json(folder / JSON, {"experiment": name, "claim": claim, "options": dict(options), "seconds": round(seconds, 2),
                                   "figure": result.told, "tables": [_plain(table) for table in result.tables]})
        files.append(folder / JSON)
        if result.scenes:
            save_film(folder / FILM, result.scenes[0])
            files.append(folder / FILM)
        page = make_page(name, claim, result, pictures["light"]["png"], pictures["dark"]["png"])
        _put(folder / PAGE, page.encode())
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}. Give another out=.") from None
    return [folder / PAGE, *files]


def _put(path: Path, content: bytes) -> None:
    write_atomic(path, lambda file: file.write(content))


def _figure(result: Result, style: Style) -> dict[str, bytes]:
    """Return the figure as PNG and SVG."""
    found = {}
    with style.used():
        figure = style.figure()
        result.draw(figure, style)
        for kind in ("png", "svg"):
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, metadata={"Date": None} if kind == "svg" else None)
            found[kind] = buffer.getvalue()
    return found


def _csv(table: Table) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(table.rows)
    return text.getvalue()


def _plain(table: Table) -> dict[str, Any]:
    """Return a table as JSON has it: what is not finite is a word."""
    rows = [[str(cell) if isinstance(cell, float) and not math.isfinite(cell) else cell for cell in row]
            for row in table.rows]
    return {"name": table.name, "title": table.title, "columns": list(table.columns), "rows": rows}
