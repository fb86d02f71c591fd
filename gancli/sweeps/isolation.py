"""A job of a sweep in a process of its own, started by a launcher's worker, which it cannot take with it when it dies.

That process runs gancli.sweeps.child.  It is told on its standard input what to do, and takes the end of that stream for
the death of the worker: it saves and stops then, as after SIGTERM.
"""

import os
import pickle
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from gancli.sweeps.queues import held_back
from gancli.sweeps.warm import Forked, Gone, Warm

CONSOLE = "console.txt"  # what the job says on stdout and stderr
STOP = ".stop"  # in the sweep's folder: the running jobs shall save and stop, no other may start
CHILD = "gancli.sweeps.child"  # named, not imported: it runs the jobs that start it
POLL_S = 0.2
FORKS = sys.platform == "linux"
_warm: list[Warm] = []  # of this process: none or one
SAVING_S = 120.0  # a job may take so long to save when its worker is told to go away


def run_isolated(task: Callable[[Any], Any], cfg: Any, folder: Path, stop: Callable[[], bool],
                 environment: dict[str, str], forked: bool = False) -> int:
    """Run task(cfg), a job that gancli.sweeps.jobs.job decorates, in `folder`; return its exit code.

    A negative code is the signal that ended it.

    Args:
        stop: asked again and again; as soon as it is true the job is told to save and stop.
        environment: variables beside those of this process.
        forked: this process runs many jobs: a process beside it imports once what they need, where that can be.
    """
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    hydra = OmegaConf.to_container(HydraConfig.get())
    del hydra["launcher"], hydra["sweeper"]  # of the plugins' classes, which some launchers import anew
    message = pickle.dumps((sys.path, task.__module__, task.__qualname__, OmegaConf.to_container(cfg), hydra))
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / CONSOLE, "ab") as console:
        process = _forked(console, environment) if forked and FORKS else None
        process = process or _started(console, environment)
    try:
        process.stdin.write(struct.pack("<Q", len(message)) + message)
        process.stdin.flush()
        return _wait(process, stop)
    except BrokenPipeError:
        return process.wait()
    except BaseException:  # the worker itself is told to go away
        _terminate(process)
        raise
    finally:
        process.stdin.close()


def _started(console: IO[bytes], environment: dict[str, str]) -> subprocess.Popen:
    """Start a new process."""
    with held_back():
        return subprocess.Popen([sys.executable, "-m", CHILD], stdin=subprocess.PIPE, stdout=console, stderr=console,
                                env={**os.environ, **environment}, start_new_session=True)


def _forked(console: IO[bytes], environment: dict[str, str]) -> Forked | None:
    """Fork a process from the one that is kept warm, which is started first if need be; None where that fails."""
    for _ in range(2):  # it may have been killed since the last job
        if not _warm:
            _warm.append(Warm())
        try:
            return _warm[0].start(console, environment)
        except Gone:
            _warm.clear()
    return None


def _wait(process: subprocess.Popen | Forked, stop: Callable[[], bool]) -> int:
    told = False
    while True:
        try:
            return process.wait(POLL_S)
        except subprocess.TimeoutExpired:
            if not told and stop():
                told = True
                process.terminate()


def _terminate(process: subprocess.Popen | Forked) -> None:
    process.terminate()
    try:
        process.wait(SAVING_S)
    except subprocess.TimeoutExpired:
        process.kill()
