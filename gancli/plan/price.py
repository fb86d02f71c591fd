"""What a run costs in hours, measured beforehand: a few rounds of each phase, a grid, an evaluation and a checkpoint.

It plays the run's own game on its own data, in memory and in a folder that is removed again; the caller's random numbers
go on as if nothing had been drawn.
"""

import math
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from gancli.data.dataset import Data, load_data, open_source
from gancli.data.store import waits_on_disk
from gancli.devices import keep_freed_memory, pick_device, pick_precision, start_quickly
from gancli.engine.averages import Average
from gancli.engine.plan import Plan
from gancli.engine.players import Player
from gancli.engine.recording.diagnosis import Diagnosis
from gancli.engine.recording.gallery import Gallery
from gancli.engine.recording.saving import snapshot
from gancli.engine.rounds import Game
from gancli.engine.state import collect
from gancli.engine.watching import check_state
from gancli.errors import UserError
from gancli.game.build import build_model, build_objective
from gancli.game.model import Model, Progress
from gancli.game.sampler import Sampler
from gancli.game.stabilizing import fill_references
from gancli.metrics.catalog import METRICS
from gancli.metrics.timing import Evaluating, timed_evaluation
from gancli.monitor.durations import clock, in_words
from gancli.monitor.scalars import Scalars
from gancli.plan.course import Stretch, check_course
from gancli.plan.memory import blueprint
from gancli.ranks import shards
from gancli.runs.checkpoint import CheckpointFolder, images_of

BUDGET_S, LEAST_S = 8.0, 1.5  # for the rounds of all phases together, and of each at least
FEWEST, MOST_ROUNDS = 3, 400  # rounds of a phase that are timed
TOLD_S = 1.0  # a kind of work that takes less in all is not named
DECODED = 256  # examples that are decoded to learn how long all of them take


@dataclass(frozen=True)
class Share:
    """One kind of work of a run."""

    name: str
    count: int  # how often; 1 for what happens once
    seconds: float  # in all


@dataclass(frozen=True)
class Price:
    """What is left of a run, in seconds, by kinds of work; what comes before the first round stands apart."""

    images: int  # real images that turns are still to show
    turns_s: float
    before: tuple[Share, ...]
    beside: tuple[Share, ...]
    phases: int = 1  # of training, each of which may cost something else

    @property
    def training_s(self) -> float:
        """From the first round to the end."""
        return self.turns_s + sum(share.seconds for share in self.beside)

    @property
    def total_s(self) -> float:
        """With what comes before the first round."""
        return self.training_s + sum(share.seconds for share in self.before)


def told(cost: Price) -> str:
    """Return the price in one line: the whole, the clock time it ends at, and its parts."""
    speed = cost.images / max(cost.turns_s, 1e-9)
    parts = [f"turns {in_words(cost.turns_s)} ({speed:,.4g} images/s)"]
    parts += [f"{share.count} {share.name} {in_words(share.seconds)}" for share in cost.beside if share.seconds >= TOLD_S]
    parts += [f"before: {share.name} {in_words(share.seconds)}" for share in cost.before if share.seconds >= TOLD_S]
    return f"about {in_words(cost.total_s)}, done at {clock(cost.total_s)} if begun now: {', '.join(parts)}; measured here"


def price(plan: Plan) -> Price:
    """Measure what the rest of the plan's run costs on this machine as it is now; leaves no file and no random draw.

    Raises:
        UserError: the data are not there, so that nothing can be timed on them.
    """
    if plan.absent:
        raise UserError("The price is measured on the data, and they are not there yet: " + plan.absent[0])
    keep_freed_memory()
    start_quickly()
    device = pick_device(plan.device)
    with _no_trace(device) as folder, shards.alone():
        data, scale, seconds = _data(plan.dataset, plan, device)
        return _Rehearsal(plan, device, data, scale, folder).price([Share("reading and decoding the data", 1, seconds)])


@contextmanager
def _no_trace(device: torch.device) -> Iterator[Path]:
    """Yield a folder for what is written; put random states back and remove it afterwards."""
    with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield Path(folder)


def _data(dataset: dict[str, Any], plan: Plan, device: torch.device) -> tuple[Data, float, float]:
    """Return the run's data, 1, and the seconds that took; or a part of data that have yet to be decoded, how many times more
    there are, and the seconds that all will take: what one example takes is paid once, as some files are read as a whole."""
    source = open_source(dataset, plan.data_dir)
    spec, images = source.inspect(), source.look().count  # examples, and what they are cut out of

    def load(**changes: Any) -> tuple[Data, float]:
        started = time.perf_counter()
        data = load_data({**dataset, **changes}, plan.data_dir, device, plan.seed)
        return data, time.perf_counter() - started

    if waits_on_disk(source, source.look(), dataset.get("store", "memory")) is not False or "limit" not in dataset:
        data, seconds = load()
        return data, 1.0, seconds
    count = max(DECODED, 2 * plan.trainer.batch_size)
    if spec.labeled or count >= images:
        data, seconds = load(store="memory")
        return data, 1.0, seconds
    once, again = (load(limit=1, store="memory")[1] for _ in range(2))  # the second time with all modules there
    data, seconds = load(limit=count, store="memory")
    return data, spec.count / data.spec.count, once + max(0.0, seconds - again) * images / count


class _Rehearsal:
    """The run's game, as `gancli.engine.training.play` builds it, for one rank alone."""

    def __init__(self, plan: Plan, device: torch.device, data: Data, scale: float, folder: Path) -> None:
        self.plan, self.device, self.data, self.scale, self.folder = plan, device, data, scale, folder
        torch.manual_seed(plan.seed)
        self.trainer = replace(plan.trainer, batch_size=max(1, plan.trainer.batch_size // plan.ranks))
        objective = build_objective(plan.loss, plan.augment, data.spec)
        self.model = build_model(plan.model, objective, data.spec).to(device).train()
        self.model.read_files(plan.data_dir)
        reference = data.batch(0, self.trainer.batch_size)
        self.model.begin(reference)
        fill_references(self.model, reference)
        self.average = (Average(self.model, plan.trainer.ema_kimg, plan.trainer.ema_ramp) if plan.trainer.ema_kimg else None)
        precision = pick_precision(plan.trainer.precision, device)
        self.players = {name: Player(name, self.model, plan.optimizer, plan.trainer, precision) for name in self.model.players}
        self.done = 0 if plan.checkpoint is None else images_of(plan.checkpoint)
        self.scalars = Scalars()

    def price(self, before: list[Share]) -> Price:
        """Time the run's work, kind by kind."""
        stretches = [replace(stretch, begin=max(stretch.begin, self.done))
                     for stretch in check_course(blueprint(self.plan), self.plan) if stretch.end > self.done]
        budget = max(LEAST_S, BUDGET_S / len(stretches))
        turns_s = sum(self._round_s(stretch, budget) * stretch.rounds for stretch in stretches)
        progress = Progress(total=self.plan.total_images, images=stretches[-1].begin)
        beside = [*self._pictures(progress), *self._figures(), self._checkpoints()]
        if self.plan.evaluation.on:
            evaluation = self._evaluation()
            beside.append(Share("evaluations", self._times(self.plan.evaluation.kimg), evaluation.each_s * self._times(
                self.plan.evaluation.kimg)))
            before = [*before, *(Share(name, 1, seconds) for name, seconds in evaluation.before)]
        return Price(self.plan.total_images - self.done, turns_s, tuple(before), tuple(beside), len(stretches))

    def _round_s(self, stretch: Stretch, budget: float) -> float:
        """Return the mean seconds of a round of a phase, what is done only now and then in its due share."""
        game = Game(self.model, self.average, self.players, self.trainer, self.plan.seed)
        period = _period(stretch, self.plan)
        begun = time.perf_counter()
        self._play(game, stretch, 1 if period > 1 else 2)  # the first rounds find memory and kernels
        if period == 1 and time.perf_counter() - begun > budget:
            return self._play(game, stretch, 1)[0]
        seconds = self._play(game, stretch, max(period, MOST_ROUNDS // period * period), budget)
        if len(seconds) >= period:
            whole = seconds[:len(seconds) // period * period]
            return sum(whole) / len(whole)
        return (seconds[0] + (period - 1) * sum(seconds[1:]) / max(1, len(seconds) - 1)) / period

    def _play(self, game: Game, stretch: Stretch, most: int, budget: float = math.inf) -> list[float]:
        """Play rounds from the phase's first on, everything due in it; return the seconds of each."""
        progress = Progress(total=self.plan.total_images, images=stretch.begin)
        seconds: list[float] = []
        while len(seconds) < most and (len(seconds) < FEWEST or sum(seconds) < budget):
            seconds.append(self._timed(lambda: game.round(self.data, progress, self.scalars)))
        self.game, self.scalars = game, Scalars()
        return seconds

    def _pictures(self, progress: Progress) -> list[Share]:
        gallery = Gallery(self.folder, self.model, self.average, self.data, self.plan.seed, self.plan.title)
        diagnosis = Diagnosis(self.folder, self.plan.config, self.model, self.average, self.data, self.plan.seed)
        judges = self.model.discriminators
        opponents = [name for name in self.players if name not in judges] if judges else []

        def look() -> None:
            gallery.hang(0)
            gallery.write(0)
            diagnosis.look(progress)
            for name in opponents:
                self.game.after_turn(name, progress)

        first = self._timed(look)  # which finds memory, and counts only where it takes long
        count = self._times(self.plan.trainer.sample_kimg)
        return [Share("grids and looks", count, count * (first if first > BUDGET_S else self._timed(look)))]

    def _figures(self) -> list[Share]:
        count = self._times(self.plan.trainer.record_kimg)
        return [Share("figures", count, count * self._timed(lambda: check_state(self.model, self.average)))]

    def _checkpoints(self) -> Share:
        header = {"config": self.plan.config, "spec": self.data.spec.as_dict(),
                  "progress": Progress(total=self.plan.total_images).as_dict(), "extra": {}}

        def save() -> None:
            CheckpointFolder(self.folder).save(0, snapshot(collect(self.model, self.average, self.players)), header)

        count = self._times(self.plan.trainer.checkpoint_kimg)
        return Share("checkpoints", count, count * self._timed(save))

    def _evaluation(self) -> Evaluating:
        shown: Model = self.average.model if self.average is not None else self.model
        sampler = Sampler(shown, batch_size=min(256, 4 * self.plan.trainer.batch_size), data=self.data)
        holds = any(METRICS[name].reads_holdout for name in self.plan.evaluation.metrics)
        holdout = None
        if self.plan.holdout is not None and holds:
            holdout, _ = _data(self.plan.holdout, self.plan, self.device)
        return timed_evaluation(self.plan.evaluation, self.data, self.plan.data_dir, sampler, holdout, self.scale)

    def _times(self, kimg: float) -> int:
        """Return how often what is due every so many kimg is due in the rest of the run, its end included."""
        step, total = 1000 * kimg, self.plan.total_images
        return int(total // step) - int(self.done // step) + (total % step > 0)

    def _timed(self, work: Callable[[], object]) -> float:
        """Return the seconds that a piece of work takes, the device's part included."""
        self._settle()
        begun = time.perf_counter()
        work()
        self._settle()
        return time.perf_counter() - begun

    def _settle(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def _period(stretch: Stretch, plan: Plan) -> int:
    """Return after how many rounds of a phase the same work comes again."""
    penalties = (plan.loss.gradient_penalty, plan.loss.dragan, plan.loss.r1, plan.loss.r2)
    lazy = [penalty.interval for penalty in penalties if penalty.weight > 0]
    return math.lcm(*(turn.every for turn in stretch.phase.turns), *lazy)
