"""The figures of a run on disk: one JSON line per tick (stats.jsonl), and the loggers that the run has."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

from gancli.monitor.loggers import open_logger


def tag_of(name: str, discriminators: Sequence[str]) -> str:
    """Return the TensorBoard tag of a recorded scalar `player/name`: figures of one kind share a folder.

    D(x) is a discriminator's mean output on real data during its turns, D(G(z))/discriminator_turn that on
    generated data; before and after_generator_turn are on the same latents before and after a generator step (the
    latter is a turn played again, one with each sample grid).

    Args:
        discriminators: the players that discriminate; where there are several, D(x)/<player> is that of each.
    """
    player, _, figure = name.partition("/")
    if figure in ("loss", "gradient_norm", "lr"):
        return f"{figure}/{player}"
    if figure == "D(x)" and player in discriminators:
        return "D(x)" if len(discriminators) == 1 else f"D(x)/{player}"
    if figure == "D(G(z))":
        return f"D(G(z))/{player}_turn" if player in discriminators else f"D(G(z))/before_{player}_turn"
    if figure == "D(G(z)) after":
        return f"D(G(z))/after_{player}_turn"
    return name


class Board:
    """Writes figures and pictures of a run: a line of stats.jsonl a tick, and what each of its loggers takes."""

    def __init__(self, folder: Path, stats: Path, images: int, loggers: Sequence[str] = ("tensorboard",)) -> None:
        """Open the lines in `stats` and the loggers for the run in `folder`, after so many images."""
        self.stats = stats
        self.loggers = [open_logger(name, folder, images) for name in loggers]
        self.last: dict[str, float] = {}

    def figures(self, images: int, figures: dict[str, float]) -> None:
        """Record scalars at a number of images shown."""
        self.last = {**self.last, **figures}
        for logger in self.loggers:
            logger.figures(images, figures)
        finite = {tag: value if math.isfinite(value) else None for tag, value in figures.items()}
        with open(self.stats, "a", encoding="utf-8") as file:
            file.write(json.dumps({"images": images, **finite}) + "\n")

    def picture(self, name: str, images: int, png: bytes) -> None:
        """Record a picture that is a PNG file already."""
        for logger in self.loggers:
            logger.picture(name, images, png)

    def text(self, name: str, images: int, text: str) -> None:
        """Record a sentence."""
        for logger in self.loggers:
            logger.text(name, images, text)

    def lines(self, name: str, images: int, lines: Sequence[str]) -> None:
        """Record texts, one a line, as they are: as code, since Markdown would join and style them."""
        self.text(name, images, "".join(f"    {line}\n" for line in lines))

    def hparams(self, settings: dict, figures: dict[str, float], differing: Sequence[str] = ()) -> None:
        """Record the settings, of which some differ in a sweep, with the final figures, so that runs can be compared."""
        plain = {key: value if isinstance(value, (bool, int, float, str)) else str(value) for key, value in settings.items()}
        for logger in self.loggers:
            logger.settings(plain, figures, differing)

    def close(self) -> None:
        """Write everything out."""
        for logger in self.loggers:
            logger.close()
