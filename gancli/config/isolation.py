"""A job of a sweep in a process of its own, started by a launcher's worker, which it cannot take with it when it dies.

`python -m gancli.config.isolation` is that process.  It is told on its standard input what to do, and takes the end
of that stream for the death of the worker: it saves and stops then, as after SIGTERM.
"""

import importlib
import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

CONSOLE = "console.txt"  # what the job says on stdout and stderr
STOP = ".stop"  # in the sweep's folder: the running jobs shall save and stop, no other may start
POLL_S = 0.2
SAVING_S = 120.0  # a job may take so long to save when its worker is told to go away


def run_isolated(task: Callable[[Any], Any], cfg: Any, folder: Path, stop: Path, environment: dict[str, str]) -> int:
    """Run task(cfg), a job that gancli.config.jobs.job decorates, in `folder`; return its exit code.

    A negative code is the signal that ended it.

    Args:
        stop: a file; as soon as it exists the job is told to save and stop.
        environment: variables beside those of this process.
    """
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    hydra = OmegaConf.to_container(HydraConfig.get())
    del hydra["launcher"], hydra["sweeper"]  # of the plugins' classes, which some launchers import anew
    message = pickle.dumps((sys.path, task.__module__, task.__qualname__, OmegaConf.to_container(cfg), hydra))
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / CONSOLE, "ab") as console:
        process = subprocess.Popen([sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=console, stderr=console,
                                   env={**os.environ, **environment}, start_new_session=True)
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


def _wait(process: subprocess.Popen, stop: Path) -> int:
    told = False
    while True:
        try:
            return process.wait(POLL_S)
        except subprocess.TimeoutExpired:
            if not told and stop.exists():
                told = True
                process.terminate()


def _terminate(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(SAVING_S)
    except subprocess.TimeoutExpired:
        process.kill()


def _main() -> None:
    """Run one job as standard input says."""
    size, = struct.unpack("<Q", sys.stdin.buffer.read(8))
    message = sys.stdin.buffer.read(size)
    sys.path[:], module, name, cfg, hydra = pickle.loads(message)  # from the process that started this one
    signal.signal(signal.SIGTERM, _interrupt)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    threading.Thread(target=_watch, args=(sys.stdin.fileno(),), daemon=True).start()
    from hydra.core.hydra_config import HydraConfig
    from hydra.core.utils import setup_globals
    from omegaconf import OmegaConf

    from gancli.config.jobs import run_here

    setup_globals()
    HydraConfig.instance().cfg = OmegaConf.create({"hydra": hydra})
    sys.exit(run_here(getattr(importlib.import_module(module), name), OmegaConf.create(cfg)))


def _watch(descriptor: int) -> None:
    """Stop this process as SIGTERM does when the worker that holds the other end of the stream is gone."""
    os.read(descriptor, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def _interrupt(number: int, frame: Any) -> None:
    """End a job that is not playing yet, or no longer; while it plays, the engine handles the signal."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    _main()
