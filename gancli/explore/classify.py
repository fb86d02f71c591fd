"""`gan classify`: classes and probabilities of images by a trained model, and how often they are right.

Legend: N examples, K categories that the model tells apart, M classes of the data.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from gancli import __version__
from gancli.devices import describe_device
from gancli.errors import UserError, check_range
from gancli.explore.confusion import draw_confusion
from gancli.explore.dataset import DatasetPlace, data_place
from gancli.explore.examples import Examples, OfData, OfFiles, Part, first_found, run_data
from gancli.explore.inputs import find_inputs
from gancli.explore.loaded import Loaded, load
from gancli.explore.options import CommandOptions
from gancli.explore.stages import Stages
from gancli.explore.targets import Target, checkpoint_stem, choose_target, default_target
from gancli.explore.verdicts import Verdicts
from gancli.explore.writing import writing
from gancli.game.abilities import able, refusal
from gancli.metrics.evaluator import real_order
from gancli.metrics.measures.matching import matched_classes
from gancli.monitor.grids import save_png
from gancli.options import typed
from gancli.runs.atomic import write_atomic, write_json
from gancli.runs.checkpoint import CheckpointFolder
from gancli.runs.files import CHECKPOINTS
from gancli.runs.status import read_status

CSV, RECORD, CONFUSION = "classes.csv", "classification.json", "confusion.png"


@dataclass
class ClassifyOptions(CommandOptions):
    """What `gan classify` classifies; the defaults stand in conf/classify.yaml."""

    input: Any  # a folder, a file or a list of files; None: the run's held-out examples
    matched: int
    data_dir: str | None
    dataset: DatasetPlace

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("matched", self.matched, 1)
        if not isinstance(self.input, (str, list, tuple, type(None))):
            raise ValueError(f"input={self.input} is no path: give a folder, a file or a list of files")


@dataclass
class Report:
    """What was found, and where it was written."""

    verdicts: Verdicts
    taught: str  # whose labels the model has learned from
    files: list[Path]
    notes: list[str]


def classify(values: Mapping[str, Any]) -> Report:
    """Classify as conf/classify.yaml describes; writes the CSV, a record and, where classes are known, the confusion matrix.

    Raises:
        UserError: anything that is wrong is found before anything is written.
    """
    options = typed(ClassifyOptions, values, "")
    chosen = choose_target(options.out, (".csv",), options.overwrite)
    loaded = load(options.ckpt, options.device, options.weights)
    if not able(loaded.model, "classify"):
        raise UserError(refusal(loaded.name, "classify"))
    categories = loaded.classify(torch.zeros(1, *loaded.spec.shape)).shape[1]
    with Stages() as stages:
        examples = _examples(options, loaded, stages)
        names, notes = name_clusters(options, loaded, categories, stages) if loaded.model.clusters else (None, [])
        verdicts = Verdicts(loaded.spec.classes, categories, loaded.model.clusters, names)
        parts = first_found(examples.parts(options.batch_size))
        target = chosen or default_target("classify", checkpoint_stem(loaded), "")
        files = _files(target)
        with writing(target.path):
            files[CSV].parent.mkdir(parents=True, exist_ok=True)
            write_atomic(files[CSV], lambda file: _write(file, parts, verdicts, loaded, options, lambda done: stages.told(
                "classifying", done, examples.count)))
    notes += [*examples.notes, *examples.left_out(), *chosen_on_these(loaded, examples)]
    report = Report(verdicts, taught_by(loaded), [], notes)
    _save(files, report, loaded, examples)
    return report


def taught_by(loaded: Loaded) -> str:
    """Return in words whose labels the model has learned from."""
    model, spec, config = loaded.model, loaded.spec, loaded.config
    if model.clusters or not (model.needs.labels or model.needs.labeled):
        return "no labels"
    if not spec.labeled:
        return f"the labels of all {spec.count:,} training examples"
    seed = config["seed"] if "seed" in config else None
    return (f"the labels of {spec.labeled:,} of {spec.count:,} training examples (dataset.labeled={spec.labeled} seed={seed}; "
            "their rows are in the run's log)")


def name_clusters(options: ClassifyOptions, loaded: Loaded, categories: int,
                  stages: Stages) -> tuple[Tensor | None, list[str]]:
    """Return the class of each cluster [K] by the training examples in it, -1 for none, and what is to be said of them."""
    own = "The model's categories are clusters of its own, found without labels"
    if not loaded.spec.classes:
        return None, [f"{own}, and the run's data have no classes to name them by."]
    try:
        place = DatasetPlace(options.dataset.path, None)
        data = run_data(loaded, place, data_place(loaded, options.data_dir), False, stages).data
    except UserError as error:
        if options.input is None:
            raise
        return None, [f"{own}, and have no names, for which the run's data are needed: {error}"]
    rows = real_order(data.counts[0])[:options.matched]
    told = torch.cat([loaded.classify(data.examples(part), options.batch_size).argmax(1) for part in rows.split(1024)])
    labels = data.labels(rows)
    assert labels is not None  # the run's data have classes
    names = matched_classes(told, labels.cpu(), len(loaded.spec.classes))  # up to the last category that has an example
    names = torch.cat((names, names.new_full((categories - len(names),), -1)))
    return names, [f"{own}: each is named by its most frequent class among {len(rows):,} training examples."]


def chosen_on_these(loaded: Loaded, examples: Examples) -> list[str]:
    """Return a sentence if the checkpoint was chosen among others by its error on these very examples."""
    folder = loaded.path.absolute().parent
    status = read_status(folder.parent) if folder.name == CHECKPOINTS else None
    if not isinstance(examples, OfData) or status is None or not status.best or examples.data.split == "train":
        return []
    latest = CheckpointFolder(folder.parent).latest()
    if not status.best["metric"].startswith("class_error") or latest is None or latest.name == loaded.path.name:
        return []
    return ["This checkpoint is the run's best by its error on held-out examples, and so chosen on them: RUN@latest is not."]


def _examples(options: ClassifyOptions, loaded: Loaded, stages: Stages) -> Examples:
    if options.input is not None:
        return OfFiles(find_inputs(options.input, loaded), str(options.input), loaded.spec.classes)
    held = options.dataset.split is None
    return run_data(loaded, options.dataset, data_place(loaded, options.data_dir), held, stages)


def _write(file: BinaryIO, parts: Iterator[Part], verdicts: Verdicts, loaded: Loaded, options: ClassifyOptions,
           told: Callable[[int], None]) -> None:
    """Write a line for each example as it is classified."""
    text = io.TextIOWrapper(file, "utf-8", errors="replace", newline="")
    table = csv.writer(text, lineterminator="\n")
    for number, part in enumerate(parts):
        if number == 0:
            table.writerow(verdicts.header(part.labels is not None))
        table.writerows(verdicts.lines(part, loaded.classify(part.x, options.batch_size)))
        told(verdicts.count)
    text.detach()


def _files(target: Target) -> dict[str, Path]:
    """Return where each file goes: into the folder, or beside the CSV that was named."""
    if target.kind != ".csv":
        return {name: target.path / name for name in (CSV, RECORD, CONFUSION)}
    return {CSV: target.path} | {name: target.path.with_name(f"{target.path.stem}-{name}") for name in (RECORD, CONFUSION)}


def _save(files: Mapping[str, Path], report: Report, loaded: Loaded, examples: Examples) -> None:
    """Write the record and the picture beside the table, and note all three."""
    verdicts, matrix = report.verdicts, report.verdicts.matrix
    clusters = {"categories": verdicts.categories, "classes": verdicts.named()} if verdicts.clusters else None
    with writing(files[RECORD]):
        write_json(files[RECORD], {
            "gancli": __version__, "checkpoint": str(loaded.path), "kimg": loaded.kimg, "model": loaded.name,
            "device": describe_device(loaded.device), "learned_from": report.taught, "examples": examples.facts,
            "classified": verdicts.count, "clusters": clusters, "classes": list(verdicts.classes),
            "accuracy": verdicts.accuracy, "confusion": None if matrix is None else matrix.tolist(), "notes": report.notes})
        report.files += [files[CSV], files[RECORD]]
        if matrix is not None:
            columns = verdicts.columns
            save_png(files[CONFUSION], draw_confusion(matrix[:, :len(columns)], verdicts.classes, columns, verdicts.summary()))
            report.files.append(files[CONFUSION])
        else:
            files[CONFUSION].unlink(missing_ok=True)  # of an earlier command, whose results are overwritten
