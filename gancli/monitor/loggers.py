"""Where a run's figures and pictures go beside stats.jsonl: writers by name, our own and those of entry points.

A package of anybody's adds one by an entry point in the group `gancli.loggers` that is called as `Logger` is; it is chosen by
`trainer.loggers=[NAME]`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

GROUP = "gancli.loggers"


class Logger(ABC):
    """A writer of one run; made as `Logger(run's folder, images shown before, what continues it is void after)`."""

    @abstractmethod
    def __init__(self, folder: Path, images: int) -> None:
        """Open it after so many images: what was written after them is void."""

    @abstractmethod
    def figures(self, images: int, figures: Mapping[str, float]) -> None:
        """Take scalars at a number of images shown."""

    @abstractmethod
    def picture(self, name: str, images: int, png: bytes) -> None:
        """Take a picture as a PNG file."""

    @abstractmethod
    def text(self, name: str, images: int, text: str) -> None:
        """Take a text in Markdown."""

    @abstractmethod
    def settings(self, settings: Mapping[str, Any], figures: Mapping[str, float], differing: Sequence[str]) -> None:
        """Take the run's settings with its final figures, the deciding one first.

        Args:
            differing: of the settings, those in which the jobs of a sweep differ; none of a run of its own.
        """

    @abstractmethod
    def close(self) -> None:
        """Write everything out."""


@dataclass(frozen=True)
class Own:
    """A logger of this repository."""

    module: str
    name: str
    needs: str = ""  # the package that it needs beside those that are always there
    extra: str = ""  # of gancli, which brings that package


OWN = {
    "tensorboard": Own("gancli.monitor.tensorboard_logger", "TensorBoard"),
    "wandb": Own("gancli.monitor.wandb_logger", "WeightsAndBiases", "wandb", "wandb"),
    "mlflow": Own("gancli.monitor.mlflow_logger", "MLflow", "mlflow", "mlflow"),
}


def names() -> list[str]:
    """Return the names of all loggers."""
    return [*OWN, *sorted({point.name for point in entry_points(group=GROUP)} - OWN.keys())]


def lacking(name: str) -> str | None:
    """Return why a logger of `names` cannot be used, a clause; None where it can."""
    own = OWN.get(name)
    if own is not None:
        absent = own.needs and find_spec(own.needs) is None
        return f"it needs the package {own.needs}: pip install 'gancli[{own.extra}]'" if absent else None
    try:
        _point(name).load()
    except Exception as error:
        return f"{_point(name).value} cannot be loaded ({type(error).__name__}: {error}): leave it out, or mend its package"
    return None


def open_logger(name: str, folder: Path, images: int) -> Logger:
    """Return the logger of that name, opened for a run."""
    own = OWN.get(name)
    made = _point(name).load() if own is None else getattr(import_module(own.module), own.name)
    return cast(Logger, made(folder, images))


def _point(name: str) -> EntryPoint:
    return next(point for point in entry_points(group=GROUP) if point.name == name)
