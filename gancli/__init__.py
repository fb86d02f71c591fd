"""Generative adversarial networks as games: train, resume, sample and explore them from one command, `gan`."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gancli.explore.loaded import Loaded

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def load(path: str | Path, device: str = "auto", weights: str = "ema") -> "Loaded":
    """Return the trained model of a checkpoint, a run directory, a run's id, `run@kimg`, `run@best` or `run@latest`.

    `gancli.load(path).sample(16, seed=0)` gives [16, C, H, W] in [-1, 1]; see gancli.explore.loaded.load.
    """
    from gancli.explore.loaded import load as load_model  # torch is imported on first use only

    return load_model(path, device=device, weights=weights)
