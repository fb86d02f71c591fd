"""What a run says, into its log and on the screen, and the progress that the screen shows."""

import logging
import shlex
from pathlib import Path

from gancli.monitor.screen import Screen
from gancli.monitor.terminal import tell

log = logging.getLogger("gancli")


class Telling:
    """The log, and the screen of whatever takes long at the moment."""

    def __init__(self, path: Path) -> None:
        self.file = logging.FileHandler(path, encoding="utf-8", delay=True)  # opened by its first line
        self.file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        self.screen: Screen | None = None

    def open(self) -> None:
        """Let the log receive what this package says."""
        log.setLevel(logging.INFO)
        log.propagate = False
        log.addHandler(self.file)

    def say(self, text: str) -> None:
        """Put a line on the screen and into the log."""
        log.info(text)
        if self.screen is not None:
            self.screen.say(text)
        else:
            tell(text)

    def error(self, text: str) -> None:
        """Put what went wrong into the log; whoever started the run hears of it by its exception."""
        log.error("%s", text)

    def prepare(self, label: str, done: int, total: int, unit: str = "") -> None:
        """Show how far a piece of work before training is."""
        if self.screen is None or self.screen.label != label:
            self.show(Screen(label, total, unit=unit, scale=1))
        self.screen.update(done)

    def show(self, screen: Screen) -> None:
        """Show this progress from here on."""
        self.hide()
        self.screen = screen

    def hide(self) -> None:
        """End the progress that is shown."""
        if self.screen is not None:
            self.screen.close()
            self.screen = None

    def close(self) -> None:
        """End the log."""
        log.removeHandler(self.file)
        self.file.close()


def as_typed(path: Path) -> str:
    """Return the path as a person would type it: relative where that is inside the launch directory."""
    try:
        return shlex.quote(str(path.relative_to(Path.cwd())))
    except ValueError:
        return shlex.quote(str(path))
