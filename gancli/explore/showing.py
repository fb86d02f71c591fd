"""Examples that a trained model is shown: the images of a folder, or data of the model's run that it was not trained on.

Whatever their number, one batch of them is in memory (besides what the data set's own store holds).

Legend: N examples of a batch, C channels, H height, W width, P coordinates of a point.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gancli.data.dataset import Data, data_folder, load_data, normalized, open_source
from gancli.data.decode import BrokenImage, Frame, decode_many
from gancli.data.files import FileSource
from gancli.data.holdout import held_out
from gancli.data.listing import list_images, require_images, shown
from gancli.errors import UserError
from gancli.explore.dataset import DatasetPlace, check_shape, other_data, run_dataset
from gancli.explore.loaded import Loaded, spans
from gancli.explore.stages import Stages

SKIPPED_SHOWN = 5  # broken files that a note names


class Part(NamedTuple):
    """A batch of examples on the CPU."""

    names: list[str]  # a file in its folder, or a number in the data set
    x: Tensor  # [N, C, H, W] in [-1, 1] or [N, P]
    labels: Tensor | None  # [N] int64, numbers of `classes`


@dataclass
class Inputs:
    """Examples by batches; notes are whole once all batches have been taken."""

    count: int  # broken files included
    classes: tuple[str, ...]  # empty where there are no labels
    origin: str  # of the examples, in words
    notes: list[str]

    def batches(self, size: int) -> Iterator[Part]:
        """Yield the examples in batches of at most `size`."""
        raise NotImplementedError


@dataclass
class FolderInputs(Inputs):
    """Image files, brought to the model's size and channels as a data set of files is; broken ones are passed over."""

    source: FileSource
    shape: tuple[int, ...]

    def batches(self, size: int) -> Iterator[Part]:
        frame = Frame.of(self.source.options, self.shape)
        group, start, skipped = self.source.groups[0], 0, []
        for results in decode_many(group.rows, lambda row: self.source.decode(row, frame)):
            broken = [at for at, result in enumerate(results) if isinstance(result, BrokenImage)]
            skipped += [f"{shown(group.rows[start + at][0].name)} ({results[at]})" for at in broken]
            whole = [at for at in range(len(results)) if at not in set(broken)]
            for first, last in spans(len(whole), size):
                rows = whole[first:last]
                pixels = torch.from_numpy(np.stack([results[at][0] for at in rows]))
                labels = None if group.labels is None else torch.from_numpy(group.labels[start:][rows])
                yield Part([shown(group.rows[start + at][0].name) for at in rows], normalized(pixels), labels)
            start += len(results)
        if skipped:
            more = f" and {len(skipped) - SKIPPED_SHOWN} more" if len(skipped) > SKIPPED_SHOWN else ""
            self.notes.append(f"Skipped {len(skipped)} that could not be decoded: {', '.join(skipped[:SKIPPED_SHOWN])}{more}.")
        if len(skipped) == self.count:
            raise UserError(f"None of the {self.count} files could be decoded: {'; '.join(skipped[:3])}.")


@dataclass
class DataInputs(Inputs):
    """Examples of a data set, evenly spread over it where not all are wanted."""

    data: Data

    def batches(self, size: int) -> Iterator[Part]:
        rows = torch.arange(self.count) * self.data.counts[0] // self.count
        for part in rows.split(size):
            labels = self.data.labels(part) if self.classes else None
            yield Part([str(row) for row in part.tolist()], self.data.examples(part).cpu(),
                       None if labels is None else labels.cpu())


def find_inputs(loaded: Loaded, folder: str | None, n: int | None, place: DatasetPlace, data_dir: str | None,
                stages: Stages) -> Inputs:
    """Return the images of a folder, or for no folder examples of the run's data that it was not trained on.

    Args:
        n: how many at most; None for all.
        stages: shows how far decoding of a data set is.

    Raises:
        UserError: there is no such folder, it holds no images, or the model is not one of images.
    """
    if folder is not None:
        return folder_inputs(loaded, folder, n, place)
    dataset = run_dataset(loaded, place)
    source = open_source(dataset, data_folder(data_dir))
    check_shape(loaded, source.inspect())
    notes = []
    if place.split is None:
        other = held_out(dataset, source, data_folder(data_dir))
        if other is None:
            notes.append("This data set has no part that was held out: these are examples that the model was trained on.")
        dataset = other or dataset
    data = load_data(dataset | ({"labeled": None} if "labeled" in dataset else {}), data_folder(data_dir), "cpu", 0,
                     stages.decoding)
    count = min(n or data.counts[0], data.counts[0])
    split = f", split={dataset['split']}" if "split" in dataset else ""
    moved = other_data(loaded, place, data) if notes else []  # what was held out has another checksum in any case
    return DataInputs(count, data.spec.classes, f"dataset={dataset['name']}{split}", [*notes, *data.notes, *moved], data)


def folder_inputs(loaded: Loaded, folder: str, n: int | None, place: DatasetPlace) -> FolderInputs:
    """Return the images of a folder as the model's data set would have framed them; sub-folders name classes."""
    if not loaded.spec.is_image:
        raise UserError(f"input={folder} is for models of images, and this one was trained on {loaded.spec.describe()}: "
                        "leave input= out.")
    if place.path is not None or place.split is not None:
        raise UserError("input= and dataset.path= or dataset.split= both say which examples to take: give one of them.")
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise UserError(f"input={folder} is {'a file: give the folder that holds it' if path.is_file() else 'no folder'}.")
    require_images(path, list_images(path))
    trained = loaded.config.get("dataset") or {}
    options: dict[str, Any] = {
        "name": "folder", "path": str(path.absolute()), "size": list(loaded.spec.shape[1:]), "channels": loaded.spec.shape[0],
        "fit": trained.get("fit", "crop"), "background": trained.get("background", "white"), "flip": False, "split": "all",
        "limit": n, "store": "memory", "holdout": 0.0, "broken": "skip", "labels": "auto"}
    source = open_source(options, path)
    count = sum(len(group.rows) for group in source.groups)
    return FolderInputs(count, source.classes, shown(folder), list(source.notes), source, loaded.spec.shape)


def labels_of_run(loaded: Loaded, inputs: Inputs) -> list[int] | None:
    """Return the number that each class of the inputs has among the model's own, None where one is not of these."""
    known = loaded.spec.classes
    if not inputs.classes or not set(inputs.classes) <= set(known):
        return None
    return [known.index(name) for name in inputs.classes]
