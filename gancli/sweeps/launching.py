"""What stands between Hydra's sweeper and its launcher: only jobs that are neither finished nor running are launched.

Hydra has no hook there, so `resuming` replaces the public Plugins.instantiate_launcher while a sweep runs.
"""

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gancli.config.paths import quote
from gancli.runs.status import Status, read_status, write_status
from gancli.runs.sweeps import SweepRecord, job_folder, write_sweep
from gancli.sweeps import slurm
from gancli.sweeps.matching import standing

OWN_SUBDIR = "${hydra.job.num}"  # as conf/train.yaml has it


@dataclass
class Session:
    """One sitting of a sweep."""

    folder: Path
    record: SweepRecord
    launcher: str  # its name: basic, joblib, ...
    at_once: int  # jobs
    stop_asked: Callable[[], bool]
    ignored: frozenset[str] = frozenset()  # keys that this command may have changed for every job
    kept: dict[str, str] = field(default_factory=dict)  # folder -> finished or running, of the jobs not launched


@contextmanager
def resuming(session: Session):
    """Let every launcher that Hydra makes leave out what is finished or running in the session's sweep."""
    from hydra.core.plugins import Plugins

    original = Plugins.instantiate_launcher

    def instantiate(self: Any, hydra_context: Any, task_function: Any, config: Any) -> "ResumingLauncher":
        launcher = original(self, hydra_context=hydra_context, task_function=task_function, config=config)
        return ResumingLauncher(launcher, session, hydra_context.config_loader, config)

    Plugins.instantiate_launcher = instantiate
    try:
        yield
    finally:
        Plugins.instantiate_launcher = original


class ResumingLauncher:
    """Hydra's launcher of the sweep's choice, given only the jobs that are to run."""

    def __init__(self, launcher: Any, session: Session, config_loader: Any, config: Any) -> None:
        self.launcher, self.session, self.config_loader, self.config = launcher, session, config_loader, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[Any]:
        """Return one hydra.core.utils.JobReturn for each job; jobs of the same settings run once."""
        session = self.session
        if session.stop_asked():
            raise KeyboardInterrupt
        folders = [self._folder(list(overrides)) for overrides in job_overrides]
        write_sweep(session.folder, session.record)
        returns, waiting = {}, {}
        for folder, overrides in zip(folders, job_overrides, strict=True):
            if folder in returns or folder in waiting:
                continue
            stands = standing(session.folder / folder, overrides, session.folder)
            if stands == "open":
                waiting[folder] = [*overrides, f"hydra.sweep.subdir={quote(folder)}"]
            else:
                session.kept[folder] = stands
                returns[folder] = self._recorded(folder)
        if waiting:
            returns |= self._launch(waiting, initial_job_idx)
        if session.stop_asked():
            raise KeyboardInterrupt
        return [returns[folder] for folder in folders]

    def _folder(self, overrides: list[str]) -> str:
        """Return the folder of a job: its own from an earlier sitting, else a new one."""
        record = self.session.record
        found = record.folder_of(overrides, self.session.ignored)
        if found is not None:
            return found
        number = record.free_number()
        folder = self._configured_folder(overrides, number)
        if folder in record.jobs:  # a configured name that two jobs share
            folder = f"{folder}-{number}"
        job_folder(self.session.folder, folder)
        record.jobs[folder] = overrides
        return folder

    def _configured_folder(self, overrides: list[str], number: int) -> str:
        """Return what hydra.sweep.subdir says for one job."""
        from hydra.core.hydra_config import HydraConfig
        from omegaconf import OmegaConf, open_dict

        subdir = OmegaConf.to_container(self.config.hydra.sweep, resolve=False)["subdir"]
        if subdir == OWN_SUBDIR:
            return str(number)
        composed = self.config_loader.load_sweep_config(self.config, overrides)
        with open_dict(composed):
            composed.hydra.job.num = number
            composed.hydra.job.id = str(number)
        HydraConfig.instance().set_config(composed)
        return str(OmegaConf.select(composed, "hydra.sweep.subdir"))

    def _launch(self, waiting: dict[str, list[str]], first: int) -> dict[str, Any]:
        """Launch jobs in the way that suits the launcher."""
        if self.session.launcher == "submitit_local":
            return self._launch_apart(waiting, first)
        if self.session.launcher == "joblib":
            return self._launch_in_pool(waiting, first)
        if self.session.launcher == slurm.LAUNCHER:
            return self._launch_in_queue(waiting, first)
        if self.session.launcher == "ray":
            return self._launch_in_ray(waiting, first)
        return dict(zip(waiting, self.launcher.launch(list(waiting.values()), first), strict=True))

    def _launch_apart(self, waiting: dict[str, list[str]], first: int) -> dict[str, Any]:
        """Launch each job by itself, so many at once: given all, submitit would start a process for every job now."""

        def one(number: int, folder: str) -> Any:
            if not self.session.stop_asked():
                print(f"[{folder}] {' '.join(self.session.record.jobs[folder])}", flush=True)  # its worker's go to a file
                try:
                    self._check([folder], self.launcher.launch([waiting[folder]], first + number))
                except Exception as error:  # its worker died
                    self._lost(folder, error)
                status = read_status(self.session.folder / folder)
                print(f"[{folder}] {status.status if status else 'not started'}", flush=True)
            return self._recorded(folder)

        with ThreadPoolExecutor(self.session.at_once) as pool:
            return dict(zip(waiting, pool.map(one, range(len(waiting)), waiting), strict=True))

    def _launch_in_queue(self, waiting: dict[str, list[str]], first: int) -> dict[str, Any]:
        """Launch all as one array of jobs; tell what becomes of each while they are waited for."""
        seen = {folder: self._stands(folder) for folder in waiting}

        def look() -> None:
            for folder, before in seen.items():
                seen[folder] = self._stands(folder)
                if seen[folder] != before:
                    print(f"[{folder}] {seen[folder]}", flush=True)

        for folder in waiting:
            print(f"[{folder}] {' '.join(self.session.record.jobs[folder])}", flush=True)  # its worker's go to a file
        with slurm.watched(self.session.folder, self.session.stop_asked, look):
            self._check(list(waiting), self.launcher.launch(list(waiting.values()), first))
        look()
        return {folder: self._recorded(folder) for folder in waiting}

    def _launch_in_ray(self, waiting: dict[str, list[str]], first: int) -> dict[str, Any]:
        """Launch all: Ray starts a job again whose worker died, and the job goes on from its checkpoint."""
        try:
            self._check(list(waiting), self.launcher.launch(list(waiting.values()), first))
        except Exception as error:  # its worker died too often
            for folder in waiting:
                if self._stands(folder).partition(":")[0] in ("not started", "killed"):
                    self._lost(folder, error)
        return {folder: self._recorded(folder) for folder in waiting}

    def _stands(self, folder: str) -> str:
        """Return how a job stands, and why it stopped or failed."""
        status = read_status(self.session.folder / folder)
        if status is None:
            return "not started"
        return f"{status.status}: {status.why}" if status.why else status.status

    def _launch_in_pool(self, waiting: dict[str, list[str]], first: int) -> dict[str, Any]:
        """Launch jobs that share workers; where a worker's death ended the pool, launch those that had not begun."""
        before = {folder: read_status(self.session.folder / folder) for folder in waiting}
        left = dict(waiting)
        while left and not self.session.stop_asked():
            try:
                self._check(list(left), self.launcher.launch(list(left.values()), first))
                break
            except Exception as error:
                begun = [folder for folder in left if read_status(self.session.folder / folder) != before[folder]]
                if not begun:
                    raise
                for folder in begun:
                    self._lost(folder, error)
                    del left[folder]
        return {folder: self._recorded(folder) for folder in waiting}

    def _check(self, folders: list[str], returns: Sequence[Any]) -> None:
        """Say which jobs' workers failed before the jobs had begun: the jobs' own failures are in their records."""
        from hydra.core.utils import JobStatus

        for folder, returned in zip(folders, returns, strict=True):
            if returned.status == JobStatus.FAILED:
                self._lost(folder, returned._return_value)

    def _lost(self, folder: str, error: Exception) -> None:
        """Say that a job's worker ended before the job could be asked how it went."""
        path = self.session.folder / folder
        status = read_status(path)
        if status is None and self.session.stop_asked():
            return  # it was taken out of the queue before it began
        if status is None:
            path.mkdir(parents=True, exist_ok=True)
            write_status(path, Status.begin(self.session.record.jobs[folder]).end("failed", f"its worker ended: {error}"))
        if status is None or status.status == "killed":
            print(f"[{folder}] lost: {type(error).__name__}: {error}", file=sys.stderr, flush=True)

    def _recorded(self, folder: str) -> Any:
        """Return what a job's own record says, in Hydra's form: its objective, or None where it has not finished."""
        from hydra.core.utils import JobReturn, JobStatus

        status = read_status(self.session.folder / folder)
        finished = status is not None and status.status == "finished"
        returned = JobReturn(overrides=self.session.record.jobs[folder], status=JobStatus.COMPLETED)
        returned.return_value = status.objective if finished else None
        return returned
