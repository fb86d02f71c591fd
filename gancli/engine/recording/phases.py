"""The phases of training that a run names while it passes through them; most runs are one game and name none."""

from gancli.game.model import Progress

GAME = "game"


class Phases:
    """Notices which phase of training the rounds belong to."""

    def __init__(self, continued: bool) -> None:
        self.name = ""  # of the phase that the last round was of; "" while there has only been the game
        self.known = not continued  # whether it is known when the phase of the next round began, if it is another

    def entered(self, progress: Progress, shown: int) -> str | None:
        """Return a sentence if the round that showed the last so many images is of another phase than the one before it."""
        name = getattr(progress, "phase", "") or GAME  # on merging: progress.phase
        new = name != (self.name or GAME)
        since = f"from {(progress.images - shown) / 1000:g} kimg" if self.known else f"at {progress.kimg:g} kimg"
        self.known = True
        if not new:
            return None
        self.name = name
        return f"{name} {since}"

    @property
    def label(self) -> str:
        """What the progress bar is called."""
        return "training" if self.name in ("", GAME) else f"training ({self.name})"
