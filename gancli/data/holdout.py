"""Examples of a data set that a run was not trained on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gancli.data.dataset import open_source
from gancli.errors import UserError


def held_out(dataset: Mapping[str, Any], source: Any, data_dir: Path) -> dict[str, Any] | None:
    """Return the options of examples that the run was not trained on: the test split, or a toy's next draw."""
    other = dict(dataset) | ({"labeled": None} if "labeled" in dataset else {})
    if "split" not in dataset:
        return other | {"data_seed": dataset["data_seed"] + 1} if hasattr(source, "draw") else None
    if dataset["split"] != "train":
        return None
    other |= {"split": "test", "limit": None}
    try:
        open_source(other, data_dir).inspect()
    except UserError:
        return None
    return other
