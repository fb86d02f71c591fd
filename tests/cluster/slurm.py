"""A Slurm of this machine's own, as scripts/one_node_slurm starts it, and what tests do to it."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from running import ROOT, command, environment

from gancli.runs.checkpoint import CheckpointFolder
from gancli.runs.status import Status, read_status

SCRIPT = ROOT / "scripts" / "one_node_slurm"
PATIENCE_S = 240
TINY = ("model=gan", "model.generator_units=8", "model.discriminator_units=8", "dataset.size=8", "trainer.batch_size=4",
        "trainer.precision=fp32", "trainer.sample_kimg=1000", "trainer.checkpoint_kimg=1000", "trainer.record_kimg=0.1",
        "evaluation.kimg=null", "device=cpu")
QUEUED = ("hydra/launcher=submitit_slurm", "hydra.launcher.timeout_min=10", "hydra.launcher.signal_delay_s=60")


def lacks() -> str:
    """Return which daemons are not installed."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return ", ".join(name for name in ("slurmctld", "slurmd", "munged") if shutil.which(name, path=path) is None)


def until(condition: Callable[[], object], what: str, seconds: float = PATIENCE_S) -> None:
    """Wait for a condition; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)


class Slurm:
    """A Slurm in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self, *options: str) -> str:
        return subprocess.run([sys.executable, SCRIPT, "start", self.folder, *options], check=True, capture_output=True,
                              text=True).stdout

    def stop(self) -> None:
        subprocess.run([sys.executable, SCRIPT, "stop", self.folder], check=True)

    def ask(self, *arguments: str) -> str:
        """Return what a command of Slurm prints."""
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
        return done.stdout

    def warn(self, number: str, how: str, *options: str) -> bool:
        """Send a job a signal, as Slurm does before it ends one; whether it was taken.

        `scancel` tries again and again on a job that is back in the queue.
        """
        done = subprocess.run(["timeout", "4", "scancel", f"--signal={how}", *options, number], capture_output=True)
        return done.returncode in (0, 124)

    def queue(self) -> dict[str, str]:
        """Return the states of the jobs in the queue, by number."""
        return dict(line.split() for line in self.ask("squeue", "-h", "-r", "-o", "%i %T").splitlines())

    def clear(self) -> None:
        """Cancel what is queued, make all nodes available again."""
        for numbers in (["--signal=TERM"], ["--signal=KILL", "--full"], []):
            if self.queue():
                subprocess.run(["scancel", "--user=root" if os.getuid() == 0 else "--me", *numbers], capture_output=True)
                time.sleep(0.5)
        until(lambda: not self.queue(), "an empty queue")
        for node in ("n1", "n2"):
            if "DRAIN" in self.ask("scontrol", "show", "node", node):
                self.ask("scontrol", "update", f"nodename={node}", "state=resume")


def gan(*arguments: str, cwd: Path) -> subprocess.Popen:
    """Start `gan ARGUMENTS`."""
    return subprocess.Popen(command(*arguments), cwd=cwd, env=environment(OMP_NUM_THREADS="1", COLUMNS="200"),
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)


def ended(process: subprocess.Popen, code: int) -> str:
    """Return what a command has printed when it ends, with that exit code."""
    output = process.communicate(timeout=PATIENCE_S)[0]
    assert process.returncode == code, output
    return output


def status(run: Path) -> str:
    """Return a run's status."""
    found = read_status(run)
    return "not started" if found is None else found.status


def images(run: Path) -> int:
    """Return how many images a run has recorded."""
    found: Status | None = read_status(run)
    return 0 if found is None else found.images


def trains(run: Path) -> bool:
    """Whether a run runs and has come by its first figures."""
    stats = run / "stats.jsonl"
    return status(run) == "running" and stats.exists() and stats.stat().st_size > 0


def number_of(sweep: Path, job: int) -> str:
    """Return the number in Slurm's queue of a sweep's job, the jobs of which make one array."""
    first = min(int(path.name.split("_")[0]) for path in (sweep / ".submitit").glob("[0-9]*_[0-9]*"))
    return f"{first}_{job}"


def weights(run: Path) -> dict:
    """Return the tensors of a run's last checkpoint."""
    from gancli.runs.checkpoint import read

    return read(CheckpointFolder(run).latest()).tensors
