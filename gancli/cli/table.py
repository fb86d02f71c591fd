"""Tables on the screen; outside of a terminal they are as wide as their contents."""

import sys
from collections.abc import Collection, Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gancli.monitor.terminal import printable


def terminal_width() -> int | None:
    """Return how many characters a line of the terminal has; None outside of one, where lines are as long as they are."""
    return Console().width if sys.stdout.isatty() else None


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None,
                whole: Collection[str] = ()) -> None:
    """Print rows of plain strings (no markup) under headings.

    Args:
        whole: columns whose cells are never broken, so that they can be copied.
    """
    Console(highlight=False, width=terminal_width() or 10_000).print(made_table(columns, rows, title, whole))


def made_table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None,
               whole: Collection[str] = ()) -> Table:
    """Return rows of plain strings (no markup) under headings, as rich draws them."""
    table = Table(title=title and Text(printable(title)), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(Text(printable(column)), overflow="ignore" if column in whole else "fold", no_wrap=column in whole)
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    return table


def figures_text(figures: dict[str, float | None]) -> str:
    """Return a run's chief figures (losses, and all without a / in their name) in one line: `D(x) 0.71, FID 12.3`."""
    chief = {name: value for name, value in figures.items() if name.startswith("loss/") or "/" not in name}
    return ", ".join(f"{name} {'not finite' if value is None else f'{value:.4g}'}" for name, value in chief.items())
