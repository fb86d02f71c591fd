"""Slurm as a sweep needs it beyond submitit: asked before anything is created, and watched by its queue.

submitit learns of jobs by sacct, which a cluster without accounting does not answer, waits for ever for a job that was
canceled, and at the first job that is lost stops waiting for the others.
"""

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from gancli.errors import UsageError, UserError
from gancli.monitor.terminal import tell

LAUNCHER = "submitit_slurm"
FOLDER = ".submitit"  # in the sweep's: a folder for each of its jobs in the queue, by number
NAME = re.compile(r"\d+(_\d+)?")
PATIENCE_S = 60  # for an answer
ABSENT_S = 6.0  # a job that has left the queue for so long and has not reported is lost
SLOWEST_S, FASTEST_S = 30.0, 1.0  # between two looks at the queue
MOST_REQUEUES = 10_000
# Options of hydra.launcher that `sbatch` has under other names, or as they are.
OPTIONS = {"timeout_min": "time", "tasks_per_node": "ntasks-per-node", "mem_gb": "mem"} | {
    key: key.replace("_", "-") for key in ("partition", "qos", "constraint", "exclude", "gres", "account", "nodes",
                                           "cpus_per_task", "gpus_per_node", "cpus_per_gpu", "gpus_per_task", "mem_per_gpu",
                                           "mem_per_cpu")}


def check(launcher: DictConfig) -> None:
    """Refuse jobs that Slurm would not take, or could not warn before their end.

    Raises:
        UsageError: as Slurm says (no such partition, an account refused, more than there is), or as this package needs.
        UserError: there is no Slurm here, or it does not answer.
    """
    if any(shutil.which(name) is None for name in ("sbatch", "srun", "squeue")):
        raise UserError("hydra/launcher=submitit_slurm needs Slurm's sbatch, srun and squeue on this machine: start the sweep "
                        "on a login node, or try scripts/one_node_slurm.")
    if launcher.tasks_per_node * launcher.nodes > 1:
        raise UsageError("A job of a sweep is one process, which starts its ranks itself: leave hydra.launcher.nodes and "
                         "tasks_per_node at 1 and give devices=. scripts/train_on_nodes.sbatch starts a run over nodes.")
    if 60 * launcher.timeout_min <= launcher.signal_delay_s:
        raise UsageError(f"hydra.launcher.timeout_min={launcher.timeout_min} ends a job before it is told to save, "
                         f"{launcher.signal_delay_s} s before its end: give a longer timeout_min= or a smaller "
                         "hydra.launcher.signal_delay_s=.")
    done = _ask("sbatch", "--test-only", *_options(launcher), "--wrap=true")
    if done.returncode:
        raise UsageError(f"Slurm refuses these jobs: {_reason(done.stderr)}. {_advice(done.stderr)}")


def _options(launcher: DictConfig) -> Iterator[str]:
    for key, option in OPTIONS.items():
        value = launcher.get(key)
        if value is not None:
            yield f"--{option}={value}{'G' if key == 'mem_gb' else ''}"
    for key, value in launcher.get("additional_parameters", {}).items():
        option = key.replace("_", "-")
        yield f"--{option}" if value is True else f"--{option}={value}"


def _reason(said: str) -> str:
    """Return what Slurm's last line says, without its program's name."""
    lines = [line for line in said.splitlines() if line.strip()] or ["it does not say why"]
    return re.sub(r"^(sbatch: )?(error: )?(allocation failure: |Batch job submission failed: )?", "", lines[-1]).strip(" .")


def _advice(said: str) -> str:
    """Return what to type next."""
    if "artition" in said and "ccount" not in said:
        there = _ask("sinfo", "-h", "-o", "%R").stdout.split()
        return f"Give hydra.launcher.partition={' or '.join(sorted(set(there))) or '...'}."
    if "ccount" in said:
        return "Give hydra.launcher.account= one that may use the partition, or another hydra.launcher.partition=."
    return "`sinfo -o \"%P %l %c %m %G\"` says what there is: give other hydra.launcher. settings."


def _ask(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        raise UserError(f"Slurm does not answer {command[0]} within {PATIENCE_S} s: try again later.") from None


class Queue:
    """The jobs of one sweep in Slurm's queue, of this sitting and of earlier ones."""

    def __init__(self, sweep: Path) -> None:
        self.folder = sweep / FOLDER
        self.states: dict[str, str] = {}  # number -> PENDING, RUNNING, ...
        self._absent: dict[str, float] = {}  # number -> since when it is not in the queue
        self._begun = time.monotonic()
        self._looked = float("-inf")

    def look(self) -> bool:
        """Ask Slurm, unless it was asked a moment ago; return whether it was asked and answered."""
        now = time.monotonic()
        if now - self._looked < min(SLOWEST_S, max(FASTEST_S, (now - self._begun) / 20)):
            return False
        self._looked = now
        try:
            done = subprocess.run(["squeue", "-h", "-r", "--me", "-o", "%i %T"], capture_output=True, text=True,
                                  timeout=PATIENCE_S)
        except (OSError, subprocess.TimeoutExpired):
            return False
        if done.returncode:  # the controller is away: nothing is known, nothing is lost
            return False
        ours = {path.name for path in self.folder.glob("*") if NAME.fullmatch(path.name)}
        listed = dict(line.split()[:2] for line in done.stdout.splitlines())
        self.states = {number: state for number, state in listed.items() if number in ours}
        self._absent = {number: self._absent.get(number, now) for number in ours - self.states.keys()}
        return True

    def is_lost(self, number: str) -> bool:
        """Whether a job has left the queue so long ago that no report will come."""
        return number in self._absent and time.monotonic() - self._absent[number] > ABSENT_S

    def cancel_waiting(self) -> int:
        """Take the jobs that wait out of the queue; return how many."""
        waiting = [number for number, state in self.states.items() if state == "PENDING"]
        for first in range(0, len(waiting), 100):
            subprocess.run(["scancel", "--state=PENDING", *waiting[first:first + 100]], capture_output=True,
                           timeout=PATIENCE_S)
        return len(waiting)


def clear(sweep: Path) -> None:
    """Cancel jobs of a sweep whose command was killed while they waited: they are queued anew."""
    queue = Queue(sweep)
    if queue.folder.is_dir() and queue.look() and (count := queue.cancel_waiting()):
        jobs, are = ("jobs", "are") if count > 1 else ("job", "is")
        tell(f"{count} {jobs} of an earlier sitting waited in Slurm's queue and {are} queued anew.")


@contextmanager
def watched(sweep: Path, stop_asked: Callable[[], bool], look: Callable[[], None]) -> Iterator[None]:
    """Let submitit wait for jobs by their reports and by the queue, and go on when one is lost.

    Args:
        look: called from time to time while jobs are waited for.
    """
    from hydra.core.utils import JobReturn, JobStatus
    from submitit.slurm.slurm import SlurmInfoWatcher, SlurmJob

    queue, original, watcher = Queue(sweep), SlurmJob.results, SlurmInfoWatcher.update

    def results(job: Any) -> list[Any]:
        try:
            while not job.paths.result_pickle.exists() and not queue.is_lost(job.job_id):
                if queue.look():
                    look()
                    if stop_asked():
                        queue.cancel_waiting()
                time.sleep(0.2)
            if job.paths.result_pickle.exists():
                return original(job)
            raise UserError(f"Slurm's job {job.job_id} has left the queue without a report: it was canceled, or its node is "
                            "lost")
        except Exception as error:
            return [JobReturn(status=JobStatus.FAILED, _return_value=error)]

    SlurmJob.results, SlurmInfoWatcher.update = results, lambda self: None
    try:
        yield
    finally:
        SlurmJob.results, SlurmInfoWatcher.update = original, watcher
