"""A process that has imported once what every job imports, and forks one for each job: its start costs milliseconds.

A job finds what a process of its own would find (nothing has been computed, drawn or asked of a device here), and takes
nothing with it when it ends.  On Linux alone: elsewhere libraries do not survive a fork.

`Warm` is the end of the worker that wants jobs run; `python -m gancli.sweeps.warm DESCRIPTOR` is the process that forks.
The two talk through one socket: a request brings two descriptors (the job's stream of gancli.sweeps.child, its console) and
variables of the environment; the answers are the job's process id, and its exit code.
"""

import atexit
import gc
import importlib
import os
import pickle
import pkgutil
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import traceback
from typing import IO, NoReturn

from gancli import waiting
from gancli.sweeps.queues import QUEUES, held_back

SERVER = [sys.executable, "-m", "gancli.sweeps.warm"]
IMPORTED = ("gancli.sweeps.child", "gancli.plan.run", "gancli.engine.training", "gancli.monitor.tensorboard_logger",
            "hydra.core.utils", "rich.live")  # what jobs import
CHILD = "gancli.sweeps.child"  # named, not imported: it runs the jobs that start this
PACKAGES = ("gancli.models", "gancli.data.sources", "gancli.losses.augmentations")  # all of their modules; of plugins none
LONGEST = 1 << 20  # bytes of a request
_ANSWER = struct.Struct("<q")


class Gone(Exception):
    """The process that forks has ended by itself."""


class Warm:
    """The worker's end: starts the process that forks, and asks it for jobs, one after the other."""

    def __init__(self) -> None:
        self.socket, theirs = socket.socketpair()
        with theirs, held_back():
            self.process = subprocess.Popen([*SERVER, str(theirs.fileno())], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, pass_fds=[theirs.fileno()], start_new_session=True)

    def start(self, console: IO[bytes], environment: dict[str, str]) -> "Forked":
        """Fork a process that runs gancli.sweeps.child.

        Raises:
            Gone: there is nothing any more that could fork.
        """
        reading, writing = os.pipe()
        try:
            request = pickle.dumps(environment)
            socket.send_fds(self.socket, [request], [reading, console.fileno()])
            return Forked(self.socket, self._answer(), open(writing, "wb"))
        except (OSError, Gone):
            os.close(writing)
            raise Gone from None
        finally:
            os.close(reading)

    def _answer(self) -> int:
        return _answered(self.socket)


class Forked:
    """A job's process, with the part of subprocess.Popen's interface that its worker needs."""

    def __init__(self, answers: socket.socket, pid: int, stdin: IO[bytes]) -> None:
        self.answers, self.pid, self.stdin = answers, pid, stdin
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code; negative, the signal that ended it.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        if self.returncode is None:
            if not select.select([self.answers], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(SERVER, timeout or 0)
            try:
                self.returncode = _answered(self.answers)
            except (OSError, Gone):  # whoever could tell is dead: the job saves and stops, as for a worker's death
                self.terminate()
                _await_end(self.pid)
                self.returncode = -signal.SIGKILL
        return self.returncode

    def terminate(self) -> None:
        """Let the job save and stop: it takes the end of its stream for that."""
        self.stdin.close()

    def kill(self) -> None:
        """End the job at once."""
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)


def _answered(answers: socket.socket) -> int:
    answer = answers.recv(_ANSWER.size, socket.MSG_WAITALL)
    if len(answer) < _ANSWER.size:
        raise Gone
    return int(_ANSWER.unpack(answer)[0])


def _await_end(pid: int) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return
    try:
        select.select([descriptor], [], [])
    finally:
        os.close(descriptor)


def main() -> None:
    """Fork a process for each request, until the worker at the other end of the socket is gone."""
    signal.pthread_sigmask(signal.SIG_BLOCK, QUEUES)  # they are news for the jobs, which listen once they can answer
    requests = socket.socket(fileno=int(sys.argv[1]))
    waiting.choose()
    _import_all()
    gc.freeze()  # a collection in a job would touch, and so copy, every page that they share
    while True:
        request, descriptors, _, _ = socket.recv_fds(requests, LONGEST, 2)
        if not request:
            return
        pid = os.fork()
        if pid == 0:
            requests.close()
            _become_job(descriptors, pickle.loads(request))  # from the worker that started this process
        for descriptor in descriptors:
            os.close(descriptor)
        try:
            requests.sendall(_ANSWER.pack(pid))
            requests.sendall(_ANSWER.pack(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))
        except OSError:
            return  # the worker is gone, and its job has noticed by itself


def _import_all() -> None:
    """Import what jobs do; nothing is computed, since a library's threads do not come along."""
    for name in IMPORTED:
        importlib.import_module(name)
    for name in PACKAGES:
        for module in pkgutil.iter_modules(importlib.import_module(name).__path__):
            importlib.import_module(f"{name}.{module.name}")


def _become_job(descriptors: list[int], environment: dict[str, str]) -> None:
    """Run the job that the stream tells of, in this process; does not return."""
    child = importlib.import_module(CHILD)
    os.setsid()
    stream, console = descriptors
    for descriptor, standard in ((stream, 0), (console, 1), (console, 2)):
        os.dup2(descriptor, standard)
    for descriptor in descriptors:
        os.close(descriptor)
    os.environ.update(environment)
    code = 1
    try:
        child.main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        _end(code)


def _end(code: int) -> NoReturn:
    """End as the interpreter does, but for tearing down all modules, which would copy every page (a second)."""
    try:
        for thread in threading.enumerate():
            if not thread.daemon and thread is not threading.current_thread():
                thread.join()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
