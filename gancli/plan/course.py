"""The course of a run beforehand: its phases from the first image to the last, as the model will play them."""

from dataclasses import dataclass

from gancli.engine.plan import Plan
from gancli.engine.rounds import default_phase
from gancli.errors import UsageError
from gancli.game.model import Model, Progress
from gancli.game.phase import Phase

PROBES = 4000  # places of a run that are looked at: a phase that is shorter than the distance of two may be missed
FOREVER = 10**15  # images after which the last phase has begun


@dataclass(frozen=True)
class Stretch:
    """A phase as long as it lasts."""

    phase: Phase
    begin: int  # real images shown before it
    end: int
    batch_size: int

    @property
    def rounds(self) -> int:
        """Rounds that it takes at least."""
        return -(-(self.end - self.begin) // max(1, self.phase.batches * self.batch_size))

    def turns(self, player: str) -> int:
        """Return how many turns of a player's whole loss it has, about."""
        return sum(-(-self.rounds // turn.every) for turn in self.phase.turns if turn.player == player and not turn.part)


def course(model: Model, default: Phase, total: int, batch_size: int) -> list[Stretch]:
    """Return the stretches of a run of `total` images, in order; a phase may come again.

    Raises:
        ValueError: a phase has no turns, or none that draws data: the run would never end.
    """
    stretches: list[Stretch] = []
    shown, last = 0, None
    while shown < total:
        phase = model.phase(Progress(total=total, images=shown), default)
        size = phase.batch_size or batch_size
        if not any(turn.draws and turn.every == 1 for turn in phase.turns):
            raise ValueError(f"the phase {phase.name} draws no data in every round")
        if last is None or _key(phase) != _key(last):
            stretches.append(Stretch(phase, shown, total, size))
            if len(stretches) > 1:
                before = stretches[-2]
                stretches[-2] = Stretch(before.phase, before.begin, shown, before.batch_size)
        last = phase
        step = phase.batches * size
        ahead = step * max(1, total // (PROBES * step))
        while ahead > step and _key(model.phase(Progress(total=total, images=shown + ahead), default)) != _key(phase):
            ahead = max(step, ahead // 2 // step * step)
        shown += ahead
    return stretches


def check_course(model: Model, plan: Plan) -> list[Stretch]:
    """Return the course of a plan's run; a UsageError for phases that cannot be played, or not within its length."""
    default = default_phase(model, plan.trainer)
    stretches = course(model, default, plan.total_images, plan.trainer.batch_size)
    name, scheme, parts = plan.model.name, plan.trainer.scheme, plan.ranks * plan.trainer.accumulate
    for stretch in stretches:
        turns, where = stretch.phase.turns, f"in its phase {stretch.phase.name}"
        once = len({turn.player for turn in turns}) == len(turns) and all(turn.every == 1 and not turn.part for turn in turns)
        if scheme != "alternating" and not once:
            raise UsageError(f"trainer.scheme={scheme} moves each player once a round, and model={name} has more turns "
                             f"{where}: give trainer.scheme=alternating.")
        if stretch.batch_size % parts:
            raise UsageError(f"model={name} plays batches of {stretch.batch_size} {where}, which do not divide into {parts} "
                             "parts: give another devices= or trainer.accumulate=.")
        if stretch.batch_size // parts % plan.loss.packing:
            raise UsageError(f"loss.packing={plan.loss.packing} does not divide the {stretch.batch_size // parts} examples "
                             f"that model={name} plays at once {where}: give another loss.packing= or batch size.")
    last, end = model.phase(Progress(total=FOREVER, images=FOREVER), default), stretches[-1].phase
    if last.name != end.name:
        begins = _begin(model, default, last.name, plan.total_images)
        raise UsageError(f"The run ends after {plan.total_images / 1000:g} kimg in the phase {end.name} of model={name}, "
                         f"whose last phase, {last.name}, begins after {begins / 1000:g}: give a longer trainer.kimg= or "
                         "shorter phases (gan train --cfg job shows the model's options).")
    return stretches


def _begin(model: Model, default: Phase, name: str, low: int) -> int:
    """Return after how many images the last phase begins, which it has not after `low`."""
    high = FOREVER
    while high - low > 1:
        middle = (low + high) // 2
        reached = model.phase(Progress(total=middle, images=middle), default).name == name
        low, high = (low, middle) if reached else (middle, high)
    return high


def _key(phase: Phase) -> tuple:
    return phase.name, phase.turns, phase.batch_size
