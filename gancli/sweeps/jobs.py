"""A command's task as Hydra runs it: alone, or as one of many jobs of a sweep of which some may fail."""

import functools
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from gancli import waiting
from gancli.config.resume import Finished
from gancli.errors import UsageError, UserError
from gancli.runs.files import LOG
from gancli.runs.status import Status, read_status, write_status
from gancli.sweeps.isolation import CONSOLE, STOP, run_isolated
from gancli.sweeps.machine import gpu_environment, one_free_gpu
from gancli.sweeps.matching import lengths
from gancli.sweeps.warned import Warned, queue_again

APART = ("joblib", "submitit_local", "submitit_slurm", "ray")  # launchers whose workers give each job a process of its own
POOLED = ("joblib",)  # of them, those whose workers run many jobs each


class Stopped(UserError):
    """A run was stopped by SIGTERM or Ctrl-C after it had saved; `resume=` continues it."""

    exit_code = 3
    silent = True


class Carried(BaseException):
    """Takes an exception of a single run's task past Hydra, which would print a line of its own for it."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def job(task: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Decorate a module-level task(cfg): a failing job of a sweep is recorded in its directory and ends alone.

    Jobs return None after a failure instead of raising, since Hydra's sweepers drop what has not been
    launched yet as soon as one return value is an exception.
    """

    @functools.wraps(task)
    def run(cfg: Any) -> Any:
        from gancli.config import resolvers

        resolvers.register()
        _replace_loky()
        waiting.choose()
        folder = job_dir()
        if folder is not None:
            return _run_apart(run, cfg, folder) if launcher() in APART else _run_in_turn(task, cfg, folder)
        try:
            _check_values(cfg)
            return task(cfg)
        except Exception as error:
            raise Carried(error) from None

    return run


def overrides() -> list[str]:
    """Return the overrides of the job that is running, as the user gave them (paths absolute)."""
    from hydra.core.hydra_config import HydraConfig

    return [str(override) for override in HydraConfig.get().overrides.task]


def job_dir() -> Path | None:
    """Return the directory of the sweep's job that is running, None in a single run."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    hydra = HydraConfig.get()
    return Path(hydra.runtime.output_dir) if hydra.mode == RunMode.MULTIRUN else None


def launcher() -> str | None:
    """Return the name of the launcher of the job that is running."""
    from hydra.core.hydra_config import HydraConfig

    return HydraConfig.get().runtime.choices.get("hydra/launcher")


def run_here(task: Callable[[Any], Any], cfg: Any) -> int:
    """Run one job of a sweep, `task` as `job` decorated it, in this process that is only for it; return its exit code."""
    from gancli.config import resolvers

    resolvers.register()
    folder = job_dir()
    try:
        _run_in_sweep(task.__wrapped__, cfg, folder)
    except KeyboardInterrupt:
        return Stopped.exit_code
    status = read_status(folder)
    return {"finished": 0, "stopped": Stopped.exit_code}.get(status.status if status else "", 1)


def _run_in_turn(task: Callable[[Any], Any], cfg: Any, folder: Path) -> Any:
    """Run one of the jobs that follow each other in this process."""
    print(f"[{folder.name}] {' '.join(overrides())}", flush=True)
    with one_free_gpu(cfg):
        return _run_in_sweep(task, cfg, folder)


def _run_apart(task: Callable[[Any], Any], cfg: Any, folder: Path) -> float | None:
    """Run one job of a sweep in a process of its own, so that its death is its own; return its objective."""
    from hydra.core.hydra_config import HydraConfig

    stop = Path(str(HydraConfig.get().sweep.dir)) / STOP
    if stop.exists():
        return None
    before = read_status(folder)
    if before is not None and before.status == "finished" and lengths(before.overrides) == lengths(overrides()):
        return before.objective  # queued once more by a sweep that was killed before it could note it
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it reaches every process of a terminal, and the first one tells the others
    with Warned() as warned, gpu_environment(cfg, HydraConfig.get().job.num) as environment:
        where = f" (GPU {environment['CUDA_VISIBLE_DEVICES']})" if environment.get("CUDA_VISIBLE_DEVICES") else ""
        print(f"[{folder.name}] {' '.join(overrides())}{where}", flush=True)
        code = run_isolated(task, cfg, folder, lambda: warned.told or stop.exists(), environment,
                            forked=launcher() in POOLED)
    status = read_status(folder)
    if status is None:
        ending = ("stopped", "told to stop before it began") if warned.told or stop.exists() else (
            "failed", f"it ended with exit code {code} before it began; see {CONSOLE}")
        status = Status.begin(overrides()).end(*ending)
        write_status(folder, status)
    why = f": {status.why}" if status.why else ""
    print(f"[{folder.name}] {status.status}{why}", flush=True)
    if status.status in ("stopped", "killed") and not stop.exists():
        queue_again(warned, folder, before, status)
    return status.objective if status.status == "finished" else None


def _run_in_sweep(task: Callable[[Any], Any], cfg: Any, folder: Path) -> Any:
    """Run one job of a sweep in this process; record its objective, or its failure, in `folder`."""
    try:
        _check_values(cfg)
        objective = task(cfg)
        status = read_status(folder)
        if objective is not None and status is not None and status.objective is None:
            write_status(folder, replace(status, objective=objective))
        return objective
    except Finished:  # by the job of a sweep that was killed, since this one was launched
        status = read_status(folder)
        return None if status is None else status.objective
    except Stopped:
        raise KeyboardInterrupt from None
    except KeyboardInterrupt:
        _record(folder, "stopped", "interrupted before it could save", "")
        raise
    except Exception as error:
        why = f"{error}" if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        _record(folder, "failed", why, traceback.format_exc())
        print(f"[{folder.name}] failed: {why}", file=sys.stderr, flush=True)
    return None


def _check_values(cfg: Any) -> None:
    """Raise a UsageError for an interpolation that leads nowhere."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        OmegaConf.to_container(cfg, resolve=True)
    except OmegaConfBaseException as error:
        raise UsageError(f"{error.full_key}: {str(error).splitlines()[0]}.") from None


def _record(folder: Path, status: str, why: str, trace: str) -> None:
    """Write what the engine has not written itself: status.json, and the traceback in log.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    known = read_status(folder)
    own = known is not None and known.pid == os.getpid()
    ended = known is not None and (known.status in (status, "finished") if own else known.status == "running")
    if ended:
        return  # the engine has recorded it, or the run is another process's
    begun = Status.begin(overrides())
    if known is not None:
        begun = replace(begun, started=known.started, images=known.images, figures=known.figures, best=known.best,
                        alarms=known.alarms)
    write_status(folder, begun.end(status, why))
    if trace:
        with open(folder / LOG, "a", encoding="utf-8") as file:
            file.write(trace)


def _replace_loky() -> None:
    """Leave joblib's start method, under which loader workers and spawned ranks die."""
    if multiprocessing.get_start_method(allow_none=True) == "loky":
        multiprocessing.set_start_method("spawn", force=True)
