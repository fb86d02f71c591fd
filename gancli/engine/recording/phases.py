"""The phases of training that a run names while it passes through them; most runs are one game and name none."""

from gancli.game.model import Progress

GAME = "game"


class Phases:
    """Notices which phase of training the rounds belong to."""

    def __init__(self, progress: Progress) -> None:
        self.name = phase_of(progress)  # of the last round, which a continued run knows from its checkpoint

    def entered(self, progress: Progress, shown: int) -> str | None:
        """Return a sentence if the round that showed the last so many images is of another phase than the one before it."""
        name, before = phase_of(progress), self.name
        self.name = name
        return None if name == before else f"{name or GAME} from {(progress.images - shown) / 1000:g} kimg"

    @property
    def label(self) -> str:
        """What the progress bar is called."""
        return f"training ({self.name})" if self.name else "training"


def phase_of(progress: Progress) -> str:
    """Return the name of the phase played last; "" for the game, which needs no mention."""
    return "" if progress.phase == GAME else progress.phase
