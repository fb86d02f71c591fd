"""`gan reconstruct`: examples beside what a model makes of them, and the error of each.

Legend: N examples of a batch, C channels, H height, W width, P coordinates of a point.
"""

import csv
import heapq
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from gancli.errors import UserError, check_range
from gancli.explore.dataset import DatasetPlace
from gancli.explore.examples import Examples, Part, find_examples, first_found, labels_of_run
from gancli.explore.layout import Grid
from gancli.explore.loaded import Loaded, load
from gancli.explore.options import PictureOptions
from gancli.explore.stages import Stages
from gancli.explore.targets import FOLDER, Target, checkpoint_stem, choose_target, default_target
from gancli.explore.writing import writing
from gancli.game.abilities import able, refusal
from gancli.metrics.measures.fidelity import gradient_energy
from gancli.monitor.grids import Picture, save_png, scatter, to_pictures
from gancli.options import typed
from gancli.runs.atomic import write_atomic

POINTS = 5000  # that a plot shows
PAIRS = 4  # an input and its output side by side, in a row of a grid


@dataclass
class ReconstructOptions(PictureOptions):
    """What `gan reconstruct` shows; the defaults stand in conf/reconstruct.yaml."""

    input: str | None
    n: int | None
    show: int
    data_dir: str | None
    dataset: DatasetPlace

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("n", self.n, 1)
        check_range("show", self.show, 1)


@dataclass
class Reconstructed:
    """What was found, and where it was written."""

    origin: str
    count: int
    mean: float  # error of an example
    median: float
    best: tuple[str, float]  # example and error
    worst: tuple[str, float]
    sharpness: tuple[float, float] | None  # mean gradient energy of inputs and of outputs; None for points
    notes: list[str]
    files: list[Path]


def reconstruct(values: Mapping[str, Any]) -> Reconstructed:
    """Reconstruct examples as conf/reconstruct.yaml describes; writes errors.csv and grids.

    Raises:
        UserError: anything that is wrong is found before anything is written.
    """
    options = typed(ReconstructOptions, values, "")
    chosen = choose_target(options.out, (".csv",), options.overwrite)
    loaded = load(options.ckpt, options.device, options.weights)
    if not able(loaded.model, "reconstruct"):
        raise UserError(refusal(loaded.name, "reconstruct"))
    if loaded.spec.is_image:
        _grid(loaded, options.show, options).check("a smaller show")
    with Stages() as stages:
        examples = find_examples(loaded, options.input, options.n, options.dataset, options.data_dir, stages)
        numbers = _numbers(loaded, examples)
        target = chosen or default_target("reconstruct", checkpoint_stem(loaded), "")
        seen = _Seen(options.show if loaded.spec.is_image else POINTS)
        done = _done(loaded, examples, first_found(examples.parts(options.batch_size)), options.batch_size, numbers, stages)
        with writing(target.path):
            table = target.path if target.kind == ".csv" else target.path / "errors.csv"
            table.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(table, lambda file: _write(file, examples, done, seen))
            files = [table, *_draw(loaded, options, target, seen)]
    worst, best = seen.extremes()
    errors = np.concatenate(seen.errors)
    energies = (seen.energies / seen.count).tolist()
    return Reconstructed(examples.origin, len(errors), float(errors.mean()), float(np.median(errors)), best, worst,
                         (energies[0], energies[1]) if loaded.spec.is_image else None,
                         [*examples.notes, *examples.left_out()], files)


def errors_of(x: Tensor, y: Tensor) -> Tensor:
    """Return the mean squared difference of the values of each example [N], images' as from 0 to 1."""
    scale = 2.0 if x.dim() == 4 else 1.0
    return ((x.double() - y.double()) / scale).square().flatten(1).mean(1)


class _Seen:
    """What is kept of all that passed by: every error, the first examples, and the ones with the largest and least error."""

    def __init__(self, keep: int) -> None:
        self.keep = keep
        self.errors: list[np.ndarray] = []
        self.first: list[Tensor] = []  # [2, ...] an input and its output
        self.largest: list[tuple[float, int, str, Tensor]] = []  # heaps: error, minus number, name, pair
        self.least: list[tuple[float, int, str, Tensor]] = []
        self.count = 0
        self.energies = torch.zeros(2, dtype=torch.float64)  # sums over inputs and outputs

    def add(self, part: Part, y: Tensor, errors: Tensor) -> None:
        """Take a batch and what the model made of it."""
        self.errors.append(errors.numpy())
        if y.dim() == 4:
            self.energies += torch.stack((gradient_energy(part.x).sum(), gradient_energy(y).sum()))
        for name, x, out, error in zip(part.names, part.x, y, errors.tolist(), strict=True):
            pair = (x, out)
            if len(self.first) < self.keep:
                self.first.append(torch.stack(pair))
            for heap, key in ((self.largest, error), (self.least, -error)):
                if len(heap) < self.keep or key > heap[0][0]:
                    entry = (key, -self.count, name, torch.stack(pair))
                    (heapq.heappush if len(heap) < self.keep else heapq.heappushpop)(heap, entry)
            self.count += 1

    def extremes(self) -> tuple[tuple[str, float], tuple[str, float]]:
        """Return name and error of the worst and of the best example."""
        worst, best = (max(heap, key=lambda entry: entry[:2]) for heap in (self.largest, self.least))
        return (worst[2], worst[0]), (best[2], -best[0])

    def ordered(self, heap: list[tuple[float, int, str, Tensor]]) -> list[Tensor]:
        """Return the pairs of a heap, the most extreme first."""
        return [entry[3] for entry in sorted(heap, key=lambda entry: entry[:2], reverse=True)]


def _numbers(loaded: Loaded, examples: Examples) -> Tensor | None:
    """Return the model's own numbers of the inputs' classes [K], None where it is told no labels."""
    if not loaded.model.needs.labels:
        return None
    numbers = labels_of_run(loaded, examples)
    if numbers is None:
        raise UserError(f"model={loaded.name} reconstructs an example from its label too, and these have none of "
                        f"{', '.join(loaded.spec.classes[:10])}: put the images into sub-folders of these names.")
    return torch.tensor(numbers)


def _done(loaded: Loaded, examples: Examples, parts: Iterator[Part], batch_size: int, numbers: Tensor | None,
          stages: Stages) -> Iterator[tuple[Part, Tensor, Tensor]]:
    """Yield examples, what the model makes of them, and errors, batch by batch."""
    count = 0
    for part in parts:
        labels = None if numbers is None or part.labels is None else numbers[part.labels]
        y = loaded.reconstruct(part.x, batch_size, labels)
        yield part, y, errors_of(part.x, y)
        count += len(part.x)
        stages.told("reconstructing", count, examples.count)


def _write(file: BinaryIO, examples: Examples, done: Iterator[tuple[Part, Tensor, Tensor]], seen: _Seen) -> None:
    """Write a line an example: its name, its class where there are any, its error."""
    text = io.TextIOWrapper(file, "utf-8", errors="replace", newline="", write_through=True)
    lines = csv.writer(text)
    lines.writerow(["example", *(["class"] if examples.classes else []), "error"])
    for part, y, errors in done:
        classes = [] if part.labels is None else [[examples.classes[label] for label in part.labels.tolist()]]
        lines.writerows(zip(part.names, *classes, (f"{error:.8g}" for error in errors.tolist()), strict=True))
        seen.add(part, y, errors)
    text.detach()


def _draw(loaded: Loaded, options: ReconstructOptions, target: Target, seen: _Seen) -> list[Path]:
    """Write the pictures and return their files."""
    folder, stem = (target.path, "") if target.kind == FOLDER else (target.path.parent, f"{target.path.stem}-")
    if not loaded.spec.is_image:
        pairs = torch.stack(seen.first)
        drawn = {"reconstructions": scatter(pairs[:, 1], pairs[:, 0], size=512 * (options.zoom or 1))}
    else:
        drawn = {name: _side_by_side(loaded, pairs, options) for name, pairs in (
            ("reconstructions", seen.first), ("worst", seen.ordered(seen.largest)), ("best", seen.ordered(seen.least)))}
    files = []
    for name, picture in drawn.items():
        files.append(folder / f"{stem}{name}.png")
        save_png(files[-1], picture)
    return files


def _grid(loaded: Loaded, pairs: int, options: ReconstructOptions) -> Grid:
    return Grid.of(loaded.spec.shape, 2 * pairs, 2 * PAIRS, options.zoom)


def _side_by_side(loaded: Loaded, pairs: list[Tensor], options: ReconstructOptions) -> Picture:
    """Return a grid in which each input has its output at its right."""
    return _grid(loaded, len(pairs), options).draw(to_pictures(torch.cat(pairs)))
