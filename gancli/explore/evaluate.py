"""What `gan evaluate` does with a composed configuration: figures of checkpoints, in JSON with their protocols."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gancli import __version__
from gancli.data.dataset import Data, load_data, open_source
from gancli.data.holdout import held_out
from gancli.data.spec import DataSpec
from gancli.devices import describe_device, keep_freed_memory
from gancli.errors import UserError, check_choice, check_range
from gancli.explore.dataset import DatasetPlace, check_shape, data_place, other_data, run_dataset
from gancli.explore.loaded import Loaded, load
from gancli.explore.options import CommandOptions
from gancli.explore.stages import Stages
from gancli.explore.targets import Target, checkpoint_stem, choose_target, default_target, run_stem
from gancli.explore.writing import writing
from gancli.features.weights import check_features
from gancli.game.abilities import able, makes_second, measurable, refusal
from gancli.game.sampler import Sampler
from gancli.game.translating import among_domains
from gancli.metrics.catalog import METRICS
from gancli.metrics.evaluator import Evaluator
from gancli.metrics.needs import Given, check
from gancli.metrics.options import check_metrics
from gancli.metrics.protocol import Measured
from gancli.metrics.timing import Evaluating, timed_evaluation
from gancli.monitor.durations import clock, in_words
from gancli.monitor.grids import save_png
from gancli.monitor.terminal import tell
from gancli.options import typed
from gancli.runs.atomic import write_json
from gancli.runs.checkpoint import CheckpointFolder, kimg_name
from gancli.runs.files import EVALUATION
from gancli.runs.find import find_run

ALL = "@all"
FEATURED = ("fid", "kid", "is", "prdc")  # what is measured where nobody says and features can be had
MOST_ON_CPU, MOST_ON_GPU = 2000, 10_000  # examples that are generated unless n= says how many
TIMING_S = 0.5  # of generating, for the price


@dataclass
class EvaluateOptions(CommandOptions):
    """What `gan evaluate` measures; the defaults stand in conf/evaluate.yaml."""

    metrics: list[str] | None  # None: what suits the data (default_metrics)
    features: str
    features_weights: str | None
    n: int | None  # None: what suits the data and the device (default_n)
    seed: int
    real: int | None
    domain: str | None
    data_dir: str | None
    dataset: DatasetPlace

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.metrics is not None:
            if not self.metrics:
                raise ValueError(f"metrics names no metric: give some of {', '.join(METRICS)}")
            check_metrics("metrics", self.metrics)
        check_features(self.features)
        check_range("n", self.n, 2)
        check_range("real", self.real, 2)
        check_range("seed", self.seed, 0)


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
    seconds: float  # that it took, data included

    @property
    def figures(self) -> dict[str, float]:
        """The figures of the last checkpoint, by their full names."""
        return {each.name: each.value for each in self.evaluated[-1].measured}


def evaluate(values: Mapping[str, Any]) -> Report:
    """Measure the checkpoints as conf/evaluate.yaml describes; writes evaluation.json and grids.

    Raises:
        UserError: anything that is wrong is found before anything is computed or written.
    """
    options = typed(EvaluateOptions, values, "")
    chosen = choose_target(options.out, (".json",), options.overwrite)
    checkpoints = _checkpoints(options.ckpt)
    several = len(checkpoints) > 1
    loaded = load(checkpoints[0], options.device, options.weights)
    if not measurable(loaded.model):
        raise UserError(refusal(loaded.name, "sample"))
    data_dir = data_place(loaded, options.data_dir)
    sets = _data_sets(loaded, options, data_dir)
    stem = f"{run_stem(loaded)}-all" if several else checkpoint_stem(loaded)
    target = chosen or default_target("evaluate", stem, "")

    keep_freed_memory()
    evaluated, files = [], []
    begun = time.monotonic()
    with Stages() as stages:
        seed = loaded.config["seed"] if "seed" in loaded.config else options.seed  # the run's chose what is labeled
        data, holdout = (None if some is None else load_data(some, data_dir, loaded.device, seed, stages.decoding)
                         for some in sets)
        sampler = _sampler(loaded, options, data)
        for line in _plan(loaded, options, data, sampler, len(checkpoints)):
            tell(line)
        cost = timed_evaluation(options, data, data_dir, sampler, holdout, budget_s=TIMING_S)
        tell(_price(cost, len(checkpoints)))
        evaluator = Evaluator(options, data, data_dir, options.seed, domain=sampler.domain or 0, holdout=holdout,
                              told=stages.told)
        for number, checkpoint in enumerate(checkpoints):
            if number > 0:
                loaded = load(checkpoint, options.device, options.weights)
                sampler = _sampler(loaded, options, data)
            evaluated.append(Evaluated(loaded.path, loaded.kimg, evaluator(sampler)))
            files += _save_pictures(evaluator, target, f"-{kimg_name(loaded.images)}" if several else "")
    report = target.path if target.kind == ".json" else target.path / EVALUATION
    _save_report(report, evaluated, describe_device(loaded.device))
    notes = [*data.notes, *other_data(loaded, options.dataset, data), *evaluator.notes]
    return Report(evaluated, [report, *files], notes, time.monotonic() - begun)


def default_n(device_type: str, real: int, metrics: Sequence[str]) -> int:
    """Return how many examples to generate where nobody says: as many as are real, within what the device does in minutes."""
    most = MOST_ON_CPU if device_type == "cpu" else MOST_ON_GPU
    return max(*(METRICS[name].least for name in metrics), 2, min(most, real))


def default_metrics(own: Sequence[str], features: str, spec: DataSpec) -> list[str]:
    """Return what to measure where nobody says: FEATURED, or what training measured where a classifier has no labels.

    Of a run that was measured by what it should have made (pairs, originals, holes), the same is measured again.

    Args:
        own: the run's evaluation.metrics.
        features: the extractor's name.
        spec: the data that are compared with.
    """
    if true := [name for name in own if name in METRICS and METRICS[name].knows_the_truth]:
        return true
    if spec.is_image and (features != "classifier" or spec.classes):
        return [name for name in FEATURED if METRICS[name].least <= spec.count] or ["swd"]
    return [*own] or ["swd"]


def _plan(loaded: Loaded, options: EvaluateOptions, data: Data, sampler: Sampler, several: int) -> Iterator[str]:
    """Yield what is going to be done, before it is."""
    real = min(options.real or data.counts[sampler.domain or 0], data.counts[sampler.domain or 0])
    n = min(options.n, sampler.limit or options.n)
    of = f" of each of {several} checkpoints" if several > 1 else ""
    yield (f"Plan: {', '.join(options.metrics)} from {n:,} generated{of} and {real:,} real {data.spec.kind} "
           f"(split {data.split}), seed {options.seed}, weights {options.weights}")
    if any(METRICS[name].needs_features for name in options.metrics):
        trained = (f" (a small network, trained once on {data.spec.count:,} labels until that helps no more)"
                   if options.features == "classifier" else "")
        yield f"Features: {options.features}{trained}"


def _price(cost: Evaluating, checkpoints: int) -> str:
    """Return what it will take, in words."""
    total = cost.total_s + (checkpoints - 1) * cost.each_s
    parts = [f"{name} {in_words(seconds)}" for name, seconds in cost.before]
    return (f"Price: about {in_words(total)}, done at {clock(total)} ({', '.join([*parts, 'generating and measuring '])}"
            f"{in_words(checkpoints * cost.each_s)}; measured)")


def _data_sets(loaded: Loaded, options: EvaluateOptions, data_dir: Path) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return the options of the data and, where a metric reads them, of held out examples; all metrics can be computed."""
    dataset = run_dataset(loaded, options.dataset)
    source = open_source(dataset, data_dir)
    spec = source.inspect()
    check_shape(loaded, spec)
    if options.metrics is None:
        options.metrics = default_metrics(loaded.config.get("evaluation", {}).get("metrics", ()), options.features, spec)
    wanted = any(METRICS[name].reads_holdout for name in options.metrics)
    other = held_out(dataset, source, data_dir) if wanted else None
    if options.n is None:
        options.n = default_n(loaded.device.type, min(options.real or spec.count, spec.count), options.metrics)
    generates = able(loaded.model, "sample")
    given = Given(spec, latents=generates, mixture=hasattr(source, "centers"), holdout=other is not None,
                  conditional=generates and loaded.model.needs.labels, classifies=able(loaded.model, "classify"),
                  second=makes_second(loaded.model, source.options), oracle=hasattr(source, "oracle"),
                  likelihood=able(loaded.model, "likelihood"), upscales=able(loaded.model, "upscale"),
                  fills=able(loaded.model, "inpaint"), styles=able(loaded.model, "guided"),
                  targets=able(loaded.model, "translate") and loaded.model.needs.labels)
    check(options, given, data_dir)
    _check_domain(loaded, options.domain)
    return dataset, other


def _sampler(loaded: Loaded, options: EvaluateOptions, data: Data) -> Sampler:
    return Sampler(loaded.model, options.seed, options.batch_size, data, options.domain)


def _checkpoints(ckpt: str) -> list[str]:
    """Return what `ckpt=` names: one checkpoint, or all that a run has kept."""
    if not ckpt.endswith(ALL):
        return [ckpt]
    run = find_run(ckpt.removesuffix(ALL))
    found = [str(path) for path in CheckpointFolder(run).list()]
    if not found:
        raise UserError(f"The run {run} has no checkpoint yet.")
    return found


def _check_domain(loaded: Loaded, domain: str | None) -> None:
    if domain is None:
        return
    if not able(loaded.model, "translate") and not able(loaded.model, "domains") or among_domains(loaded.model):
        raise UserError(f"domain={domain} is for models of two domains, and model={loaded.name} has one set of images: leave "
                        "it out.")
    try:
        check_choice("domain", domain, loaded.spec.domains)
    except ValueError as error:
        raise UserError(f"{error}") from None


def _save_pictures(evaluator: Evaluator, target: Target, suffix: str) -> list[Path]:
    """Write what measures have drawn; return the files."""
    path = target.path
    folder, stem = (path.parent, f"{path.stem}-") if target.kind == ".json" else (path, "")
    files = []
    with writing(path):
        for name, picture in evaluator.pictures.items():
            files.append(folder / f"{stem}{name}{suffix}.png")
            save_png(files[-1], picture)
    return files


def _save_report(path: Path, evaluated: Sequence[Evaluated], device: str) -> None:
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"gancli": __version__, "device": device, "evaluations": [
            {"checkpoint": str(one.checkpoint), "kimg": one.kimg, "figures": [each.as_dict() for each in one.measured]}
            for one in evaluated]})
