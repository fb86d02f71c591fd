"""Examples of a data set that a run was not trained on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gancli.data.dataset import open_source
from gancli.errors import UserError


def held_out(dataset: Mapping[str, Any], source: Any, data_dir: Path,
             parts: tuple[str, ...] = ("test", "val")) -> dict[str, Any] | None:
    """Return the options of examples that the run was not trained on, or None: a toy's next draw, or the first such part.

    Checkpoints are chosen by what is measured in training, which looks at `val` first; a trained model is tried on `test`.
    """
    other = dict(dataset) | ({"labeled": None} if "labeled" in dataset else {})
    if "split" not in dataset:
        return other | {"data_seed": dataset["data_seed"] + 1} if hasattr(source, "draw") else None
    if dataset["split"] != "train":
        return None
    for part in parts:
        options = other | {"split": part, "limit": None}
        try:
            open_source(options, data_dir).inspect()
        except UserError:
            continue
        return options
    return None
