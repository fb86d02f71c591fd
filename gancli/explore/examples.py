"""Examples for a command to work on: images of the user's own, or those of the run that it was not trained on.

Legend: N examples, C channels, H height, W width, P coordinates of a point.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gancli.data.dataset import Data, load_data, open_source
from gancli.data.holdout import held_out
from gancli.data.listing import list_names, shown
from gancli.errors import UserError
from gancli.explore.dataset import DatasetPlace, check_shape, other_data, run_dataset
from gancli.explore.inputs import Inputs, labels_of
from gancli.explore.loaded import Loaded
from gancli.explore.stages import Stages


@dataclass
class Part:
    """Some examples that are worked on together."""

    names: list[str]  # of their files, or their rows in the data
    x: Tensor  # [N, C, H, W] or [N, P]
    labels: Tensor | None  # [N] int64, on the CPU


class OfFiles:
    """Image files; sub-folders may name their classes."""

    def __init__(self, inputs: Inputs, classes: tuple[str, ...]) -> None:
        self.inputs, self.count = inputs, len(inputs.entries)
        labels, why = labels_of(inputs.entries, classes)
        self.notes = [why] if why else []
        self.labels = None if labels is None else dict(zip(inputs.entries, labels, strict=True))
        self.facts: dict[str, Any] = {"files": self.count}

    def parts(self, size: int) -> Iterator[Part]:
        """Yield all that can be decoded."""
        for entries, x in self.inputs.batches():
            labels = None if self.labels is None else torch.tensor([self.labels[entry] for entry in entries])
            yield Part([shown(entry.name) for entry in entries], x, labels)

    def left_out(self) -> list[str]:
        """Return sentences on what could not be read, once all is read."""
        return self.inputs.notes()


class OfData:
    """A part of the run's data set."""

    def __init__(self, data: Data, notes: list[str]) -> None:
        self.data, self.count = data, data.counts[0]
        self.notes = [*data.notes, *notes]
        self.facts: dict[str, Any] = {"split": data.split, "fingerprint": data.fingerprint}

    def parts(self, size: int) -> Iterator[Part]:
        """Yield all examples, so many at a time, in the data's order."""
        for rows in torch.arange(self.count).split(size):
            labels = self.data.labels(rows)
            yield Part(list(map(str, rows.tolist())), self.data.examples(rows), None if labels is None else labels.cpu())

    def left_out(self) -> list[str]:
        """Return nothing: broken files were noted when the data were decoded."""
        return []


def run_data(loaded: Loaded, place: DatasetPlace, data_dir: Path, held: bool, stages: Stages) -> OfData:
    """Return the run's data as `place` changes them, or with `held` the part that the run was not trained on.

    Raises:
        UserError: there is no such part, or the data are not there, of another shape or of other classes.
    """
    dataset = run_dataset(loaded, place)
    if held:
        found = held_out(dataset, open_source(dataset, data_dir), data_dir)
        if found is None:
            raise UserError(f"The run of {loaded.path} has no held-out examples: give input=FOLDER, or dataset.split= to name "
                            "a part of its data (train: what it was trained on).")
        dataset = found
    spec = open_source(dataset, data_dir).inspect()
    check_shape(loaded, spec)
    if spec.classes != loaded.spec.classes:
        raise UserError(f"The data's classes ({list_names(spec.classes, 20) or 'none'}) are not those of the run "
                        f"({list_names(loaded.spec.classes, 20) or 'none'}): give input=FOLDER for images of other kinds.")
    seed = loaded.config["seed"] if "seed" in loaded.config else 0  # the run's chose what is labeled
    data = load_data(dataset, data_dir, loaded.device, seed, stages.decoding)
    return OfData(data, [] if held else other_data(loaded, place, data))
