"""Generative adversarial networks as games: train, resume, sample and explore them from one command, `gan`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gancli.engine.plan import Outcome
    from gancli.explore.evaluate import Report
    from gancli.explore.loaded import Loaded

__version__ = "0.1.0"
__all__ = ["__version__", "evaluate", "load", "train", "validate"]

# Each imports what it needs, torch among it, on its first use.


def load(path: "str | Path | Outcome", device: str = "auto", weights: str = "ema") -> "Loaded":
    """Return the trained model of a checkpoint, a run directory, a run's id, `run@kimg`, `run@best` or `run@latest`.

    `gancli.load(path).sample(16, seed=0)` gives [16, C, H, W] in [-1, 1]; see gancli.explore.loaded.load.  It takes what
    `train` returns, too.
    """
    from gancli.explore.loaded import load as load_model

    return load_model(path if isinstance(path, (str, Path)) else path.run_dir, device=device, weights=weights)


def train(overrides: Sequence[str] = (), config_dir: Path | None = None) -> "Outcome":
    """Train one run as `gan train` with these words does: `gancli.train(["model=gan", "trainer.kimg=5"])`.

    Returns:
        how it ended (`status`: finished or stopped), its folder (`run_dir`) and its last `figures`.

    Raises:
        gancli.errors.UserError: what the command would refuse, in the same words; nothing has been created then.
    """
    from gancli import api

    return api.train(overrides, config_dir)


def validate(overrides: Sequence[str] = (), config_dir: Path | None = None) -> str:
    """Return what `train` with these words would do, as `gan validate` prints it; raises what `train` would refuse."""
    from gancli import api

    return api.validate(overrides, config_dir)


def evaluate(overrides: Sequence[str], config_dir: Path | None = None) -> "Report":
    """Measure checkpoints as `gan evaluate` with these words does; `.figures` has the last one's figures by name."""
    from gancli import api

    return api.evaluate(overrides, config_dir)
