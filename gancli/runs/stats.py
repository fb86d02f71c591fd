"""stats.jsonl: the figures of a run, one line a tick, read without trust in any line (torch-free)."""

from pathlib import Path
from types import NoneType
from typing import Any

from gancli.runs.atomic import write_text
from gancli.runs.records import Damaged, is_number, is_whole, parse_json, read_text

LARGEST_BYTES = 1 << 30
METRIC_TAG = "metrics/"  # before the name of a metric


def read_ticks(path: Path) -> list[dict[str, Any]]:
    """Return the whole lines in their order, `images` and figures (null where not finite); [] for no such file.

    A line that a kill has cut is left out, and so is a figure that is no number.
    """
    try:
        lines = read_text(path, LARGEST_BYTES, errors="replace").splitlines()
    except (OSError, Damaged):
        return []
    rows = _value(f"[{','.join(lines)}]")  # at once: twice as fast as one by one
    if not isinstance(rows, list) or len(rows) != len(lines):
        rows = [_value(line) for line in lines]
    return [tick for row in rows if (tick := _tick(row)) is not None]


def read_history(path: Path) -> list[tuple[int, dict[str, float | None]]]:
    """Return the images shown and the figures of every tick, as a diagnosis reads them."""
    return [(tick.pop("images"), tick) for tick in read_ticks(path)]


def keep_until(path: Path, images: int) -> None:
    """Drop what was written after so many images, where anything was; the file is whole at any moment."""
    if not path.is_file():
        return
    try:
        lines = read_text(path, LARGEST_BYTES, errors="replace").splitlines()
    except Damaged:
        lines = []
    kept = [line for line in lines if (tick := _tick(_value(line))) is not None and tick["images"] <= images]
    write_text(path, "".join(line + "\n" for line in kept))


def _value(line: str) -> Any:
    try:
        return parse_json(line, odd_numbers=True)
    except Damaged:
        return None


def _tick(row: Any) -> dict[str, Any] | None:
    if not isinstance(row, dict) or not is_whole(row.get("images")):
        return None
    kept = {tag: value for tag, value in row.items() if isinstance(value, (int, float, NoneType))}
    return {tag: value if is_number(value) else None for tag, value in kept.items()}
