"""A worker of submitit that its queue warns, of the time limit or of preemption: its job saves first, then both queue again.

submitit answers such a signal by queueing its worker again at once, which ends the job before it has saved.
"""

import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from gancli.runs.status import Status, write_status
from gancli.sweeps.queues import QUEUES

SUBMITIT = "SUBMITIT_EXECUTOR"  # the environment of its workers
EARLY = 0.5  # Slurm rounds time limits and warns up to a minute too soon: after this share of the time they are meant


class Warned:
    """While it is entered, a queue's signals are noted; submitit's own answer is kept for later.

    A worker that was warned is deaf from then on: it has nothing left to do but to queue again, or to report.
    """

    def __init__(self) -> None:
        self.signals: list[int] = []
        self.answers: dict[int, Any] = {}  # what submitit, or Python, would do
        self.began = time.monotonic()

    @property
    def told(self) -> bool:
        """Whether the job is to save and stop."""
        return bool(self.signals)

    def __enter__(self) -> "Warned":
        if SUBMITIT in os.environ and threading.current_thread() is threading.main_thread():
            self.answers = {number: signal.signal(number, self._note) for number in QUEUES}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, answer in self.answers.items():  # a second warning would end the worker, or its scontrol
            signal.signal(number, signal.SIG_IGN if self.told else answer)

    def _note(self, number: int, frame: Any) -> None:
        self.signals.append(number)


def queue_again(warned: Warned, folder: Path, before: Status | None, now: Status) -> None:
    """Put the worker of a job that has saved and stopped back into its queue, where the queue and not a person stopped it.

    Does not return where it did so: submitit ends the process.

    Args:
        before: the job's status when this worker began; `now` when it stopped.
    """
    if not warned.told or not _by_queue(warned.signals):
        return
    if _is_fruitless(warned, before, now):
        write_status(folder, now.end("failed", "its time limit ended it before it had trained anything: give more "
                                               "hydra.launcher.timeout_min="))
        return
    answer = warned.answers.get(getattr(signal, "SIGUSR2", 0))
    if callable(answer):
        print(f"[{folder.name}] goes back into the queue", flush=True)
        answer(next((number for number in warned.signals if number != signal.SIGTERM), signal.SIGTERM), None)


def _by_queue(signals: list[int]) -> bool:
    """Whether a queue ended a job: SIGUSR1 and 2 say so; SIGTERM comes from `scancel`, too, unless the job is preempted."""
    return any(number != signal.SIGTERM for number in signals) or is_preempted(os.environ.get("SLURM_JOB_ID"))


def is_preempted(job: str | None) -> bool:
    """Whether Slurm is ending a job to make room for another one."""
    if job is None:
        return False
    try:
        done = subprocess.run(["scontrol", "show", "job", "-o", job], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return False
    fields = dict(word.split("=", 1) for word in done.stdout.split() if "=" in word)
    return fields.get("PreemptTime", "None") != "None"


def _is_fruitless(warned: Warned, before: Status | None, now: Status) -> bool:
    """Whether a job has not come further in all of the time that its queue gives it, so that it never will."""
    from hydra.core.hydra_config import HydraConfig

    launcher = HydraConfig.get().launcher
    given = 60 * launcher.timeout_min - launcher.get("signal_delay_s", 0)
    if time.monotonic() - warned.began < EARLY * given:
        return False
    return now.images <= (0 if before is None else before.images)
