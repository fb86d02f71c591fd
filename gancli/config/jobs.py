"""A command's task as Hydra runs it: alone, or as one of many jobs of a sweep of which some may fail."""

import functools
import multiprocessing
import secrets
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gancli.errors import UsageError, UserError
from gancli.runs.status import FILE as STATUS_FILE
from gancli.runs.status import Status, read_status, write_status

LOG_FILE = "log.txt"


class Stopped(UserError):
    """A run was stopped by SIGTERM or Ctrl-C after it had saved; `resume=` continues it."""

    exit_code = 3


class Carried(BaseException):
    """Takes an exception of a single run's task past Hydra, which would print a line of its own for it."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass
class Sweep:
    """What a multirun left behind."""

    path: Path
    jobs: dict[Path, Status]  # by run directory, in the order of the jobs
    interrupted: bool


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
        folder = job_dir()
        if folder is not None:
            return _run_in_sweep(task, cfg, folder)
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


def sweep_name(now: datetime | None = None) -> str:
    """Return <UTC time>-<6 hex>, a name that sweeps started in one second do not share."""
    return f"{now or datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def read_jobs(folder: Path) -> dict[Path, Status]:
    """Return the status of each of a sweep's jobs; one that has none was killed before it began."""
    recorded = {path.parent for path in folder.rglob(STATUS_FILE)}
    known = {above for path in recorded for above in (path, *path.parents)}
    silent = {path for path in folder.iterdir() if path.is_dir() and path not in known}
    killed = Status("killed", "it ended without a record")
    return {path: read_status(path) or killed for path in sorted(recorded | silent, key=_natural)}


def _run_in_sweep(task: Callable[[Any], Any], cfg: Any, folder: Path) -> Any:
    """Run one job of a sweep; record its failure in `folder`."""
    print(f"[{folder.name}] {' '.join(overrides())}", flush=True)
    try:
        _check_values(cfg)
        return task(cfg)
    except Stopped:
        if _in_this_process():
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
    if known is None or known.status != status:
        write_status(folder, (known or Status.begin(overrides())).end(status, why))
    log = folder / LOG_FILE
    if trace and not (log.is_file() and "Traceback (most recent" in log.read_text(encoding="utf-8", errors="replace")):
        with open(log, "a", encoding="utf-8") as file:
            file.write(trace)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Return a sort key in which 10 follows 9."""
    return [(int(part) if part.isdigit() else -1, part) for part in path.parts]


def _in_this_process() -> bool:
    """Whether the sweep's jobs run one after the other in this process, so that stopping one must end them all."""
    from hydra.core.hydra_config import HydraConfig

    return HydraConfig.get().runtime.choices.get("hydra/launcher") == "basic"


def _replace_loky() -> None:
    """Leave joblib's start method, under which loader workers and spawned ranks die."""
    if multiprocessing.get_start_method(allow_none=True) == "loky":
        multiprocessing.set_start_method("spawn", force=True)
