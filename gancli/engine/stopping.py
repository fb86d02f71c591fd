"""SIGTERM, Ctrl-C and a terminal that is gone (SIGHUP) end a run after the turn that is being played."""

import signal
import threading


def stop_signals() -> tuple[signal.Signals, ...]:
    """Return the signals by which this process is asked to stop; SIGHUP unless it is ignored, as under nohup."""
    hangup = getattr(signal, "SIGHUP", None)
    listens = hangup is not None and signal.getsignal(hangup) != signal.SIG_IGN
    return (signal.SIGTERM, signal.SIGINT, *([hangup] if listens else []))


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
