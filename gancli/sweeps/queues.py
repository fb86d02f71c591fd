"""The signals with which a queue ends or warns a job, held back while a process starts that has no handlers for them yet."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

QUEUES = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGUSR1", "SIGUSR2") if hasattr(signal, name))


@contextmanager
def held_back() -> Iterator[None]:
    """Block the signals of a queue, which may reach a process that starts meanwhile before it has handlers for them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, QUEUES)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
