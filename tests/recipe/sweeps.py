"""Sweeps of tiny runs in processes of their own."""

import os
import signal
import subprocess
import time
from pathlib import Path

from running import command, environment, gan

from gancli.runs.status import Status, read_status

TINY = ("model=gan", "model.generator_units=8", "model.discriminator_units=8", "dataset.size=8", "trainer.batch_size=4",
        "trainer.precision=fp32", "trainer.sample_kimg=10", "evaluation.n=16", "evaluation.real=16")
GRID = ("seed=0,1", "loss=nonsaturating,hinge")
PATIENCE_S = 180
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "COLUMNS": "200"}


def start(*arguments: str, cwd: Path, **more: str) -> subprocess.Popen:
    """Start `gan ARGUMENTS` as a terminal does, in a process group of its own."""
    return subprocess.Popen(command(*arguments), cwd=cwd, env=environment(**ENVIRONMENT, **more), stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, start_new_session=True)


def wait_for(sweep: Path, *jobs: str) -> list[Status]:
    """Wait until each of the jobs runs and has a checkpoint; return their status."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        statuses = [read_status(sweep / job) for job in jobs]
        if all(status is not None and status.status == "running" for status in statuses) and \
                all(any((sweep / job / "checkpoints").glob("kimg-*")) for job in jobs):
            return statuses
        time.sleep(0.01)
    raise AssertionError(f"jobs {jobs} did not run: {[read_status(sweep / job) for job in jobs]}")


def kill(status: Status) -> None:
    """End a job's process with -9."""
    os.kill(status.pid, signal.SIGKILL)


def statuses(sweep: Path, count: int) -> list[str]:
    """Return the statuses of jobs 0 to count - 1."""
    found = [read_status(sweep / str(job)) for job in range(count)]
    return ["not started" if status is None else status.status for status in found]


def traces(sweep: Path) -> dict[str, float]:
    """Return when each job's files were last changed."""
    return {job.name: max(path.stat().st_mtime_ns for path in job.rglob("*")) for job in sweep.iterdir()
            if job.is_dir() and job.name.isdigit() and any(job.iterdir())}


def train(*arguments: str, cwd: Path, check: int = 0, **more: str) -> str:
    """Run `gan train ARGUMENTS`; return what it printed."""
    done = gan("train", *arguments, cwd=cwd, check=check, **ENVIRONMENT, **more)
    return done.stdout + done.stderr
