"""A process that runs one job of a sweep as its standard input says: see gancli.sweeps.isolation, which starts it."""

import importlib
import os
import pickle
import signal
import struct
import sys
import threading
from typing import Any

from gancli.sweeps.jobs import Stopped, run_here
from gancli.sweeps.queues import QUEUES


def main() -> None:
    """Run one job as standard input says."""
    size, = struct.unpack("<Q", sys.stdin.buffer.read(8))
    message = sys.stdin.buffer.read(size)
    sys.path[:], module, name, cfg, hydra = pickle.loads(message)  # from the process that started this one
    for number in QUEUES:
        signal.signal(number, _interrupt)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, QUEUES)
    threading.Thread(target=_watch, args=(sys.stdin.fileno(),), daemon=True).start()
    try:
        from hydra.core.hydra_config import HydraConfig
        from hydra.core.utils import setup_globals
        from omegaconf import OmegaConf

        setup_globals()
        HydraConfig.instance().cfg = OmegaConf.create({"hydra": hydra})
        code = run_here(getattr(importlib.import_module(module), name), OmegaConf.create(cfg))
    except KeyboardInterrupt:  # before the job itself could answer it
        code = Stopped.exit_code
    sys.exit(code)


def _watch(descriptor: int) -> None:
    """Stop this process as SIGTERM does when the worker that holds the other end of the stream is gone."""
    os.read(descriptor, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def _interrupt(number: int, frame: Any) -> None:
    """End a job that is not playing yet, or no longer; while it plays, the engine handles the signal."""
    for each in QUEUES:
        signal.signal(each, signal.SIG_IGN)  # the same news comes from several processes
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
