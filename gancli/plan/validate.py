"""`gan validate`: everything a run would check, and what it would be, without creating anything."""

from omegaconf import DictConfig

from gancli.devices import describe_device, has_native_bf16, pick_device, pick_precision
from gancli.engine.options import TrainerOptions
from gancli.engine.plan import Plan
from gancli.metrics.options import EvaluationOptions
from gancli.monitor.terminal import tell
from gancli.plan.course import Stretch, check_course
from gancli.plan.memory import blueprint, estimate
from gancli.plan.price import price, told
from gancli.plan.run import plan_run
from gancli.plan.shorter import next_commands
from gancli.plan.stabilizers import STABILIZERS, bears_ill


def report(cfg: DictConfig, overrides: list[str], priced: bool = False) -> str:
    """Return what the run would be, in lines, and its measured price where asked; a UserError if it could not be trained."""
    plan = plan_run(cfg, overrides)
    if priced and not plan.absent:
        tell("Measuring the price: a few rounds of each phase, a grid, an evaluation and a checkpoint, all in memory.")
    lines = _lines(plan)
    if priced:
        cost = price(plan)
        lines += [("price", told(cost)), *next_commands(cost, plan, overrides)]
    return "\n".join(f"{label:<14}{text}" if len(label) < 14 else f"{label} {text}" for label, text in lines)


def _lines(plan: Plan) -> list[tuple[str, str]]:
    device = pick_device(plan.device)
    precision = pick_precision(plan.trainer.precision, device)
    model = blueprint(plan)
    stretches = check_course(model, plan)
    needs = estimate(plan, model, stretches)
    loss = "losses of its own" if plan.loss.rule == "none" else f"loss {plan.loss.name}"
    lines = [("model", f"{plan.model.name} with {loss}"),
             ("data", f"{plan.dataset['name']}, {plan.spec.describe()}")]
    lines += [("found", sentence) for sentence in plan.found]
    for player, count in needs.parameters.items():
        own = plan.optimizer.of(player, player in model.discriminators)
        lines.append((player, f"{count:,} parameters, {own.name}, lr {own.lr:g}"))
    native = "" if precision == "fp32" or has_native_bf16(device) else " (emulated here: slow)"
    lines.append(("device", f"{describe_device(device)}, precision {precision}{native}"))
    if plan.ranks > 1:
        norm = "all ranks'" if plan.trainer.sync_batch_norm else "each rank's own"
        lines.append(("ranks", f"{plan.ranks}, each with {plan.trainer.batch_size // plan.ranks} examples of a batch; "
                               f"batch statistics {norm}; memory is each rank's"))
    turn = max(needs.activations, key=needs.activations.get)
    lines.append(("memory", f"about {_gib(needs.total)}: weights and optimizer {_gib(needs.weights)}, data "
                            f"{_gib(needs.data)}, the {turn}'s turn {_gib(needs.activations[turn])} in fp32"))
    lines.append(("disk", _disk(plan, needs.checkpoint)))
    lines.append(("length", _length(plan, stretches, list(needs.parameters))))
    if len(stretches) > 1:
        lines += [("phase", _phase(stretch, list(needs.parameters))) for stretch in stretches]
    if plan.trainer.scheme != "alternating" or plan.trainer.unrolled:
        lines.append(("scheme", _scheme(plan.trainer)))
    if model.objective.augment is not None:
        lines.append(("augment", f"{plan.augment.name}: {model.objective.augment.describe()}"))
    for stabilizer in STABILIZERS:
        if setting := stabilizer.setting(plan.config):
            lines.append(("stabilizer", f"{setting}: {stabilizer.text} ({stabilizer.paper}); costs {stabilizer.cost}"))
    lines += [("note", f"{sentence}.") for sentence in bears_ill(plan.config)]
    lines.append(("evaluation", _evaluation(plan.evaluation)))
    lines.append(("directory", str(plan.run_dir)))
    lines += [("note", notice) for notice in plan.notices]
    if plan.checkpoint is not None:
        lines.append(("continues", str(plan.checkpoint)))
    if plan.absent:
        return [*lines, *(("absent", sentence) for sentence in plan.absent), (
            "valid", "yes, once the data are there; nothing was created")]
    return [*lines, ("valid", "yes; nothing was created (price=true tells hours)")]


def _length(plan: Plan, stretches: list[Stretch], players: list[str]) -> str:
    turns = ", ".join(f"{sum(stretch.turns(player) for stretch in stretches):,} of the {player}" for player in players)
    passes = plan.total_images / plan.spec.count
    more = "" if plan.trainer.discriminator_turns == 1 else (
        "; kimg count the images of each turn of the discriminator, so compare lengths by the generator's turns")
    return f"{plan.total_images / 1000:g} kimg ({passes:.1f} passes), batch {plan.trainer.batch_size}: turns {turns}{more}"


def _phase(stretch: Stretch, players: list[str]) -> str:
    turns = ", ".join(f"{stretch.turns(player):,} of the {player}" for player in players if stretch.turns(player))
    rates = "".join(f", lr {rate:g}" for rate in dict.fromkeys(stretch.phase.lr.values()))
    return (f"{stretch.phase.name}, {stretch.begin / 1000:g} to {stretch.end / 1000:g} kimg, batch {stretch.batch_size}"
            f"{rates}: turns {turns}")


def _scheme(trainer: TrainerOptions) -> str:
    """Return in words how players move, and what that costs."""
    words = {"alternating": "players step in turn", "simultaneous": "all players step at once",
             "extragradient": "two gradients a step, each on a batch of its own; both count in kimg",
             "past_extragradient": "one gradient a step, taken ahead by the one before",
             "optimistic": "twice the step less the one before",
             "consensus": f"gradients through gradients, weight {trainer.consensus:g}: about three times the work"}
    ahead = f"; opponents look {trainer.unrolled} discriminator steps ahead" if trainer.unrolled else ""
    return f"{trainer.scheme}: {words[trainer.scheme]}{ahead}"


def _evaluation(options: EvaluationOptions) -> str:
    if not options.on:
        return "none"
    stop = "" if options.patience is None else f", stops after {options.patience} without improvement"
    return (f"{', '.join(options.metrics)} of {options.n:,} examples every {options.kimg:g} kimg; "
            f"{options.metrics[0]} decides the best checkpoint{stop}")


def _disk(plan: Plan, checkpoint: int) -> str:
    """Return what a run's checkpoints take at most; sweeps read the bytes (gancli.sweeps.disk)."""
    kept = plan.trainer.keep + plan.evaluation.on  # the newest and the best
    each = f"{kept} checkpoint{'s' if kept > 1 else ''} of {_gib(checkpoint)}"
    return f"about {kept * checkpoint:,} bytes: {each}; grids beside them"


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB" if size >= 2**28 else f"{size / 2**20:.0f} MiB"
