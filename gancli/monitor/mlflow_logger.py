"""MLflow: a store in the run's folder unless MLFLOW_TRACKING_URI names another.

`mlflow ui --backend-store-uri sqlite:///RUN/mlflow.db` shows it.
"""

import io
import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import Metric, Param
from mlflow.utils.time import get_current_time_millis
from PIL import Image

from gancli.monitor.loggers import Logger

MOST_PARAMS, LONGEST_PARAM = 100, 500  # that MLflow takes at once, and characters of a value


class MLflow(Logger):
    """A run of the experiment in MLFLOW_EXPERIMENT_NAME, by default gancli."""

    def __init__(self, folder: Path, images: int) -> None:
        place = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{folder / 'mlflow.db'}"
        self.client = mlflow.MlflowClient(place)
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "gancli")
        known = self.client.get_experiment_by_name(name)
        artifacts = None if os.environ.get("MLFLOW_TRACKING_URI") else (folder / "mlflow").as_uri()
        experiment = known.experiment_id if known else self.client.create_experiment(name, artifact_location=artifacts)
        self.id: str = self.client.create_run(experiment, run_name=folder.name).info.run_id

    def figures(self, images: int, figures: Mapping[str, float]) -> None:
        """Take scalars at a number of images shown; MLflow has no word for what is not finite."""
        now = get_current_time_millis()
        self.client.log_batch(self.id, metrics=[Metric(_name(tag), value, now, images) for tag, value in figures.items()
                                                if math.isfinite(value)])

    def picture(self, name: str, images: int, png: bytes) -> None:
        """Take a picture as a PNG file."""
        self.client.log_image(self.id, Image.open(io.BytesIO(png)), artifact_file=f"{_name(name)}/{images:09d}.png")

    def text(self, name: str, images: int, text: str) -> None:
        """Take a text in Markdown."""
        self.client.log_text(self.id, text, f"{_name(name)}/{images:09d}.md")

    def settings(self, settings: Mapping[str, Any], figures: Mapping[str, float], differing: Sequence[str]) -> None:
        """Take the settings and the final figures."""
        params = [Param(_name(key), str(value)[:LONGEST_PARAM]) for key, value in settings.items()]
        for first in range(0, len(params), MOST_PARAMS):
            self.client.log_batch(self.id, params=params[first:first + MOST_PARAMS])
        now = get_current_time_millis()
        self.client.log_batch(self.id, metrics=[Metric(_name(f"final/{key}"), value, now, 0) for key, value in figures.items()
                                                if math.isfinite(value)])

    def close(self) -> None:
        """Mark the run as ended."""
        self.client.set_terminated(self.id)


def _name(tag: str) -> str:
    """Return a tag in the letters that MLflow takes in names."""
    return re.sub(r"[^\w\-. /]", "_", tag)
