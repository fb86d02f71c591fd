"""Switches that reach from a loss into the layers' gradients: `with inputs_only(): ...`."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Switch:
    """Something that is on for as long as a block runs, in the thread that runs it."""

    def __init__(self) -> None:
        self._state = threading.local()

    @property
    def on(self) -> bool:
        """Whether a block of this thread has it on."""
        return getattr(self._state, "on", False)

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Have it on for a block."""
        before, self._state.on = self.on, True
        try:
            yield
        finally:
            self._state.on = before


inputs_only = Switch()  # no weight's gradient is asked for: autograd does not tell a Function of ours by itself
library_kernels = Switch()  # the library's kernels only: to compare ours with, and to count operations
halves_apart = Switch()  # a batch is real examples, then as many generated ones: batch statistics are those of each half
