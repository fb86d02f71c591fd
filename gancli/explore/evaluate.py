"""What `gan evaluate` does with a composed configuration: figures of checkpoints, in JSON with their protocols."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gancli import __version__
from gancli.data.dataset import Data, data_folder, load_data, open_source
from gancli.devices import describe_device, keep_freed_memory
from gancli.errors import UserError, check_choice, check_range
from gancli.explore.loaded import Loaded, load
from gancli.explore.targets import FOLDER, choose_target, default_target
from gancli.features.weights import check_features
from gancli.game.sampler import Sampler
from gancli.metrics.catalog import METRICS
from gancli.metrics.evaluator import Evaluator, check
from gancli.metrics.options import check_metrics
from gancli.metrics.protocol import Measured
from gancli.monitor.grids import save_png
from gancli.monitor.screen import Screen
from gancli.options import typed
from gancli.runs.atomic import write_json
from gancli.runs.checkpoint import CheckpointFolder, kimg_name
from gancli.runs.find import OUTPUTS, find_run

ALL = "@all"


@dataclass
class DatasetPlace:
    """What may differ from the run's own data options."""

    path: str | None
    split: str | None


@dataclass
class EvaluateOptions:
    """What `gan evaluate` measures, and where it puts the figures."""

    ckpt: str | None  # a checkpoint or a run; required
    metrics: list[str]
    features: str
    weights: str | None
    n: int
    seed: int
    real: int | None
    domain: str | None
    averaged: bool
    out: str | None
    overwrite: bool
    device: str
    batch_size: int
    data_dir: str | None
    dataset: DatasetPlace

    def __post_init__(self) -> None:
        if self.ckpt is None:
            raise ValueError("ckpt has no value: give ckpt=RUN (gan list runs shows the runs) or ckpt=FILE")
        if not self.metrics:
            raise ValueError(f"metrics names no metric: give some of {', '.join(METRICS)}")
        check_metrics("metrics", self.metrics)
        check_features(self.features)
        check_range("n", self.n, 2)
        check_range("real", self.real, 2)
        check_range("seed", self.seed, 0)
        check_range("batch_size", self.batch_size, 1)


@dataclass
class Evaluated:
    """The figures of one checkpoint."""

    checkpoint: Path
    kimg: float
    measured: list[Measured]


@dataclass
class Report:
    """What an evaluation found, and where it was written."""

    evaluated: list[Evaluated]
    files: list[Path]
    notes: list[str]


def evaluate(values: Mapping[str, Any]) -> Report:
    """Measure the checkpoints as conf/evaluate.yaml describes; writes evaluation.json and grids.

    Raises:
        UserError: anything that is wrong is found before anything is computed or written.
    """
    options = typed(EvaluateOptions, values, "")
    target = choose_target(options.out, (".json",), options.overwrite)
    checkpoints = _checkpoints(options.ckpt)
    weights = "ema" if options.averaged else "raw"
    loaded = load(checkpoints[0], options.device, weights)
    data_dir = data_folder(options.data_dir)
    dataset = _dataset(loaded, options)
    source = open_source(dataset, data_dir)
    held_out = _held_out(dataset, source, data_dir) if _wants_held_out(options.metrics) else None
    spec = source.inspect()
    if spec.shape != loaded.spec.shape:
        raise UserError(f"The data are {spec.describe()}, and the model makes examples of shape {loaded.spec.shape}: "
                        "give data_dir= or dataset.path= of the run's data.")
    check(options, spec, data_dir, latents=hasattr(loaded.model, "generate"),
          mixture=hasattr(source, "centers"), holdout=held_out is not None)
    _check_domain(loaded, options.domain)
    path, kind = target or (_default(loaded, len(checkpoints) > 1), FOLDER)

    keep_freed_memory()
    screen = _Progress()
    try:
        seed = loaded.config["seed"] if "seed" in loaded.config else options.seed  # the run's chose what is labeled
        data, holdout = (None if some is None else load_data(some, data_dir, loaded.device, seed, screen.decoding)
                         for some in (dataset, held_out))
        notes = list(data.notes) + _other_data(loaded, data, options)
        evaluator, evaluated, files = None, [], []
        for number, checkpoint in enumerate(checkpoints):
            loaded = loaded if number == 0 else load(checkpoint, options.device, weights)
            sampler = Sampler(loaded.model, options.seed, options.batch_size, data, options.domain)
            if evaluator is None:
                evaluator = Evaluator(options, data, data_dir, options.seed, domain=sampler.domain or 0, holdout=holdout,
                                      told=screen.told)
            evaluated.append(Evaluated(loaded.path, loaded.kimg, evaluator(sampler)))
            files += _save_pictures(evaluator, path, kind, loaded if len(checkpoints) > 1 else None)
    finally:
        screen.close()
    report = path if kind == ".json" else path / "evaluation.json"
    _write(report, evaluated, describe_device(loaded.device))
    return Report(evaluated, [report, *files], notes + evaluator.notes)


def _checkpoints(ckpt: str) -> list[str]:
    """Return what `ckpt=` names: one checkpoint, or all that a run has kept."""
    if not ckpt.endswith(ALL):
        return [ckpt]
    run = find_run(ckpt.removesuffix(ALL))
    found = [str(path) for path in CheckpointFolder(run).list()]
    if not found:
        raise UserError(f"The run {run} has no checkpoint yet.")
    return found


def _dataset(loaded: Loaded, options: EvaluateOptions) -> dict[str, Any]:
    """Return the data options of the run, with what the command changes."""
    if "dataset" not in loaded.config:
        raise UserError(f"The checkpoint {loaded.path} does not say which data it was trained on.")
    dataset = dict(loaded.config["dataset"])
    for key, value in vars(options.dataset).items():
        if value is not None and key not in dataset:
            raise UserError(f"dataset.{key}={value} means nothing to dataset={dataset['name']}: leave it out.")
        dataset |= {} if value is None else {key: value}
    if "labeled" in dataset and options.dataset.split is not None:
        dataset["labeled"] = None  # the labels that the run knew were those of its own split
    return dataset


def _wants_held_out(metrics: Sequence[str]) -> bool:
    return any(METRICS[name].needs_holdout for name in metrics) or "nearest" in metrics


def _held_out(dataset: Mapping[str, Any], source: Any, data_dir: Path) -> dict[str, Any] | None:
    """Return the options of examples that the run was not trained on: the test split, or a toy's next draw."""
    if "split" not in dataset:
        return dict(dataset) | {"data_seed": dataset["data_seed"] + 1} if hasattr(source, "draw") else None
    if dataset["split"] != "train":
        return None
    other = dict(dataset) | {"split": "test", "limit": None} | ({"labeled": None} if "labeled" in dataset else {})
    try:
        open_source(other, data_dir).inspect()
    except UserError:
        return None
    return other


def _check_domain(loaded: Loaded, domain: str | None) -> None:
    if domain is None:
        return
    if not hasattr(loaded.model, "translate"):
        raise UserError(f"domain={domain} is for models that translate, and model={loaded.name} does not: leave it out.")
    try:
        check_choice("domain", domain, loaded.spec.domains)
    except ValueError as error:
        raise UserError(f"{error}") from None


def _other_data(loaded: Loaded, data: Data, options: EvaluateOptions) -> list[str]:
    """Return a sentence if the data are not those of the run."""
    known = loaded.data_fingerprint
    if options.dataset.split is None and known is not None and known != data.fingerprint:
        return ["The data are not those that the run was trained on (another checksum): the figures compare with these."]
    return []


def _default(loaded: Loaded, several: bool) -> Path:
    """Return outputs/evaluate/<run>-<kimg>, with a number behind it if that exists."""
    parent = loaded.path.absolute().parent
    run = parent.parent.name if parent.name == "checkpoints" else loaded.path.stem
    stem = f"{run}-all" if several else f"{run}-{kimg_name(loaded.images)}"
    return default_target(Path(OUTPUTS) / "evaluate", stem, "")


def _save_pictures(evaluator: Evaluator, path: Path, kind: str, one_of: Loaded | None) -> list[Path]:
    """Write what measures have drawn; return the files."""
    suffix = "" if one_of is None else f"-{kimg_name(one_of.images)}"
    folder, stem = (path.parent, f"{path.stem}-") if kind == ".json" else (path, "")
    files = []
    for name, picture in evaluator.pictures.items():
        files.append(folder / f"{stem}{name}{suffix}.png")
        save_png(files[-1], picture)
    return files


def _write(path: Path, evaluated: Sequence[Evaluated], device: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"gancli": __version__, "device": device, "evaluations": [
            {"checkpoint": str(one.checkpoint), "kimg": one.kimg, "figures": [each.as_dict() for each in one.measured]}
            for one in evaluated]})
    except OSError as error:
        raise UserError(f"Writing {path} failed: {error.strerror or error}.") from None


class _Progress:
    """Shows one piece of work after the other."""

    def __init__(self) -> None:
        self.screen: Screen | None = None

    def decoding(self, done: int, total: int) -> None:
        """Show how far decoding is."""
        self.told("decoding", done, total)

    def told(self, label: str, done: int, total: int) -> None:
        """Show how far the piece of work called `label` is."""
        if self.screen is None or self.screen.label != label:
            self.close()
            self.screen = Screen(label, total, unit="images", scale=1)
        if self.screen.live is not None or done < total:  # where there is no live line, ends are not worth one
            self.screen.update(done)

    def close(self) -> None:
        """End the live line."""
        if self.screen is not None:
            self.screen.close()
            self.screen = None
