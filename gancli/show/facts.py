"""What there is to see of a run: paths, how it stands, and the commands that come next; read without trust in its files."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from gancli.compare.reading import Run, read_run
from gancli.runs.checkpoint import CheckpointFolder
from gancli.runs.config import at, printable, read_config
from gancli.runs.files import EVALUATION, LOG, SAMPLES, STATS, STATUS
from gancli.runs.find import OUTPUTS, find_run
from gancli.runs.next_steps import unquoted, words_of
from gancli.runs.records import Damaged, read_json

NOT_REPEATED = ("run_dir=", "resume=", "hydra.")  # overrides that say where and not what
MORE = {"sample": "new samples", "translate": "translations", "upscale": "enlarge", "inpaint": "fill holes", "blend": "blend",
        "reconstruct": "reconstructions"}


@dataclass(frozen=True)
class Facts:
    """A run and what lies in its folder."""

    run: Run
    config: dict[str, Any]  # nested
    protocols: dict[str, Any]  # of the best checkpoint's figures, by name

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self.run.path

    @property
    def kimg(self) -> float:
        """Thousands of real images shown."""
        return self.run.status.images / 1000

    @property
    def title(self) -> str:
        """The model and the data in words."""
        return f"{at(self.config, 'model', 'name')} on {at(self.config, 'dataset', 'name')}"

    def last_picture(self) -> Path | None:
        """Return the newest grid, or text, of the samples (else of whatever was drawn)."""
        if self.run.grids:
            there = self.run.grids.get("samples") or self.run.grids[min(self.run.grids)]
            return there[max(there)]
        texts = sorted((self.path / SAMPLES).glob("*kimg-*.txt"))
        return texts[-1] if texts else None

    def checkpoint(self) -> tuple[str, Path] | None:
        """Return the checkpoint that commands take, and whether it is the best or the last."""
        folder = CheckpointFolder(self.path)
        best, saved = folder.best(), folder.list()
        if best is not None:
            return "best checkpoint", best
        return ("last checkpoint", saved[-1]) if saved else None

    def paths(self) -> Iterator[tuple[str, Path]]:
        """Yield what there is to open, by name."""
        picture, film = self.last_picture(), sorted((self.path / SAMPLES).glob("*progress.gif"))
        if picture is not None:
            yield "last grid" if picture.suffix == ".png" else "last texts", picture
        if film:
            yield "film", film[-1]
        checkpoint = self.checkpoint()
        if checkpoint is not None:
            yield checkpoint
        for label, name in (("status", STATUS), ("figures", STATS), ("protocols", EVALUATION), ("log", LOG)):
            if (self.path / name).is_file():
                yield label, self.path / name

    def repeated(self, elsewhere: bool = False) -> str:
        """Return the command that trains such a run again, as a shell takes it.

        Args:
            elsewhere: on other machines: without data_dir=, and of paths the last name alone.
        """
        left_out = (*NOT_REPEATED, "data_dir=") if elsewhere else NOT_REPEATED
        words = [unquoted(printable(word)) for word in self.run.status.overrides if not word.startswith(left_out)]
        return shlex.join(["gan", "train", *(_elsewhere(word) if elsewhere else word for word in words)])

    def commands(self) -> Iterator[tuple[str, str]]:
        """Yield what can be typed next, with what it is for."""
        name, status = shlex.quote(str(self.path)), self.run.status
        if self.checkpoint() is not None:
            words = words_of(status.next, name)
            if words:
                yield MORE[words[1]], " ".join(words)
            if status.measurable:
                yield "measure", f"gan evaluate ckpt={name}"
            if status.status in ("stopped", "killed", "failed"):
                yield "go on", f"gan train resume={name}"
        yield "what is wrong", f"gan diagnose {name}"
        yield "curves", f"tensorboard --logdir {name}"
        yield "repeat", self.repeated()


def _elsewhere(word: str) -> str:
    """Return an override with a path's last name in place of the path."""
    key, _, value = word.partition("=")
    return f"{key}={PurePath(value).name}" if value.startswith(("/", "~", ".")) else word


def look_at(text: str, root: Path | str = OUTPUTS) -> Facts:
    """Return what there is to see of the run that `text` names.

    Raises:
        UserError: no such run.
    """
    path = find_run(text, root)
    try:
        protocols = read_json(path / EVALUATION)
    except (OSError, Damaged):
        protocols = {}
    return Facts(read_run(path), read_config(path), protocols)


def lines(facts: Facts) -> Iterator[tuple[str, str]]:
    """Yield what `gan show` prints: how the run stands, what is wrong with it, paths, and commands."""
    run, status = facts.run, facts.run.status
    why = f": {status.why}" if status.why else ""
    yield "run", f"{run.id}, {facts.title}, {facts.kimg:g} kimg, {status.status}{why}"
    if status.best:
        best = status.best
        yield "best", f"{best.get('metric')} {_number(best.get('value'))} after {(best.get('images') or 0) / 1000:g} kimg"
    for alarm in status.alarms:
        yield "alarm", " ".join(str(alarm[key]) for key in ("name", "evidence", "advice") if alarm.get(key))
    yield from ((label, str(path)) for label, path in facts.paths())
    yield from facts.commands()


def _number(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, (int, float)) else "not finite"
