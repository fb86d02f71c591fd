"""What ends a run after the turn that is being played: SIGTERM, Ctrl-C, a terminal that is gone (SIGHUP), a queue's warning.

Queues warn a job of its time limit or of its preemption by SIGUSR1 or SIGUSR2 (`#SBATCH --signal`, submitit).
"""

import signal
import threading


def stop_signals() -> tuple[signal.Signals, ...]:
    """Return the signals by which this process is asked to stop; those of no terminal unless ignored, as under nohup."""
    there = (getattr(signal, name, None) for name in ("SIGHUP", "SIGUSR1", "SIGUSR2"))  # POSIX has them
    listens = [number for number in there if number is not None and signal.getsignal(number) != signal.SIG_IGN]
    return (signal.SIGTERM, signal.SIGINT, *listens)


class StopRequest:
    """While it is entered, the first signal asks the run to stop and a second Ctrl-C ends the process at once."""

    def __init__(self) -> None:
        self.why: str | None = None

    def __enter__(self) -> "StopRequest":
        self._previous = {}
        if threading.current_thread() is threading.main_thread():  # elsewhere Python forbids handlers
            self._previous = {number: signal.signal(number, self._handle) for number in stop_signals()}
        return self

    def __exit__(self, *exception) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame) -> None:
        if self.why is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.why = signal.Signals(number).name
