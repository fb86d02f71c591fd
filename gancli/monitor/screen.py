"""What a person sees of a run: a live line on a terminal, a line now and then elsewhere."""

import re
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from gancli.monitor.terminal import GONE, attempt, printable

LINE_EVERY_S = 10.0  # where the output is not a terminal
SHOWN = {"D(x)": re.compile(r"D\(x\)(/\w+)?"),  # tags, of each discriminating player one (see `tag_of`)
         "D(G(z))": re.compile(r"D\(G\(z\)\)/(?!before_|after_)\w+_turn")}


def summary(figures: dict[str, float], alarms: Sequence[str] = ()) -> str:
    """Return the figures a person follows, in one line: losses by player, D(x), D(G(z)), speed and failures by name."""
    losses = {tag.removeprefix("loss/"): value for tag, value in figures.items() if tag.startswith("loss/")}
    parts = ["loss " + " ".join(f"{player[:1].upper()} {value:.3f}" for player, value in losses.items())] if losses else []
    for label, tag in SHOWN.items():
        values = [f"{value:.2f}" for name, value in figures.items() if tag.fullmatch(name)]
        parts += [f"{label} {' '.join(values)}"] if values else []
    if "speed/images_per_s" in figures:
        parts.append(f"{figures['speed/images_per_s']:.0f} img/s")
    if alarms:
        parts.append("! " + ", ".join(alarms))
    return "  ".join(parts)


class Screen:
    """Progress of one long piece of work, counted in `unit`s; nothing that befalls the terminal ends that work."""

    def __init__(self, label: str, total: int, done: int = 0, unit: str = "kimg", scale: float = 1000.0) -> None:
        self.console = Console(stderr=True, highlight=False)
        self.label, self.total, self.unit, self.scale = label, total, unit, scale
        self.start, self.start_done, self.last_line = time.monotonic(), done, time.monotonic()
        self.live = None
        if self.console.is_terminal:
            self.bar = Progress(TextColumn("{task.description}"), BarColumn(bar_width=20), TaskProgressColumn(),
                                TextColumn("{task.fields[count]}"), TimeRemainingColumn(), speed_estimate_period=60)
            self.task = self.bar.add_task(label, total=total, completed=done, count=self._count(done))
            self.figures = Text(no_wrap=True, overflow="ellipsis")
            self.live = Live(Group(self.bar, self.figures), console=self.console, refresh_per_second=4)
            self._show(self.live.start)

    def _count(self, done: int) -> str:
        if self.scale == 1:
            return f"{done:,}/{self.total:,} {self.unit}"
        return f"{done / self.scale:.4g}/{self.total / self.scale:.4g} {self.unit}"

    def _show(self, show: Callable[[], Any]) -> None:
        """Write to the terminal; the live line ends where that has gone."""
        if not attempt(show) and self.live is not None:
            live, self.live = self.live, None
            with suppress(*GONE, IndexError):  # what it had not begun
                live.stop()

    def update(self, done: int, figures: str = "") -> None:
        """Show how far the work is."""
        if self.live is not None:
            self.bar.update(self.task, completed=done, count=self._count(done))
            self.figures.plain = figures
            return
        now = time.monotonic()
        if now - self.last_line < LINE_EVERY_S and done < self.total:
            return
        self.last_line = now
        rate = (done - self.start_done) / max(now - self.start, 1e-9)
        left = max(self.total - done, 0) / rate if rate else 0
        self.say("  ".join(part for part in (f"{self.label}: {self._count(done)}", figures, f"{left:.0f} s left") if part))

    def rename(self, label: str) -> None:
        """Call the work something else from here on."""
        self.label = label
        if self.live is not None:
            self.bar.update(self.task, description=label)

    def describe(self, text: str) -> None:
        """Show what is being done beside the progress, on a terminal."""
        if self.live is not None:
            self.figures.plain = text

    def say(self, text: str) -> None:
        """Print a line above the live one."""
        self._show(lambda: self._print(text))

    def _print(self, text: str) -> None:
        self.console.print(printable(text), soft_wrap=True, markup=False)
        sys.stderr.flush()

    def close(self) -> None:
        """End the live line."""
        if self.live is not None:
            self._show(self.live.stop)
