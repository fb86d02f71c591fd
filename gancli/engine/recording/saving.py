"""Writing beside training: a checkpoint is copied at once, and goes to the disk while the next rounds are played."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor


def snapshot(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return copies of the tensors as they are now, on the CPU and in row-major order."""
    return {name: torch.empty(tensor.shape, dtype=tensor.dtype).copy_(tensor.detach()) for name, tensor in tensors.items()}


class Writer:
    """Does one job at a time in a thread of its own; what goes wrong there is raised by the next call of any method."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(1, "writer")  # its thread starts with the first job
        self._job: Future | None = None

    def start(self, job: Callable[[], None]) -> None:
        """Begin a job, after the one before it has ended."""
        self.wait()
        self._job = self._threads.submit(job)

    def check(self) -> None:
        """Raise what the last job raised, if it has ended; never waits."""
        if self._job is not None and self._job.done():
            self.wait()

    def wait(self) -> None:
        """Wait for the last job and raise what it raised, once."""
        job, self._job = self._job, None
        if job is not None:
            job.result()

    def close(self) -> BaseException | None:
        """Wait for the last job and return what it raised; no further one can be started."""
        job, self._job = self._job, None
        self._threads.shutdown()
        return None if job is None else job.exception()
