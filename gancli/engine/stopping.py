"""What ends a run after the turn that is being played: SIGTERM, Ctrl-C, a terminal that is gone (SIGHUP), a queue's warning.

Queues warn a job of its time limit or of its preemption by SIGUSR1 or SIGUSR2 (`#SBATCH --signal`, submitit).
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def stop_signals() -> tuple[signal.Signals, ...]:
    """Return the signals by which this process is asked to stop; those of no terminal unless ignored, as under nohup."""
    there = (getattr(signal, name, None) for name in ("SIGHUP", "SIGUSR1", "SIGUSR2"))  # POSIX has them
    listens = [number for number in there if number is not None and signal.getsignal(number) != signal.SIG_IGN]
    return (signal.SIGTERM, signal.SIGINT, *listens)


@contextmanager
def handlers_restored() -> Iterator[None]:
    """Put back at the end of a block what answered the stop signals at its beginning."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.getsignal(number) for number in stop_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _heard_already(number: int, frame: Any) -> None:
    """Let a run that was told to stop finish its record: queues tell it more than once, and by several processes."""


class StopRequest:
    """While it is entered, the first signal asks the run to stop and a second Ctrl-C ends the process at once.

    A run that was told so is deaf to all but Ctrl-C until `handlers_restored` ends around it.
    """

    def __init__(self) -> None:
        self.why: str | None = None

    def __enter__(self) -> "StopRequest":
        self._previous = {}
        if threading.current_thread() is threading.main_thread():  # elsewhere Python forbids handlers
            self._previous = {number: signal.signal(number, self._handle) for number in stop_signals()}
        return self

    def __exit__(self, *exception) -> None:
        for number, handler in self._previous.items():
            told = self.why is not None and number != signal.SIGINT
            signal.signal(number, _heard_already if told else handler)

    def _handle(self, number: int, frame) -> None:
        if self.why is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.why = self.why or signal.Signals(number).name  # a queue's warning comes a second time, as its worker's SIGTERM
