"""From a composed configuration to a checked plan: every error a user can make is found here, before anything exists."""

import os
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gancli.config.resume import continued_values, holds_run
from gancli.data.dataset import check_batch, data_folder, open_source
from gancli.data.holdout import held_out
from gancli.data.source import Source
from gancli.data.spec import DataSpec
from gancli.devices import count_ranks, pick_device
from gancli.engine.options import OptimizerOptions, PlayerOptions, TrainerOptions
from gancli.engine.plan import Plan
from gancli.errors import UsageError, UserError, near
from gancli.game.abilities import able, makes_second, measurable
from gancli.game.build import adapt, model_options
from gancli.game.model import Model
from gancli.losses.augmentation import augment_options
from gancli.losses.options import RULES, LossOptions
from gancli.metrics.catalog import METRICS
from gancli.metrics.needs import Given, check
from gancli.metrics.options import EvaluationOptions
from gancli.options import typed
from gancli.plan.course import check_course
from gancli.plan.fitting import blueprint_that_fits, check_memory
from gancli.plan.inheriting import chosen, tell
from gancli.plan.small import suit_to_data
from gancli.plan.stabilizing import check_batches, rehearse
from gancli.ranks.shards import launched
from gancli.registry import load_plugins, models
from gancli.runs.checkpoint import CheckpointFolder, images_of
from gancli.runs.directory import is_run, run_name
from gancli.runs.records import LONGEST_NAME

RUNS = Path("outputs/train")
GROUPS = ("model", "loss", "augment", "dataset", "optimizer", "trainer", "evaluation")
TOP = ("seed", "device", "devices", "data_dir", "init")


@dataclass
class RunOptions:
    """What stands at the top of conf/train.yaml."""

    seed: int
    device: str  # auto, cpu, cuda, cuda:N or mps
    devices: str  # ranks on this machine: a number, or all
    data_dir: str | None  # where data sets lie or are downloaded to; null: $GAN_DATA, else ~/.cache/gancli/data
    init: str | None  # a checkpoint whose weights it began with

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, not {self.seed}")
        if self.devices != "all" and not (self.devices.isdecimal() and int(self.devices) > 0):
            raise ValueError(f"devices is a number of at least 1 or all, not {self.devices}")


def plan_run(cfg: DictConfig, overrides: list[str], job_dir: Path | None = None) -> Plan:
    """Return the plan of a new run, or of one that is continued (`resume=`, or a run_dir that holds the same run).

    Args:
        cfg: conf/train.yaml as composed.
        overrides: what the command line said.
        job_dir: the directory of a sweep's job; else cfg.run_dir, else a new one under outputs/train.

    Raises:
        UserError: anything that would keep the run from training.
    """
    load_plugins()
    values = _resolved(cfg)
    resume, run_dir, sweep, init = (values.pop(key) for key in ("resume", "run_dir", "sweep", "init"))
    if job_dir is None and sweep != {"keep": "all"}:
        raise UsageError("sweep.keep= is of many runs: add --multirun, or leave it out.")
    if resume is not None:
        if init is not None:
            raise UsageError("resume= goes on with the run's own weights: leave init= out.")
        if run_dir is not None:
            raise UsageError("resume= continues a run where it lies: leave run_dir= out.")
        run_dir, values = continued_values(resume, values, overrides)
    directory = Path(run_dir).absolute() if run_dir is not None else job_dir
    if directory is not None and resume is None and holds_run(directory):
        _, values = continued_values(str(directory), _suited(values), None)
    elif resume is None:
        values["init"] = chosen(init)
    values.setdefault("init", None)  # runs of before there was init=
    plan = _plan(values, overrides)
    plan.run_dir = directory or RUNS.absolute() / run_name(plan.config["model"]["name"], plan.config["dataset"]["name"])
    _check_writable(plan.run_dir)
    plan.checkpoint = CheckpointFolder(plan.run_dir).latest()
    _check_length(plan)
    if plan.checkpoint is None and plan.init is not None:
        tell(plan, plan.init)
    if plan.checkpoint is None and is_run(plan.run_dir):
        plan.notices.append("This run has no checkpoint yet: it starts from the beginning.")
    return plan


def _resolved(cfg: DictConfig) -> dict[str, Any]:
    try:
        return OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise UsageError(str(error).splitlines()[0]) from None


def _plan(values: dict[str, Any], overrides: list[str]) -> Plan:
    """Check everything but the directory."""
    unknown = values.keys() - {*GROUPS, *TOP}
    if unknown:
        raise UsageError(f"{', '.join(sorted(unknown))} is no part of a run; it has {', '.join(GROUPS)}.")
    config = deepcopy(values)
    _fill_length(config)
    run = typed(RunOptions, {key: config[key] for key in TOP}, "")
    loss = typed(LossOptions, config["loss"], "loss")
    augment = augment_options(config["augment"])
    config["model"], notices = adapt(config["model"], loss)
    model = model_options(config["model"])
    optimizer = typed(OptimizerOptions, config["optimizer"], "optimizer")
    trainer = typed(TrainerOptions, config["trainer"], "trainer")
    ranks = _ranks(run)
    data_dir = data_folder(run.data_dir)
    source = open_source(config["dataset"], data_dir)
    spec = source.inspect()
    notices += suit_to_data(config, source, spec, ranks)
    trainer = typed(TrainerOptions, config["trainer"], "trainer")
    _check_division(trainer, ranks)
    check_batches(loss, trainer, ranks)
    build = models.get(model.name).build
    build.check_data(model, spec)
    build.check_files(model, data_dir)
    check_batch(spec, trainer.batch_size)
    holdout = (held_out(config["dataset"], source, data_dir, ("val", "test")) if _looks_at_holdout(config["evaluation"])
               else None)
    evaluation, more = _evaluation(config["evaluation"], model, source, spec, data_dir, holdout is not None)
    plan = Plan(config, overrides, model, loss, augment, config["dataset"], optimizer, trainer, evaluation, run.seed,
                run.device, data_dir, spec, Path(), init=run.init and Path(run.init), holdout=holdout, ranks=ranks,
                notices=notices + more, found=list(source.notes),
                absent=_absent(source, holdout, data_dir))
    _check_game(plan)
    return plan


def _suited(values: dict[str, Any]) -> dict[str, Any]:
    """Return settings as a run with them has recorded them, which may be suited to its data (plan/small.py)."""
    values = deepcopy(values)
    run = typed(RunOptions, {"init": None} | {key: values[key] for key in TOP if key in values}, "")
    source = open_source(values["dataset"], data_folder(run.data_dir))
    suit_to_data(values, source, source.inspect(), _ranks(run))
    return values


def _absent(source: Source, holdout: dict[str, Any] | None, data_dir: Path) -> tuple[str, ...]:
    """Return sentences on what is to be downloaded, each once."""
    other = None if holdout is None else open_source(holdout, data_dir)
    if other is not None:
        other.inspect()
    return tuple(dict.fromkeys(each.absent for each in (source, other) if each is not None and each.absent))


def _check_game(plan: Plan) -> None:
    """Refuse a loss, players or phases that do not fit the model."""
    name, rule = plan.model.name, plan.loss.rule
    rules = models.get(name).build.losses
    if rules == () and rule != "none":
        raise UsageError(f"model={name} brings its own losses and takes no loss={plan.loss.name}: leave loss= out.")
    if rules != () and (rule == "none" or rules is not None and rule not in rules):
        known = [other for other in RULES if other != "none"] if rules is None else rules
        raise UsageError(f"model={name} does not take loss={plan.loss.name}: give loss={' or '.join(known)}.")
    model = blueprint_that_fits(plan)
    given = {player for player, own in plan.optimizer.players.items() if own != PlayerOptions()}
    unknown = given - model.players.keys()  # a system may name more than this run's options make
    if unknown:
        raise UsageError(f"optimizer.players.{min(unknown)}: model={name} has no such player; "
                         f"{near(min(unknown), model.players)}")
    of_discriminators = _of_discriminators(plan)
    if of_discriminators and not model.discriminators:
        raise UsageError(f"{of_discriminators[0]} is for discriminators, and model={name} has none: leave it out.")
    _check_augment(model, plan)
    stretches = check_course(model, plan)
    rehearse(plan, model, stretches)
    check_memory(plan, model, stretches)


def _of_discriminators(plan: Plan) -> list[str]:
    """Return the settings that mean nothing to a model without discriminators."""
    keys = [f"loss.{key}" for key in plan.loss.on_discriminators]
    keys += ["optimizer.discriminator.lr"] if plan.optimizer.discriminator.lr is not None else []
    keys += ["trainer.discriminator_turns"] if plan.trainer.discriminator_turns > 1 else []
    return keys + (["trainer.unrolled"] if plan.trainer.unrolled else [])


def _check_augment(model: Model, plan: Plan) -> None:
    """Refuse an augmentation that has nothing to change, or that the loss or the data forbid."""
    augment, name = model.objective.augment, plan.augment.name
    if augment is None:
        return
    if plan.loss.rule == "none" or not model.discriminators:
        raise UsageError(f"augment={name} changes what the discriminator of an adversarial loss sees, and model="
                         f"{plan.model.name} has none: leave augment= out.")
    if model.refuses_augment:
        raise UsageError(f"augment={name} is nothing for model={plan.model.name}: {model.refuses_augment}. "
                         "Leave augment= out.")
    if plan.spec.kind not in augment.kinds:
        other = "give augment=noise or leave it out" if plan.spec.kind == "points" else "leave augment= out"
        raise UsageError(f"augment={name} changes {' or '.join(augment.kinds)} and this data set holds {plan.spec.kind}: "
                         f"{other}.")
    augment.check(plan.loss)


def _looks_at_holdout(values: dict[str, Any]) -> bool:
    """Whether a metric needs or likes examples that the run is not trained on."""
    options = typed(EvaluationOptions, values, "evaluation")
    return options.on and any(METRICS[name].reads_holdout for name in options.metrics)


def _evaluation(values: dict[str, Any], model: Any, source: Source, spec: DataSpec, data_dir: Path,
                holdout: bool) -> tuple[EvaluationOptions, list[str]]:
    """Return what is measured while training, checked, and a sentence for the log where nothing can be."""
    options = typed(EvaluationOptions, values, "evaluation")
    build = models.get(model.name).build
    generates = able(build, "sample", model)
    if options.on and not measurable(build, model):
        return replace(options, kimg=None, patience=None), [f"model={model.name} neither samples nor translates: nothing is "
                                                            "measured while it trains, and no checkpoint is the best."]
    if options.on:
        given = Given(spec, latents=generates, mixture=hasattr(source, "centers"), holdout=holdout,
                      conditional=generates and build.needs_of(model).labels, classifies=able(build, "classify", model),
                      second=makes_second(build, source.options), oracle=hasattr(source, "oracle"),
                      likelihood=able(build, "likelihood", model), upscales=able(build, "upscale", model),
                      fills=able(build, "inpaint", model), styles=able(build, "guided", model),
                      targets=able(build, "translate", model) and build.needs_of(model).labels)
        check(options, given, data_dir)
    return options, []


def _ranks(run: RunOptions) -> int:
    """Return how many ranks play: as many as torchrun has started, else as `devices` says."""
    device, place = pick_device(run.device), launched()
    return place.world if place is not None else count_ranks(run.devices, device, run.device)


def _check_division(trainer: TrainerOptions, ranks: int) -> None:
    """Refuse a batch that does not divide into the ranks' parts, naming the nearest that do."""
    parts = ranks * trainer.accumulate
    below = trainer.batch_size // parts * parts
    if below == trainer.batch_size:
        return
    near = f"{below} or {below + parts}" if below else str(parts)
    each = f" with trainer.accumulate={trainer.accumulate}" if trainer.accumulate > 1 else ""
    raise UsageError(f"trainer.batch_size={trainer.batch_size} is the batch of all devices together and does not divide "
                     f"into {ranks} devices{each}: give trainer.batch_size={near}, or another devices=.")


def _fill_length(config: dict[str, Any]) -> None:
    """State the length of a run that leaves it to the papers."""
    trainer = config["trainer"]
    if trainer.get("kimg") is None and trainer.get("epochs") is None:
        recipes = (config[group].get("recipe") or {} for group in ("loss", "model"))
        trainer["kimg"] = next((recipe["kimg"] for recipe in recipes if recipe.get("kimg")), None)
        if trainer["kimg"] is None:
            raise UsageError("The length of the run is open: give trainer.kimg= or trainer.epochs=.")


def _check_length(plan: Plan) -> None:
    """Refuse to continue a run that has been trained for longer than it is to last; its last round may overshoot."""
    done = 0 if plan.checkpoint is None else images_of(plan.checkpoint)
    if done - plan.trainer.batch_size * plan.trainer.discriminator_turns >= plan.total_images:
        raise UserError(f"The run {plan.run_dir.name} has been trained for {done / 1000:g} kimg, which is longer than "
                        f"{plan.total_images / 1000:g} kimg: give a longer trainer.kimg= or trainer.epochs=.")


def _check_writable(directory: Path) -> None:
    """Refuse a directory that could not be created or written, or that holds much besides runs."""
    if directory in (Path.cwd(), Path.home(), Path(directory.anchor)):
        raise UserError(f"run_dir={directory} would spread a run's files over that folder: give a folder of the run's own.")
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in directory.parts):
        raise UserError(f"run_dir= has a name of more than {LONGEST_NAME} bytes: give a shorter one.")
    existing = next(path for path in (directory, *directory.parents) if os.path.lexists(path))
    if not existing.is_dir():
        raise UserError(f"{existing} is a file, so {directory} cannot hold a run: give another run_dir=.")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UserError(f"{existing} cannot be written: give another run_dir=.")
