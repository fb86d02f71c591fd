"""A sweep from its command line: checked, launched, stopped, and continued by the same command or resume=FOLDER."""

import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gancli.config.calling import call_hydra
from gancli.config.compose import Swept
from gancli.config.paths import quote
from gancli.errors import UsageError, UserError
from gancli.monitor.terminal import tell
from gancli.ranks.nodes import srun_place
from gancli.runs.config import printable
from gancli.runs.files import STATUS
from gancli.runs.find import OUTPUTS
from gancli.runs.locks import try_lock
from gancli.runs.status import Status, read_status
from gancli.runs.sweeps import FILE, SweepRecord, find_sweep, job_folder, job_folders, key_of, read_sweep
from gancli.sweeps import slurm
from gancli.sweeps.allowed import stored_overrides
from gancli.sweeps.disk import disk_sentence
from gancli.sweeps.jobs import APART
from gancli.sweeps.keeping import kept_best
from gancli.sweeps.matching import changeable, differences
from gancli.sweeps.tending import Tending, tended

SWEEPS = Path(OUTPUTS) / "sweep"
LOCK = ".lock"
BEGINNINGS = {FILE, LOCK, "multirun.yaml", "study.db"}  # what a sweep leaves in which no job has begun
NO_BEST = ("No trials are completed", "Record does not exist")  # Optuna after a study without a value; the table says why
SETTLE_S = 60.0  # jobs that outlive their workers may take so long to save


@dataclass
class Sweep:
    """What a multirun left behind."""

    path: Path
    jobs: dict[Path, Status]  # by run directory, in the order of the jobs
    interrupted: bool
    metric: str  # what the jobs' objectives are
    lower_is_better: bool
    kept: dict[str, str] = field(default_factory=dict)  # folder -> finished or running, of jobs not launched this time


def sweep(task: Callable[[Any], Any], config_name: str, overrides: list[str], flags: list[str],
          config_dir: Path | None) -> Sweep:
    """Check that every choice composes, launch the jobs that have not finished, and collect what all have left.

    Raises:
        UsageError: the command line does not compose; nothing has been created.
        UserError: the folder holds other files or another sweep, or one that is running.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ or srun_place(os.environ) is not None:
        raise UsageError("torchrun and srun start the ranks of one run and --multirun starts many runs: leave them out and "
                         "let devices= give each run its ranks, or start the runs one by one.")
    from gancli.config.compose import check_sweep
    from gancli.sweeps.studies import objective

    swept = check_sweep(config_name, overrides, config_dir)
    ranges = [key for key, values in swept.values.items() if not values]
    if ranges and swept.choice("hydra/sweeper") == "basic":
        raise UsageError(f"{ranges[0]}=interval(...) is sampled, not listed: add hydra/sweeper=optuna, or give the values, "
                         f"{ranges[0]}=a,b.")
    metric, lower = objective(swept.cfg)
    if swept.choice("hydra/launcher") == slurm.LAUNCHER:
        slurm.check(swept.cfg.hydra.launcher)
    best = kept_best(swept)
    folder = swept.folder
    if folder == SWEEPS:
        folder /= sweep_name()
    if folder.is_relative_to(Path.cwd()):
        folder = folder.relative_to(Path.cwd())
    record = _record(folder, config_name, overrides, config_dir, list(swept.values))
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        with _locked(folder):
            told = disk_sentence(swept, overrides, config_dir, folder, best)
            if told is not None:
                tell(told)
            tending = Tending(folder, swept.count, record.started, lambda: read_jobs(folder), lower, best)
            interrupted, kept = _launch(task, overrides, flags, folder, record, swept, tending)
            tending.look(tending.verdict(interrupted))
    finally:
        _remove_empty(folder, missing)
    return Sweep(folder, read_jobs(folder) if folder.is_dir() else {}, interrupted, metric, lower, kept)


def continued_sweep(config_name: str, overrides: list[str], config_dir: Path | None = None) -> list[str] | None:
    """Return the overrides with which `resume=SWEEP` and more continue that sweep; None where they name no sweep.

    What is given beside resume= replaces what the sweep's command said; what its record may say is told by
    gancli.sweeps.allowed, and options of one's own (--config-dir) are given again.
    """
    given = [override for override in overrides if override.startswith("resume=")]
    if len(given) != 1:
        return None
    text = given[0].partition("=")[2].strip("'\"")
    folder = find_sweep(os.path.expanduser(text), OUTPUTS)
    if folder is None:
        return None
    from gancli.config.compose import compose

    record = read_sweep(folder)
    if record is None or record.config_name != config_name:
        raise UserError(f"{folder / FILE} is not the record of a sweep of gan {config_name}.")
    more = [override for override in overrides if override not in given]
    if any(key_of(override) == "hydra.sweep.dir" for override in more):
        raise UsageError("resume= continues a sweep where it lies: leave hydra.sweep.dir= out.")
    if record.config_dir is not None and config_dir is None:
        raise UserError(f"The sweep {folder.name} was started with a folder of options: give --config-dir again (the record "
                        f"says {printable(record.config_dir)}), if you trust what lies there.")
    for name in record.jobs:
        job_folder(folder, name)
    new = {key_of(override) for override in more}
    stored = stored_overrides(folder, record, lambda key: key in new or (
        "hydra/launcher" in new and key.startswith("hydra.launcher.")),  # those were another launcher's
        {str(key) for key in compose(config_name, [])})
    return [*stored, *more, f"hydra.sweep.dir={folder.absolute()}"]


def sweep_name(now: datetime | None = None) -> str:
    """Return <UTC time>-<6 hex>, a name that sweeps started in one second do not share."""
    return f"{now or datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def read_jobs(folder: Path) -> dict[Path, Status]:
    """Return the status of each of a sweep's jobs; `not started` for one that has left no record."""
    record = read_sweep(folder)
    jobs = {} if record is None else record.jobs
    waiting = {folder / name: Status("not started", overrides=overrides) for name, overrides in jobs.items()}
    return {path: read_status(path) or waiting[path] for path in job_folders(folder)}


def _record(folder: Path, config_name: str, overrides: list[str], config_dir: Path | None,
            swept: list[str]) -> SweepRecord:
    """Return the record of the sweep in `folder` that this command continues, or a new one."""
    record = read_sweep(folder)
    if record is None:
        if folder.is_dir() and any(path.name not in BEGINNINGS for path in folder.iterdir()):
            raise UsageError(f"{folder} holds other files: give hydra.sweep.dir= a new folder.")
        return SweepRecord(config_name, [], None if config_dir is None else str(Path(config_dir).absolute()))
    found = differences(record.overrides, overrides, swept)
    if found or record.config_name != config_name:
        raise UsageError(f"{folder} holds another sweep: {'; '.join(found) or f'of gan {record.config_name}'}. Give "
                         f"hydra.sweep.dir= a new folder, or continue that one with resume={folder}.")
    return record


def _launch(task: Callable[[Any], Any], overrides: list[str], flags: list[str], folder: Path, record: SweepRecord,
            swept: Swept, tending: Tending) -> tuple[bool, dict[str, str]]:
    """Launch what is open; return whether that was interrupted, and the jobs that were not launched."""
    from gancli.sweeps.launchers import at_once, cost, launcher_overrides, shared_machine
    from gancli.sweeps.launching import Session, resuming
    from gancli.sweeps.studies import study_overrides

    given = {key_of(override) for override in overrides}
    jobs, launcher = at_once(swept, given), swept.choice("hydra/launcher")
    defaults, forced = launcher_overrides(swept, jobs, given), [f"hydra.sweep.dir={quote(str(folder))}"]
    if swept.choice("hydra/sweeper") == "optuna":
        study, trials = study_overrides(swept, folder, jobs, given)
        if not trials:
            return False, {name: "finished" for name in record.jobs}
        defaults += study
        forced.append(f"hydra.sweeper.n_trials={trials}")
    finished = sum(status.status == "finished" for status in read_jobs(folder).values())
    known = f"; {finished} of them finished before" if finished else ""
    tell(f"Sweep {folder}: {cost(swept, jobs)}{known}.")
    ignored = changeable([*overrides, *record.overrides], list(swept.values))
    record.overrides = [override for override in overrides if key_of(override) != "hydra.sweep.dir"]
    if launcher == slurm.LAUNCHER:
        slurm.clear(folder)
    with _stopping(folder, launcher) as stop_asked, shared_machine(swept, jobs):
        session = Session(folder, record, launcher, jobs, stop_asked, ignored)
        with resuming(session), tended(tending):
            interrupted = _call(task, record.config_name, [*flags, *defaults, *overrides, *forced])
        interrupted = interrupted or stop_asked()
        if interrupted or any(status.status == "running" for status in read_jobs(folder).values()):
            _settle(folder, session.kept)
    return interrupted, session.kept


def _call(task: Callable[[Any], Any], config_name: str, arguments: list[str]) -> bool:
    """Call Hydra; return whether it was interrupted."""
    try:
        call_hydra(task, config_name, arguments)
    except KeyboardInterrupt:
        return True
    except (ValueError, KeyError) as error:
        if not any(text in str(error) for text in NO_BEST):
            raise
    return False


@contextmanager
def _stopping(folder: Path, launcher: str) -> Iterator[Callable[[], bool]]:
    """Handle Ctrl-C and SIGTERM as the launcher's processes need it; yield what tells whether they came."""
    from gancli.sweeps.stopping import StopFile, terminate_as_interrupt

    if launcher in APART:
        with StopFile(folder) as stop:
            yield lambda: stop.asked
    else:
        with terminate_as_interrupt():
            yield lambda: False


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other commands out of the sweep's folder."""
    try:
        lock = try_lock(folder / LOCK)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}. Give another hydra.sweep.dir=.") from None
    if lock is None:
        raise UserError(f"The sweep in {folder} is running: stop it first.")
    with lock:
        yield


def _settle(folder: Path, kept: dict[str, str]) -> None:
    """Wait for jobs of this host that outlived their workers and are saving."""
    deadline = time.monotonic() + SETTLE_S
    while time.monotonic() < deadline and any(
            status.status == "running" and status.is_local and str(path.relative_to(folder)) not in kept
            for path, status in read_jobs(folder).items()):
        time.sleep(0.2)


def _remove_empty(folder: Path, created: list[Path]) -> None:
    """Remove a sweep directory in which no job has begun, and the parents that were made for it."""
    if created and folder.is_dir() and {path.name for path in folder.iterdir()} <= BEGINNINGS | {STATUS}:
        for path in folder.iterdir():
            path.unlink()
        for path in created:
            path.rmdir()
