"""The data set of a trained model's run, as a command finds and moves it."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gancli.data.dataset import Data, data_folder
from gancli.data.spec import DataSpec
from gancli.errors import UserError
from gancli.explore.loaded import Loaded


@dataclass
class DatasetPlace:
    """What may differ from the run's own data options."""

    path: str | None
    split: str | None


def data_place(loaded: Loaded, given: str | os.PathLike | None) -> Path:
    """Return the folder of data sets: the one given, else the run's own where that is still there, else the usual one."""
    own = loaded.config.get("data_dir")
    return data_folder(own if given is None and isinstance(own, str) and os.path.isdir(own) else given)


def run_dataset(loaded: Loaded, place: DatasetPlace) -> dict[str, Any]:
    """Return the data options of the run, with what the command changes."""
    if "dataset" not in loaded.config:
        raise UserError(f"The checkpoint {loaded.path} does not say which data it was trained on.")
    dataset = dict(loaded.config["dataset"])
    for key, value in vars(place).items():
        if value is not None and key not in dataset:
            raise UserError(f"dataset.{key}={value} means nothing to dataset={dataset['name']}: leave it out.")
        dataset |= {} if value is None else {key: value}
    if "labeled" in dataset and place.split is not None:
        dataset["labeled"] = None  # the labels that the run knew were those of its own split
    return dataset


def check_shape(loaded: Loaded, spec: DataSpec) -> None:
    """Raise a UserError for data of another shape than the model's."""
    if spec.kind == "tokens" and spec.vocabulary != loaded.spec.vocabulary:
        raise UserError(f"The data are {spec.describe()}, other symbols or in another order than those of the run: give "
                        "data_dir= or dataset.path= of the run's text.")
    if spec.shape != loaded.spec.shape:
        raise UserError(f"The data are {spec.describe()}, and the model makes examples of shape {loaded.spec.shape}: "
                        "give data_dir= or dataset.path= of the run's data.")


def other_data(loaded: Loaded, place: DatasetPlace, data: Data) -> list[str]:
    """Return a sentence if the data are not those of the run."""
    known = loaded.data_fingerprint
    if place.split is None and known is not None and known != data.fingerprint:
        return ["The data are not those that the run was trained on (another checksum): the figures compare with these."]
    return []
