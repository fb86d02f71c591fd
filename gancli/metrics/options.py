"""Options of evaluation (group `evaluation`; free of torch)."""

from dataclasses import dataclass

from gancli.errors import check_choice, check_range
from gancli.features.weights import check_features
from gancli.metrics.catalog import METRICS


@dataclass
class EvaluationOptions:
    """What is measured while a run trains, how often, and what follows from it."""

    metrics: list[str]  # names of the catalog; the first one decides which checkpoint is best
    kimg: float | None  # interval; None: never
    n: int  # generated examples each time, always of the same latents
    features: str  # the extractor of metrics that need one: a name, or a TorchScript file
    features_weights: str | None  # file of the extractor's weights; None: data_dir/weights, else fetched
    real: int | None  # real examples compared with; None: all
    patience: int | None  # evaluations without improvement after which the run stops; None: never

    def __post_init__(self) -> None:
        check_metrics("evaluation.metrics", self.metrics)
        check_features(self.features)
        check_range("evaluation.kimg", self.kimg, 0, open_low=True)
        check_range("evaluation.n", self.n, 2)
        check_range("evaluation.real", self.real, 2)
        check_range("evaluation.patience", self.patience, 1)
        if self.patience is not None and not self.on:
            raise ValueError(f"evaluation.patience={self.patience} counts evaluations and there are none: give "
                             "evaluation.kimg= and evaluation.metrics=[...]")
        if self.on and METRICS[self.metrics[0]].decides is None:
            able = [name for name, measure in METRICS.items() if measure.decides is not None]
            raise ValueError(f"evaluation.metrics begins with {self.metrics[0]}, which has no better side: begin with one "
                             f"of {', '.join(able)}, which then decides which checkpoint is best")

    @property
    def on(self) -> bool:
        """Whether anything is measured while training."""
        return self.kimg is not None and bool(self.metrics)


def check_metrics(key: str, names: list[str]) -> None:
    """Raise a ValueError naming `key` unless all names are of the catalog, none of them twice."""
    for name in names:
        check_choice(key, name, METRICS)
    if len(set(names)) < len(names):
        raise ValueError(f"{key} names a metric twice: {', '.join(names)}")
