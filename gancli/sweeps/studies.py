"""Optuna in a sweep: what it minimizes, where its study lies, and how a repeated command goes on with it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gancli.config.compose import Swept
from gancli.config.paths import quote
from gancli.errors import UsageError

FILE = "study.db"
NAME = "sweep"


def objective(cfg: DictConfig) -> tuple[str, bool]:
    """Return the metric that a job's objective is, and whether lower is better.

    Raises:
        UsageError: the metric has no better side.
    """
    from gancli.metrics.catalog import METRICS

    names = OmegaConf.select(cfg, "evaluation.metrics")
    if not names or names[0] not in METRICS:
        return "objective", True
    lower = METRICS[names[0]].lower_is_better
    if lower is None:
        deciding = ", ".join(name for name, measure in METRICS.items() if measure.lower_is_better is not None)
        raise UsageError(f"{names[0]} has no better side, so it decides nothing: put one of {deciding} first in "
                         "evaluation.metrics.")
    return names[0], lower


def study_overrides(swept: Swept, folder: Path, at_once: int, given: set[str]) -> tuple[list[str], int]:
    """Return the overrides with which Optuna continues the study in `folder`, or begins one there, and the trials to go.

    Args:
        at_once: how many trials are asked for at a time.
        given: the keys that the user has set.

    Raises:
        UsageError: the jobs would have no objective, or not one that can be compared.
    """
    for key in swept.values:
        if key.startswith("evaluation"):
            raise UsageError(f"{key} decides the objective, and Optuna cannot compare jobs of different ones: give one value.")
    if OmegaConf.select(swept.cfg, "evaluation") is not None and OmegaConf.select(swept.cfg, "evaluation.kimg") is None:
        raise UsageError("Optuna needs an objective: evaluation.kimg= says how often the metric is taken.")
    _refuse_unmeasured(swept)
    _, lower = objective(swept.cfg)
    sweeper = swept.cfg.hydra.sweeper
    storage = sweeper.storage if "hydra.sweeper.storage" in given else f"sqlite:///{folder.absolute() / FILE}"
    name = sweeper.study_name if "hydra.sweeper.study_name" in given else NAME
    asked, done = continue_study(storage, name)
    values: dict[str, Any] = {
        "max_failure_rate": 1.0,  # a failed trial does not end the study
        "n_jobs": at_once,
        "direction": "minimize" if lower else "maximize",
        "storage": quote(str(storage)),
        "study_name": quote(str(name)),
    }
    sampler = OmegaConf.select(sweeper, "sampler")
    if sampler is not None and "seed" in sampler and sampler.seed is None:
        values["sampler.seed"] = swept.cfg.seed + asked  # a sampler that begins anew would repeat its draws
    defaults = [f"hydra.sweeper.{key}={value}" for key, value in values.items() if f"hydra.sweeper.{key}" not in given]
    return defaults, max(0, sweeper.n_trials - done)


def _refuse_unmeasured(swept: Swept) -> None:
    """Refuse models of which no metric can be taken."""
    from gancli.game.abilities import measurable, refusal
    from gancli.registry import models

    name = OmegaConf.select(swept.cfg, "model.name")
    for each in swept.values.get("model", [name]):
        if each in models.names() and not measurable(models.get(each).build):
            raise UsageError(f"Optuna needs an objective, and {refusal(each, 'sample')}")


def continue_study(storage: Any, name: str) -> tuple[int, int]:
    """Queue again the trials of a stored study that came to no value; return how many trials it has and how many did.

    What was killed with its sweep is closed as failed, so that nothing waits for it.
    """
    import optuna
    from optuna.trial import TrialState

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if not isinstance(storage, str) or (storage.startswith("sqlite:///") and not Path(storage[10:]).exists()):
        return 0, 0
    try:
        study = optuna.load_study(study_name=name, storage=storage)
    except KeyError:
        return 0, 0
    trials = study.trials
    for trial in trials:
        if trial.state == TrialState.RUNNING:
            study.tell(trial.number, state=TrialState.FAIL)
    for parameters in without_value((trial.params or trial.system_attrs.get("fixed_params", {}),
                                     trial.state in (TrialState.COMPLETE, TrialState.WAITING)) for trial in trials):
        study.enqueue_trial(parameters)
    return len(trials), sum(trial.state == TrialState.COMPLETE for trial in trials)


def without_value(trials: Iterable[tuple[dict[str, Any], bool]]) -> list[dict[str, Any]]:
    """Return the parameters, each once, of which no trial has a value (or waits), in the order of the trials.

    Args:
        trials: their parameters, empty where none were chosen yet, and whether they have a value.
    """
    best: dict[str, tuple[dict[str, Any], bool]] = {}
    for parameters, settled in trials:
        key = repr(sorted(parameters.items()))
        best[key] = parameters, settled or best.get(key, (parameters, False))[1]
    return [parameters for parameters, settled in best.values() if parameters and not settled]
