"""Examples for a command to work on: images of the user's own, or those of the run that it was not trained on.

Whatever their number, one batch of them is in memory (besides what the data set's own store holds).

Legend: N examples, C channels, H height, W width, P coordinates of a point.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gancli.data.dataset import Data, load_data, open_source
from gancli.data.holdout import held_out
from gancli.data.listing import list_names, shown
from gancli.errors import UserError
from gancli.explore.dataset import DatasetPlace, check_shape, data_place, other_data, run_dataset
from gancli.explore.inputs import Inputs, find_inputs, folders_of, labels_of
from gancli.explore.loaded import Loaded
from gancli.explore.stages import Stages


@dataclass
class Part:
    """Some examples that are worked on together, on the CPU."""

    names: list[str]  # of their files, or their rows in the data
    x: Tensor  # [N, C, H, W] in [-1, 1] or [N, P]
    labels: Tensor | None  # [N] int64, numbers of `classes`


class Examples:
    """What a command works on; `left_out` is whole once all parts have been taken."""

    count: int  # broken files included
    classes: tuple[str, ...] = ()  # empty where there are no labels
    origin: str  # of the examples, in words
    notes: list[str]
    facts: dict[str, Any]  # for a record

    def parts(self, size: int) -> Iterator[Part]:
        """Yield the examples, at most so many at a time."""
        raise NotImplementedError

    def left_out(self) -> list[str]:
        """Return sentences on what could not be read."""
        return []


class OfFiles(Examples):
    """Image files; sub-folders may name their classes."""

    def __init__(self, inputs: Inputs, origin: str, known: tuple[str, ...] | None = None) -> None:
        """Remember the files.

        Args:
            known: the only classes that sub-folders may name; None: whatever they are called.
        """
        self.inputs, self.count, self.origin = inputs, len(inputs.entries), origin
        labels, why = labels_of(inputs.entries, folders_of(inputs.entries) if known is None else known)
        self.notes = [why] if why else []
        self.labels = None if labels is None else dict(zip(inputs.entries, labels, strict=True))
        if labels is not None:
            self.classes = tuple(folders_of(inputs.entries)) if known is None else known
        self.facts: dict[str, Any] = {"files": self.count}

    def parts(self, size: int) -> Iterator[Part]:
        """Yield all that can be decoded; a UserError where nothing can."""
        found = False
        for entries, x in self.inputs.batches():
            labels = None if self.labels is None else torch.tensor([self.labels[entry] for entry in entries])
            names = [shown(entry.name) for entry in entries]
            for start in range(0, len(x), size):
                stop, found = start + size, True
                yield Part(names[start:stop], x[start:stop], None if labels is None else labels[start:stop])
        if not found:
            raise UserError(f"None of the {self.count} files could be decoded: {'; '.join(self.inputs.skipped[:3])}.")

    def left_out(self) -> list[str]:
        return self.inputs.notes()


class OfData(Examples):
    """A part of the run's data set, evenly spread over it where not all are wanted."""

    def __init__(self, data: Data, notes: list[str], n: int | None = None, origin: str = "") -> None:
        self.data, self.count, self.origin = data, min(n or data.counts[0], data.counts[0]), origin
        self.classes = data.spec.classes
        self.notes = [*data.notes, *notes]
        self.facts: dict[str, Any] = {"split": data.split, "fingerprint": data.fingerprint}

    def parts(self, size: int) -> Iterator[Part]:
        rows = torch.arange(self.count) * self.data.counts[0] // self.count
        for some in rows.split(size):
            labels = self.data.labels(some) if self.classes else None
            yield Part(list(map(str, some.tolist())), self.data.examples(some).cpu(), None if labels is None else labels.cpu())


def first_found(parts: Iterator[Part]) -> Iterator[Part]:
    """Return the parts once there is one, so that nothing is written where none can be read."""
    return chain((next(parts),), parts)


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


def find_examples(loaded: Loaded, given: str | Sequence[str] | None, n: int | None, place: DatasetPlace,
                  data_dir: str | None, stages: Stages) -> Examples:
    """Return image files, or for none examples of the run's data: those that it was not trained on, where there are some.

    Args:
        given: as `find_inputs` takes it.
        n: how many at most; None for all.
        stages: shows how far decoding of a data set is.

    Raises:
        UserError: the files or the data are not there, or not of the model's kind.
    """
    if given is not None:
        if place.path is not None or place.split is not None:
            raise UserError("input= and dataset.path= or dataset.split= both say which examples to take: give one of them.")
        return OfFiles(find_inputs(given, loaded, n), str(given) if isinstance(given, str) else f"{len(given)} files")
    dataset = run_dataset(loaded, place)
    folder = data_place(loaded, data_dir)
    source = open_source(dataset, folder)
    check_shape(loaded, source.inspect())
    other = held_out(dataset, source, folder) if place.split is None else dataset
    notes = [] if other else ["This data set has no part that was held out: these are examples that the model was trained on."]
    dataset = other or dataset
    data = load_data(dataset | ({"labeled": None} if "labeled" in dataset else {}), folder, "cpu", 0, stages.decoding)
    notes += other_data(loaded, place, data) if notes else []  # what was held out has another checksum in any case
    split = f", split={dataset['split']}" if "split" in dataset else ""
    return OfData(data, notes, n, f"dataset={dataset['name']}{split}")


def labels_of_run(loaded: Loaded, examples: Examples) -> list[int] | None:
    """Return the number that each class of the examples has among the model's own, None where one is not of these."""
    known = loaded.spec.classes
    if not examples.classes or not set(examples.classes) <= set(known):
        return None
    return [known.index(name) for name in examples.classes]
