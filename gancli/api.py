"""The commands as functions of Python: the same words, the same checks, results in place of lines on the screen."""

from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from gancli.config import resolvers
from gancli.config.compose import compose
from gancli.config.explain import TRANSLATED, explain
from gancli.config.marks import settled
from gancli.config.paths import quote_paths
from gancli.engine.plan import Outcome
from gancli.errors import UsageError
from gancli.explore.evaluate import Report


def train(overrides: Sequence[str], config_dir: Path | None = None) -> Outcome:
    """Train one run, as `gan train` does; return how it ended, its folder and its last figures."""
    from gancli.engine.training import train as play
    from gancli.plan.run import plan_run

    cfg, words = _composed("train", overrides, config_dir)
    return play(plan_run(cfg, words))


def validate(overrides: Sequence[str], config_dir: Path | None = None) -> str:
    """Return what `gan validate` prints."""
    from gancli.plan.validate import report

    return report(*_composed("train", overrides, config_dir))


def evaluate(overrides: Sequence[str], config_dir: Path | None = None) -> Report:
    """Measure checkpoints, as `gan evaluate` does; the figures are written, too."""
    from gancli.explore.evaluate import evaluate as measure

    return measure(_composed("evaluate", overrides, config_dir)[0])


def _composed(config_name: str, overrides: Sequence[str], config_dir: Path | None) -> tuple[DictConfig, list[str]]:
    """Return the configuration of the words of a command line, and the words with their paths made absolute."""
    if isinstance(overrides, str):
        raise UsageError(f"Overrides are a list of texts, one a KEY=VALUE: write {overrides.split()}.")
    resolvers.register()
    given = list(overrides)
    try:
        given = quote_paths(settled(config_name, given, config_dir), multirun=False, command=config_name)
        cfg = compose(config_name, given, config_dir)
        OmegaConf.to_container(cfg, resolve=True)  # an interpolation that leads nowhere
    except UsageError:
        raise
    except TRANSLATED as error:
        raise explain(error, config_name, given, config_dir) from error
    return cfg, given
