"""What an experiment hands over: tables, a figure, and what moves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gancli.lab.frame.moving import Scene
from gancli.lab.frame.style import Style

Cell = str | float | int | bool | None


@dataclass(frozen=True)
class Table:
    """Numbers that a claim stands on, the exact ones beside those that were learned or measured."""

    name: str  # of its file
    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]
    digits: int = 4  # after the point, on the screen

    def texts(self) -> list[list[str]]:
        """Return the cells as people read them."""
        return [[self._text(cell) for cell in row] for row in self.rows]

    def _text(self, cell: Cell) -> str:
        if cell is None:
            return ""
        if isinstance(cell, bool):
            return "yes" if cell else "no"
        if not isinstance(cell, float):
            return str(cell)
        if abs(cell) < 1e-12:
            cell = 0.0
        if cell and (abs(cell) >= 1e5 or abs(cell) < 0.5 * 10.0**-self.digits) and abs(cell) != float("inf"):
            return f"{cell:.2e}"
        return f"{cell:.{self.digits}f}"


@dataclass(frozen=True)
class Result:
    """What an experiment found."""

    tables: Sequence[Table]
    draw: Callable[[Any, Style], None]  # fills a matplotlib figure
    told: str  # what the figure shows, in a sentence for those who do not see it
    scenes: Sequence[Scene] = field(default_factory=tuple)
