"""`gan list runs --watch`: the runs that run and how far sweeps are, drawn again every few seconds until Ctrl-C."""

import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from gancli.cli.table import made_table
from gancli.errors import UsageError
from gancli.monitor.terminal import printable
from gancli.runs.find import RunInfo, list_runs
from gancli.runs.progress import SweepProgress
from gancli.runs.sweeps import sweeps_in

PAUSE_S, SHARE = 2.0, 0.2  # of the time may go into reading records
COLUMNS = ("id", "status", "kimg", "best", "why")
ROOM = 6  # lines of a terminal that are no runs
SILENT_S = 120


def watch(root: Path, best_text: Callable[[tuple[str, float, int] | None], str]) -> None:
    """Draw the runs under a folder until Ctrl-C.

    Raises:
        UsageError: the output is no terminal.
    """
    if not sys.stdout.isatty():
        raise UsageError("--watch redraws a terminal: leave it out here, or read the status.json of runs and sweeps.")
    console = Console(highlight=False)
    try:
        with Live(console=console, auto_refresh=False, screen=True) as live:
            while True:
                begun = time.monotonic()
                live.update(drawn(root, console.height, best_text), refresh=True)
                time.sleep(max(PAUSE_S, (time.monotonic() - begun) / SHARE))
    except KeyboardInterrupt:
        return


def drawn(root: Path, height: int, best_text: Callable[[tuple[str, float, int] | None], str]) -> RenderableType:
    """Return what a terminal of so many lines shows: a line a sweep, then the runs, those that run first."""
    sweeps = [Text(printable(f"{folder.name}  {told(progress)}")) for folder, progress in sweeps_in(root)]
    sweeps = sweeps[-max(1, height // 3):]
    runs = sorted(list_runs(root), key=lambda run: (run.status != "running", _backwards(run)))
    room = max(1, height - ROOM - len(sweeps))
    more = [Text(f"and {len(runs) - room} more")] if len(runs) > room else []
    rows = [(run.id, run.status, f"{run.kimg:g}", best_text(run.best), run.why) for run in runs[:room]]
    nothing = [] if runs else [Text(printable(f"There are no runs under {root}/ yet."))]
    return Group(*sweeps, made_table(COLUMNS, rows), *more, *nothing, Text(f"{datetime.now():%H:%M:%S}  Ctrl-C ends this."))


def told(progress: SweepProgress) -> str:
    """Return how far a sweep is, and since when nobody has said so."""
    silent = (datetime.now(UTC) - datetime.fromisoformat(progress.updated)).total_seconds() if progress.updated else 0
    gone = f" (not heard of for {silent / 60:.0f} min)" if progress.status == "running" and silent > SILENT_S else ""
    return progress.sentence() + gone


def _backwards(run: RunInfo) -> Sequence[int]:
    return [-ord(letter) for letter in run.started]
