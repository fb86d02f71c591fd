"""A run as the engine receives it: typed, checked, and with nothing created yet."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gancli.data.spec import DataSpec
from gancli.engine.options import OptimizerOptions, TrainerOptions
from gancli.losses.options import LossOptions
from gancli.metrics.options import EvaluationOptions


@dataclass
class Plan:
    """Everything that `train` needs."""

    config: dict[str, Any]  # resolved, as config.yaml and every checkpoint hold it
    overrides: list[str]  # what the command line said
    model: Any  # the model's own options
    loss: LossOptions
    augment: Any  # the augmentation's own options
    dataset: dict[str, Any]
    optimizer: OptimizerOptions
    trainer: TrainerOptions
    evaluation: EvaluationOptions
    seed: int
    device: str
    data_dir: Path
    spec: DataSpec  # as seen by looking at the data
    run_dir: Path
    checkpoint: Path | None = None  # to continue from
    init: Path | None = None  # a checkpoint whose weights a new run begins with
    holdout: dict[str, Any] | None = None  # the data set of examples that evaluation alone sees, where a metric needs them
    ranks: int = 1  # processes that share each batch, one a device
    absent: tuple[str, ...] = ()  # sentences on data that are not there and can be downloaded
    notices: list[str] = field(default_factory=list)  # what was changed for the loss's or the data's sake, to be told
    found: list[str] = field(default_factory=list)  # what a look at the data says of them; training says it as it loads them

    @property
    def title(self) -> str:
        """The model and the data in words."""
        return f"{self.model.name} on {self.dataset['name']}"

    @property
    def total_images(self) -> int:
        """Real images that the whole run shows."""
        if self.trainer.epochs is not None:
            return round(self.trainer.epochs * self.spec.count)
        return round(self.trainer.kimg * 1000)


@dataclass
class Outcome:
    """How a run ended."""

    status: str  # finished or stopped
    run_dir: Path
    figures: dict[str, float]  # the last ones recorded
    objective: float | None = None  # for sweepers
