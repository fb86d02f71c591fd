"""The record of a run: directory, status, log, figures, pictures and checkpoints, and what the screen shows."""

import json
import logging
import shlex
import sys
import time
import traceback
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import torch
from omegaconf import OmegaConf
from torch import Tensor

from gancli.devices import describe_device
from gancli.engine.averages import Average
from gancli.engine.plan import Outcome, Plan
from gancli.engine.players import Player
from gancli.engine.recording.diagnosis import Diagnosis
from gancli.engine.recording.evaluation import Evaluation, Exhausted
from gancli.engine.recording.gallery import Gallery
from gancli.engine.recording.saving import Writer, snapshot
from gancli.errors import UserError
from gancli.game.model import Model, Progress
from gancli.monitor.board import Board, tag_of
from gancli.monitor.screen import Screen, summary
from gancli.monitor.terminal import tell
from gancli.ranks.shards import LostRank
from gancli.runs.atomic import write_json, write_text
from gancli.runs.checkpoint import CheckpointFolder
from gancli.runs.config import flat
from gancli.runs.directory import provenance
from gancli.runs.provenance import write_provenance
from gancli.runs.stats import FILE as STATS
from gancli.runs.stats import keep_until
from gancli.runs.status import Status, read_status, write_status

log = logging.getLogger("gancli")


class Record:
    """Everything a run leaves behind; entering it creates the directory, leaving it writes how the run ended."""

    def __init__(self, plan: Plan, device: torch.device, precision: str) -> None:
        self.plan, self.device, self.precision = plan, device, precision
        self.dir = plan.run_dir
        self.folder = CheckpointFolder(self.dir)
        self.status = Status.begin(plan.overrides)
        self.screen: Screen | None = None
        self.board: Board | None = None
        self.diagnosis: Diagnosis | None = None
        self.writer = Writer()
        self.seconds_before = 0.0  # of training in earlier sittings
        self.recording_s = 0.0  # of this sitting, spent on everything but turns

    # Beginning

    def __enter__(self) -> "Record":
        earlier = read_status(self.dir)
        if earlier is not None:
            self.status = replace(self.status, started=earlier.started, images=earlier.images, figures=earlier.figures,
                                  best=earlier.best, alarms=earlier.alarms)
        try:
            self.dir.mkdir(parents=True, exist_ok=True)
            write_status(self.dir, self.status)
            write_text(self.dir / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(self.plan.config)))
            write_text(self.dir / "overrides.yaml", OmegaConf.to_yaml(OmegaConf.create(self.plan.overrides)))
        except OSError as error:
            raise UserError(f"{self.dir} cannot be written: {error.strerror}. Give another run_dir=.") from None
        self.log_file = logging.FileHandler(self.dir / "log.txt", encoding="utf-8")
        self.log_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.setLevel(logging.INFO)
        log.propagate = False
        log.addHandler(self.log_file)
        self.say(f"Run directory: {_shown(self.dir)}")
        ranks = f"{self.plan.ranks} ranks, the first on " if self.plan.ranks > 1 else ""
        self.say(f"Device: {ranks}{describe_device(self.device)}, precision {self.precision}")
        for notice in self.plan.notices:
            self.say(notice)
        return self

    def say(self, text: str) -> None:
        """Put a line on the screen and into the log."""
        log.info(text)
        if self.screen is not None:
            self.screen.say(text)
        else:
            tell(text)

    def loading(self, done: int, total: int) -> None:
        """Show how far decoding is."""
        if self.screen is None:
            self.screen = Screen("decoding", total, unit="images", scale=1)
        self.screen.update(done)
        if done >= total:
            self._close_screen()

    def working(self, label: str, done: int, total: int) -> None:
        """Show how far an evaluation is, or what it needs before training begins."""
        if self.board is not None:
            self.screen.describe(f"{label} {done:,}/{total:,}")
            return
        if self.screen is None or self.screen.label != label:
            self._close_screen()
            self.screen = Screen(label, total, unit="", scale=1)
        self.screen.update(done)

    def describe_data(self, data) -> None:
        """Record which data these are."""
        self._close_screen()
        spec, self.data_fingerprint = data.spec, data.fingerprint
        self.say(f"Data: {self.plan.dataset['name']}, {spec.describe()}")
        for note in data.notes:
            self.say(note)
        write_provenance(self.dir, provenance(describe_device(self.device), self.plan.seed, data.fingerprint))

    def start(self, model: Model, average: Average | None, players: dict[str, Player], data, progress: Progress) -> None:
        """Open the board and the screen; training begins."""
        self._close_screen()
        self.model, self.spec = model, data.spec
        for name, player in players.items():
            count = sum(parameter.numel() for parameter in player.parameters)
            self.say(f"{name.capitalize()}: {count:,} parameters, {self.plan.optimizer.name}, lr {player.base_lr:g}")
        passes = progress.total / data.spec.count
        self.say(f"Length: {progress.total / 1000:g} kimg ({passes:.1f} passes over the data), batch "
                 f"{self.plan.trainer.batch_size}")
        self.gallery = Gallery(self.dir, model, average, data, self.plan.seed)
        keep_until(self.dir / STATS, progress.images)  # what came after the checkpoint comes again
        self.board = Board(self.dir, progress.images)
        self.diagnosis = Diagnosis(self.dir, self.plan.config, model, average, data, self.plan.seed)
        if progress.images:
            self.say(f"Continuing from {progress.kimg:g} of {progress.total / 1000:g} kimg")
        self.screen = Screen("training", progress.total, progress.images)
        self.last_time = self.start_time = time.monotonic()
        self.last_images = progress.images
        if not progress.images:
            self.pictures(progress)

    # During training

    def due(self, progress: Progress, shown: int, stopping: bool) -> set[str]:
        """Return what is to be recorded after a round that showed so many images; everything at the end of the run.

        Figures are recorded with everything else, too: the means are those since the last time.
        """
        trainer = self.plan.trainer
        every = {"figures": trainer.record_kimg, "pictures": trainer.sample_kimg, "checkpoint": trainer.checkpoint_kimg}
        if self.plan.evaluation.on:
            every["evaluation"] = self.plan.evaluation.kimg
        before, now = progress.images - shown, progress.images
        due = {name for name, kimg in every.items() if now >= progress.total or
               int(now // (1000 * kimg)) > int(before // (1000 * kimg))}
        if stopping:
            due.add("checkpoint")
        if due:
            self.paused_at = time.monotonic()
        return due

    def settled(self) -> None:
        """Count the time since `due` named something: turns go on, unless a checkpoint could not be written."""
        self.writer.check()
        self.recording_s += time.monotonic() - self.paused_at

    def figures(self, figures: dict[str, float], progress: Progress) -> None:
        """Record the means since the last tick."""
        now = time.monotonic()
        tags = {tag_of(name): value for name, value in figures.items()}
        tags["speed/images_per_s"] = (progress.images - self.last_images) / max(now - self.last_time, 1e-9)
        tags["time/training_s"] = self._seconds()
        tags["time/recording_s"] = self.recording_s
        tags["memory/peak_gib"] = _peak_bytes(self.device) / 2**30
        self.last_time, self.last_images = now, progress.images
        tags = self.diagnosis.judge(progress.images, tags)
        self.board.figures(progress.images, tags)
        for finding in self.diagnosis.new:
            self.say(finding.sentence)
            self.board.text(finding.tag, progress.images, f"{finding.evidence} {finding.advice}")
        for name in self.diagnosis.over:
            self.say(f"Diagnosis: {name} is over.")
        self.screen.update(progress.images, summary(tags, self.diagnosis.names))
        self.status = replace(self.status, images=progress.images, figures=self.board.last, alarms=self.diagnosis.alarms)

    def pictures(self, progress: Progress) -> None:
        """Record what the model makes of the fixed latents and data."""
        for name, picture in self.gallery.hang(progress.images).items():
            self.board.picture(name, progress.images, picture)
        if progress.images:  # an untrained generator has no failure to show
            self.diagnosis.look(progress)

    def checkpoint(self, tensors: dict[str, Tensor], progress: Progress, evaluation: Evaluation | None) -> None:
        """Save the state of the run as it is now, mark it if it is the best, and remove what the policy does not keep.

        The disk's part is done while training goes on; a failure there ends the run at a later tick.
        """
        follower = None if evaluation is None else evaluation.follower
        header = deepcopy({"config": self.plan.config, "spec": self.spec.as_dict(),
                           "progress": {"images": progress.images, "rounds": progress.rounds, "turns": progress.turns},
                           "extra": {"data_fingerprint": self.data_fingerprint, "training_s": self._seconds(),
                                     "best": None if follower is None else follower.state}})
        is_best = follower is not None and follower.best is not None and follower.best["images"] == progress.images
        if is_best:
            self.status = replace(self.status, best=follower.best)
        images, tensors, status = progress.images, snapshot(tensors), self.status
        protocols = deepcopy(evaluation.protocols) if is_best else None

        def write() -> None:
            path = self.folder.save(images, tensors, header)
            if is_best:
                self.folder.mark_best(path)
                write_json(self.dir / "evaluation.json", protocols)
            self.folder.prune(self.plan.trainer.keep)
            write_status(self.dir, status)

        self.writer.start(write)

    # End

    def finish(self, progress: Progress, why: str | None, evaluation: Evaluation | None) -> Outcome:
        """Close a run that finished, or was stopped for the reason `why`, and say where its results are."""
        self.writer.wait()
        early, why = (why, None) if isinstance(why, Exhausted) else ("", why)
        follower = None if evaluation is None else evaluation.follower
        figures = {tag: value for tag, value in self.board.last.items() if not tag.startswith(("lr/", "memory/"))}
        status = "finished" if why is None else "stopped"
        if why is None:
            self.board.hparams(_hyperparameters(self.plan.config), figures)
            animation = self.gallery.animate()
        self._close_screen()
        self.status = self.status.end(status, early if why is None else f"{why} after {progress.kimg:g} kimg")
        if why is None:
            share = self.recording_s / max(time.monotonic() - self.start_time, 1e-9)
            ended = f": {early}" if early else ""
            self.say(f"Finished {progress.kimg:g} kimg in {self._seconds():.0f} s{ended}; {share:.1%} of this sitting was "
                     "recording and measuring.")
            self.say(f"Last grid:  {_shown(self.gallery.last)}")
            if animation is not None:
                self.say(f"Animation:  {_shown(animation)}")
            self.say(f"Sample it:  gan sample ckpt={_shown(self.dir)}")
            if follower is not None and follower.state is not None:
                self.say(f"{follower.summary()[:1].upper()}{follower.summary()[1:]}.")
        else:
            self.say(f"Stopped by {why} at {progress.kimg:g} kimg; saved.")
        objective = None if follower is None or follower.best is None else follower.best["value"]
        return Outcome(status, self.dir, figures, objective)

    def __exit__(self, kind, error, trace) -> None:
        self._close_screen()
        unwritten = self.writer.close()
        if unwritten is not None:
            log.error("%s", unwritten)
        if self.board is not None:
            self.board.close()
        if isinstance(error, KeyboardInterrupt):
            self.status = self.status.end("stopped", "interrupted at once; what came after the last checkpoint is lost")
        elif isinstance(error, LostRank) and (said := read_status(self.dir)) is not None and said.status == "failed":
            self.status = said  # the rank that failed has written why
        elif error is not None:
            if self.diagnosis is not None:
                self.diagnosis.ended(error)
                self.status = replace(self.status, alarms=self.diagnosis.alarms)
            self.status = self.status.end("failed", str(error).splitlines()[0] if str(error) else kind.__name__)
            log.error("".join(traceback.format_exception(kind, error, trace)))
        try:
            write_status(self.dir, self.status)
        except OSError as failure:  # a full disk: the error that ended the run says more
            log.error("status.json could not be written: %s", failure)
        log.removeHandler(self.log_file)
        self.log_file.close()

    def _seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self.start_time

    def _close_screen(self) -> None:
        if self.screen is not None:
            self.screen.close()
            self.screen = None


def _shown(path: Path) -> str:
    """Return the path as a person would type it: relative where that is inside the launch directory."""
    try:
        return shlex.quote(str(path.relative_to(Path.cwd())))
    except ValueError:
        return shlex.quote(str(path))


def _peak_bytes(device: torch.device) -> int:
    """Return the most memory held so far: of the GPU, or of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _hyperparameters(config: dict) -> dict:
    """Return what a configuration says by dotted keys, lists as text, as the board takes it."""
    return {key: json.dumps(value) if isinstance(value, list) else value for key, value in flat(config).items()
            if value not in (None, {})}
