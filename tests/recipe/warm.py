"""Whole commands in processes that need not import torch again: forked from one that has imported what every command imports.

Importing torch is most of what a short command costs.  A command that is run here sees everything else as a new process does:
its arguments, folder, environment, streams and exit code, and modules of the package itself that nobody has imported yet.
Unlike one it has a torch that was loaded with this environment, and a main module that no worker of joblib can import: for the
number of threads and for sweeps use a process of its own.
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
from pathlib import Path
from tempfile import NamedTemporaryFile

LOADED = ["torch", "torchvision", "torch.utils.tensorboard", "hydra", "hydra._internal.utils", "omegaconf", "typer",
          "scipy.linalg"]


def run(command: list[str], cwd: Path, environment: dict[str, str], timeout: float) -> subprocess.CompletedProcess:
    """Run `gan` with these arguments; what it printed, and its exit code.

    Raises:
        subprocess.TimeoutExpired: it has not ended in so many seconds, and was killed.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LOADED)
    with NamedTemporaryFile() as out, NamedTemporaryFile() as err:
        process = context.Process(target=_command, args=(command, str(cwd), environment, (out.name, err.name)))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(command, timeout)
        return subprocess.CompletedProcess(command, process.exitcode, out.read().decode(), err.read().decode())


def _command(arguments: list[str], cwd: str, environment: dict[str, str], streams: tuple[str, str]) -> None:
    """Become `gan ARGUMENTS`."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    for number, name in zip((1, 2), streams, strict=True):
        with open(name, "wb") as file:
            os.dup2(file.fileno(), number)
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", buffering=1, closefd=False)
    sys.argv = ["gan", *arguments]
    sys.path[:] = [path for path in sys.path if "tests" not in Path(path).parts]
    try:
        runpy.run_module("gancli", run_name="__main__", alter_sys=True)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
