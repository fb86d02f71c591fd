"""What a record of a run is, for `play`: rank 0 keeps one (keeping.py), the other ranks follow it (following.py)."""

from abc import ABC, abstractmethod

from torch import Tensor

from gancli.data.dataset import Data
from gancli.engine.averages import Average
from gancli.engine.plan import Outcome
from gancli.engine.players import Player
from gancli.engine.recording.evaluation import Evaluation
from gancli.game.model import Model, Progress


class Record(ABC):
    """The calls in the order in which they are made; what comes after `start` needs it."""

    @abstractmethod
    def __enter__(self) -> "Record":
        """Begin the record."""

    @abstractmethod
    def loading(self, done: int, total: int) -> None:
        """Show how far decoding is."""

    @abstractmethod
    def describe_data(self, data: Data) -> None:
        """Record which data these are."""

    @abstractmethod
    def working(self, label: str, done: int, total: int) -> None:
        """Show how far an evaluation is, or what it needs before training begins."""

    @abstractmethod
    def start(self, model: Model, average: Average | None, players: dict[str, Player], data: Data, progress: Progress,
              seconds_before: float) -> None:
        """Note that training begins, after so many seconds of it in earlier sittings."""

    @abstractmethod
    def due(self, progress: Progress, shown: int, stopping: bool) -> set[str]:
        """Return what is to be recorded after a round that showed so many images (see `Calendar`)."""

    @abstractmethod
    def pictures(self, progress: Progress) -> None:
        """Record what the model makes of the fixed latents and data."""

    @abstractmethod
    def figures(self, figures: dict[str, float], progress: Progress) -> None:
        """Record the means since the last tick, by `player/name`."""

    @abstractmethod
    def checkpoint(self, tensors: dict[str, Tensor], progress: Progress, evaluation: Evaluation | None) -> None:
        """Save the state of the run as it is now."""

    @abstractmethod
    def settled(self) -> None:
        """Note that what was due is done; turns go on, unless a checkpoint could not be written."""

    @abstractmethod
    def finish(self, progress: Progress, why: str | None, evaluation: Evaluation | None) -> Outcome:
        """Close a run that finished, or was stopped for the reason `why`."""

    @abstractmethod
    def __exit__(self, kind, error, trace) -> None:
        """End the record, however the run ended."""
