"""`gan lab NAME`: from the composed values to the files of one experiment; everything is checked before anything is made."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from gancli.config.groups import options as described
from gancli.devices import start_quickly
from gancli.errors import UsageError, check_range
from gancli.lab.frame.result import Result
from gancli.lab.frame.writing import write
from gancli.options import typed

FOLDER = Path("outputs/lab")
FRAME = ("name", "out", "overwrite")


@dataclass
class FrameOptions:
    """What every experiment has beside its own options; the defaults stand in conf/lab.yaml."""

    name: str
    out: str | None  # a folder; None: a new one under outputs/lab
    overwrite: bool


@dataclass
class LabOptions:
    """What every experiment's own options begin with."""

    seed: int

    def __post_init__(self) -> None:
        check_range("seed", self.seed, 0)


@dataclass(frozen=True)
class Done:
    """An experiment that has run."""

    name: str
    claim: str
    result: Result
    files: list[Path]  # the page first
    seconds: float


def checked(values: Mapping[str, Any]) -> tuple[FrameOptions, Any]:
    """Return the frame's and the experiment's options.

    Raises:
        UsageError: a value is wrong, or the folder is taken; nothing has been made.
    """
    frame = typed(FrameOptions, {key: values[key] for key in FRAME}, "")
    module = import_module(f"gancli.lab.{frame.name}")
    options = typed(module.Options, {key: value for key, value in values.items() if key not in FRAME}, "")
    if frame.out is not None:
        folder = Path(frame.out)
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder} is a file: give out= a folder.")
        if folder.is_dir() and any(folder.iterdir()) and not frame.overwrite:
            raise UsageError(f"{folder} holds files already: give another out=, or overwrite=true to replace them.")
    return frame, options


def run(values: Mapping[str, Any], job_folder: Path | None = None) -> Done:
    """Run an experiment and write its files.

    Args:
        values: conf/lab.yaml with conf/lab/NAME.yaml, composed and resolved.
        job_folder: of a sweep's job; its files go there.
    """
    if job_folder is not None and values["out"] is not None:
        raise UsageError("With -m every job has a folder of its own: leave out= out, or give hydra.sweep.dir=.")
    frame, options = checked(values)
    claim = described("lab").get(frame.name, "")
    folder = job_folder or (Path(frame.out) if frame.out is not None else new_folder(frame.name))
    start_quickly()
    started = time.perf_counter()
    result = import_module(f"gancli.lab.{frame.name}").experiment(options)
    seconds = time.perf_counter() - started
    own = {key: value for key, value in values.items() if key not in FRAME}
    files = write(folder, frame.name, claim, own, result, seconds)
    return Done(frame.name, claim, result, files, time.perf_counter() - started)


def new_folder(name: str) -> Path:
    """Return outputs/lab/<UTC time>-<6 hex>-<name>."""
    return FOLDER / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}-{name}"
