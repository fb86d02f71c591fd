"""Ctrl-C and SIGTERM while a sweep runs: the running jobs save and stop, no other starts."""

import _thread
import signal
import threading
from contextlib import contextmanager
from pathlib import Path

from gancli.monitor.terminal import tell
from gancli.sweeps.isolation import STOP

SIGNALS = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))


class StopFile:
    """Turns the first signal into the file that the workers of a sweep look at, a second Ctrl-C into the end at once.

    Launchers' processes inherit that the signals are blocked: a terminal sends Ctrl-C to all of them, and a worker
    that died of it would take the jobs with it before they have saved.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / STOP

    @property
    def asked(self) -> bool:
        """Whether the sweep is to stop."""
        return self.path.exists()

    def __enter__(self) -> "StopFile":
        self.path.unlink(missing_ok=True)
        self._waiter = None
        if threading.current_thread() is not threading.main_thread():
            return self
        self._signals = _listened()
        self._previous = {number: signal.signal(number, self._handle) for number in self._signals}
        if self._signals and hasattr(signal, "pthread_sigmask"):
            self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, self._signals)
            self._ended = False
            self._waiter = threading.Thread(target=self._wait, daemon=True)
            self._waiter.start()
        return self

    def __exit__(self, *exception) -> None:
        self.path.unlink(missing_ok=True)
        if threading.current_thread() is not threading.main_thread():
            return
        if self._waiter is not None:
            self._ended = True
            signal.pthread_kill(self._waiter.ident, self._signals[0])  # in a script's background SIGINT is ignored
            self._waiter.join()
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _wait(self) -> None:
        """Wait for the blocked signals."""
        while True:
            number = signal.sigwait(self._signals)
            if self._ended:
                return
            self._handle(number, None)

    def _handle(self, number: int, frame) -> None:
        if not self.path.exists():
            self.path.touch()
            tell("Stopping: the running jobs save first (Ctrl-C again ends at once).")
        elif number == signal.SIGINT and threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt
        elif number == signal.SIGINT:
            _thread.interrupt_main()  # calls this handler there


@contextmanager
def terminate_as_interrupt():
    """Let SIGTERM and SIGHUP end a sweep in this process as Ctrl-C does: the job that is played saves first."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame) -> None:
        raise KeyboardInterrupt

    previous = {number: signal.signal(number, interrupt) for number in _listened() if number != signal.SIGINT}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _listened() -> tuple[signal.Signals, ...]:
    """Return the signals that stop a sweep; not those that are ignored, as SIGHUP is under nohup."""
    return tuple(number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN)
