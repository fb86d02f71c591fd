"""The record of a run as rank 0 keeps it: it puts the parts together, each of which has a file of its own."""

import traceback
from collections.abc import Iterator
from contextlib import ExitStack, closing

import torch
from omegaconf import OmegaConf
from safetensors.torch import save
from torch import Tensor

from gancli import waiting
from gancli.data.dataset import Data
from gancli.devices import describe_device
from gancli.engine.averages import Average
from gancli.engine.plan import Outcome, Plan
from gancli.engine.players import Player
from gancli.engine.recording.calendar import Calendar
from gancli.engine.recording.checkpointing import Checkpointing
from gancli.engine.recording.cost import Cost
from gancli.engine.recording.diagnosis import SEEN, Diagnosis
from gancli.engine.recording.ending import Ending, hyperparameters, lasting, told_apart
from gancli.engine.recording.evaluation import Evaluation
from gancli.engine.recording.gallery import Gallery
from gancli.engine.recording.neighbors import Neighbors
from gancli.engine.recording.next_step import next_step
from gancli.engine.recording.phases import Phases
from gancli.engine.recording.pricing import Pricing
from gancli.engine.recording.record import Record
from gancli.engine.recording.saving import Writer
from gancli.engine.recording.sitting import Sitting
from gancli.engine.recording.standing import Standing
from gancli.engine.recording.telling import Telling, as_typed
from gancli.engine.rounds import default_phase
from gancli.errors import UserError
from gancli.game.abilities import measurable
from gancli.game.model import Model, Progress
from gancli.monitor.board import Board
from gancli.monitor.screen import Screen
from gancli.runs.atomic import write_atomic, write_text
from gancli.runs.checkpoint import read
from gancli.runs.directory import provenance
from gancli.runs.files import CONFIG, LOG, ORACLE, OVERRIDES, STATS, STATUS
from gancli.runs.provenance import write_provenance
from gancli.runs.stats import keep_until
from gancli.runs.sweeps import differing


class KeepingRecord(Record):
    """Everything a run leaves behind; entering it creates the directory, leaving it writes how the run ended."""

    def __init__(self, plan: Plan, device: torch.device, precision: str) -> None:
        self.plan, self.device, self.precision = plan, device, precision
        self.dir = plan.run_dir
        self.calendar = Calendar(plan.trainer, plan.evaluation)
        self.telling = Telling(self.dir / LOG)
        self.standing = Standing(self.dir, plan.overrides)
        self.writer = Writer()
        self.opened = ExitStack()  # what is to be closed when nothing more is written
        self._sitting: Sitting | None = None  # since training began

    # Beginning

    def __enter__(self) -> "KeepingRecord":
        try:
            self.standing.open()
            write_text(self.dir / CONFIG, OmegaConf.to_yaml(OmegaConf.create(self.plan.config)))
            write_text(self.dir / OVERRIDES, OmegaConf.to_yaml(OmegaConf.create(self.plan.overrides)))
        except OSError as error:
            raise UserError(f"{self.dir} cannot be written: {error.strerror}. Give another run_dir=.") from None
        self.telling.open()
        self.telling.say(f"Run directory: {as_typed(self.dir)}")
        ranks = f"{self.plan.ranks} ranks, the first on " if self.plan.ranks > 1 else ""
        self.telling.say(f"Device: {ranks}{describe_device(self.device)}, precision {self.precision}")
        for notice in (*self.plan.notices, *waiting.said()):
            self.telling.say(notice)
        return self

    def loading(self, done: int, total: int) -> None:
        """Show how far decoding is."""
        self.telling.prepare("decoding", done, total, unit="images")
        if done >= total:
            self.telling.hide()

    def describe_data(self, data: Data) -> None:
        """Record which data these are."""
        self.telling.hide()
        self.telling.say(f"Data: {self.plan.dataset['name']}, {data.spec.describe()}")
        for note in data.notes:
            self.telling.say(note)
        if data.oracle is not None:
            write_atomic(self.dir / ORACLE, lambda file: file.write(save(data.oracle.parameters)))
        write_provenance(self.dir, provenance(describe_device(self.device), torch.get_num_threads(), self.plan.seed,
                                               data.fingerprint))

    def working(self, label: str, done: int, total: int) -> None:
        """Show how far an evaluation is, or what it needs before training begins."""
        if self._sitting is None:
            self.telling.prepare(label, done, total)
        else:
            self._sitting.screen.describe(f"{label} {done:,}/{total:,}")

    def start(self, model: Model, average: Average | None, players: dict[str, Player], data: Data, progress: Progress,
              seconds_before: float) -> None:
        """Open the board and the screen; training begins."""
        self.telling.hide()
        for line in self._what_is_trained(players, data, progress):
            self.telling.say(line)
        gallery = Gallery(self.dir, model, average, data, self.plan.seed, self.plan.title)
        self.standing.able(next_step(model, self.plan), measurable(model))
        keep_until(self.dir / STATS, progress.images)  # what came after the checkpoint comes again
        board = self.opened.enter_context(closing(Board(self.dir, self.dir / STATS, progress.images,
                                                          self.plan.trainer.loggers)))
        diagnosis = Diagnosis(self.dir, self.plan.config, model, average, data, self.plan.seed)
        if self.plan.checkpoint is not None:
            diagnosis.remember(read(self.plan.checkpoint, prefixes=(SEEN,)).tensors)
        phases = Phases(progress)
        if progress.images:
            phase = f", in the phase {phases.name}" if phases.name else ""
            self.telling.say(f"Continuing from {progress.kimg:g} of {progress.total / 1000:g} kimg{phase}")
        screen = Screen(phases.label, progress.total, progress.images)
        self.telling.show(screen)
        evaluation, total = self.plan.evaluation, progress.total
        pricing = Pricing(self.calendar, evaluation.n if evaluation.on else 0)
        last_phase = model.phase(Progress(total=total, images=total - 1), default_phase(model, self.plan.trainer)).name
        self._sitting = Sitting(
            board=board, gallery=gallery, diagnosis=diagnosis,
            checkpointing=Checkpointing(self.plan, data, self.standing, self.writer),
            cost=Cost(self.device, progress.images, seconds_before),
            neighbors=Neighbors(self.device, self.plan.ranks), phases=phases,
            telling=self.telling, standing=self.standing, screen=screen,
            discriminators=model.discriminators, pricing=pricing, last_phase=last_phase)
        if not progress.images:
            self._sitting.pictures(progress)
            pricing.look_s, pricing.example_s = gallery.timed()

    def _what_is_trained(self, players: dict[str, Player], data: Data, progress: Progress) -> Iterator[str]:
        for name, player in players.items():
            count = sum(parameter.numel() for parameter in player.parameters)
            yield f"{name.capitalize()}: {count:,} parameters, {player.optimizer_name}, lr {player.base_lr:g}"
        passes = progress.total / data.spec.count
        yield (f"Length: {progress.total / 1000:g} kimg ({passes:.1f} passes over the data), batch "
               f"{self.plan.trainer.batch_size}")

    # During training

    @property
    def sitting(self) -> Sitting:
        """What is written while the run trains."""
        if self._sitting is None:
            raise RuntimeError("the record has not been told that training begins")
        return self._sitting

    def due(self, progress: Progress, shown: int, stopping: bool) -> set[str]:
        """Return what is to be recorded after a round that showed so many images."""
        self.sitting.played(progress, shown)
        due = self.calendar.due(progress, shown, stopping)
        if due:
            self.sitting.cost.pause()
        return due

    def pictures(self, progress: Progress) -> None:
        """Record what the model makes of the fixed latents and data."""
        self.sitting.pictures(progress)

    def figures(self, figures: dict[str, float], progress: Progress) -> None:
        """Record the means since the last tick."""
        self.sitting.figures(figures, progress)

    def checkpoint(self, tensors: dict[str, Tensor], progress: Progress, evaluation: Evaluation | None) -> None:
        """Save the state of the run as it is now, while training goes on."""
        seen = self.sitting.diagnosis.seen()
        self.sitting.checkpointing.save(tensors | seen, progress, self.sitting.cost.seconds, evaluation)

    def settled(self) -> None:
        """Count the time since `due` named something: turns go on, unless a checkpoint could not be written."""
        self.writer.check()
        self.sitting.cost.resume()
        self.sitting.pricing.go_on()

    # End

    def finish(self, progress: Progress, why: str | None, evaluation: Evaluation | None) -> Outcome:
        """Close a run that finished, or was stopped for the reason `why`, and say where its results are."""
        self.writer.wait()
        best = None if evaluation is None else evaluation.follower.best
        figures = lasting(self.sitting.board.last, None if best is None else best["metric"])
        ending, animation = Ending.of(why), None
        if ending.finished:
            settings = hyperparameters(self.plan.config)
            self.sitting.board.hparams(settings, figures, told_apart(settings, differing(self.dir)))
            animation = self.sitting.gallery.animate()
        self.telling.hide()
        self.standing.end(ending.status, ending.reason(progress))
        for line in ending.sentences(self.dir, progress, self.sitting, animation, evaluation):
            self.telling.say(line)
        return Outcome(ending.status, self.dir, figures, None if best is None else best["value"])

    def __exit__(self, kind, error, trace) -> None:
        self.telling.hide()
        unwritten = self.writer.close()
        if unwritten is not None:
            self.telling.error(str(unwritten))
        self.opened.close()
        if error is not None and self.standing.break_off(error, None if self._sitting is None else self._sitting.diagnosis):
            self.telling.error("".join(traceback.format_exception(kind, error, trace)))
        try:
            self.standing.write()
        except OSError as failure:  # a full disk: the error that ended the run says more
            self.telling.error(f"{STATUS} could not be written: {failure}")
        self.telling.close()
