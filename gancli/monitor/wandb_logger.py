"""Weights & Biases: offline unless WANDB_MODE says otherwise, so that nothing leaves the machine unasked.

`wandb sync RUN/wandb/offline-run-*` uploads a run later.
"""

import io
import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, cast

import wandb
from PIL import Image

from gancli.monitor.loggers import Logger

STEP = "images"  # every chart's horizontal axis


class WeightsAndBiases(Logger):
    """A run of the project in WANDB_PROJECT, by default gancli."""

    def __init__(self, folder: Path, images: int) -> None:
        self.run = wandb.init(project=os.environ.get("WANDB_PROJECT", "gancli"), name=folder.name, dir=str(folder),
                              mode=cast(Any, os.environ.get("WANDB_MODE", "offline")), reinit="create_new",
                              settings=wandb.Settings(silent=True, console="off"))
        self.run.define_metric("*", step_metric=STEP)

    def figures(self, images: int, figures: Mapping[str, float]) -> None:
        """Take scalars at a number of images shown."""
        self.run.log({STEP: images, **figures})

    def picture(self, name: str, images: int, png: bytes) -> None:
        """Take a picture as a PNG file."""
        self.run.log({STEP: images, name: wandb.Image(Image.open(io.BytesIO(png)))})

    def text(self, name: str, images: int, text: str) -> None:
        """Take a text in Markdown."""
        self.run.log({STEP: images, name: wandb.Html(f"<pre>{escape(text)}</pre>", inject=False)})

    def settings(self, settings: Mapping[str, Any], figures: Mapping[str, float], differing: Sequence[str]) -> None:
        """Take the settings and the final figures."""
        self.run.config.update(dict(settings), allow_val_change=True)
        self.run.summary.update({f"final/{key}": value for key, value in figures.items()})

    def close(self) -> None:
        """Write everything out."""
        self.run.finish()
