"""What is done for a sweep as a whole while its jobs run: its status.json is renewed, and sweep.keep carried out."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from gancli.runs.files import SWEEP
from gancli.runs.progress import progress_of, write_progress
from gancli.runs.status import Status
from gancli.sweeps.keeping import delete_rest
from gancli.sweeps.matching import KEEP

FASTEST_S, SHARE = 2.0, 0.05  # of the time may go into reading hundreds of records

Jobs = Callable[[], Mapping[Path, Status]]


class Tending:
    """A sweep's status.json, and the checkpoints that it keeps."""

    def __init__(self, folder: Path, count: int, started: str, jobs: Jobs, lower_is_better: bool, best: int | None) -> None:
        self.folder, self.count, self.started, self.jobs = folder, count, started, jobs
        self.lower_is_better, self.best = lower_is_better, best

    def look(self, status: str) -> None:
        """Write how far the jobs are, and delete what is not to be kept; nothing before there are jobs."""
        if not (self.folder / SWEEP).exists():
            return
        jobs = self.jobs()
        if self.best is not None:
            thinned = delete_rest(jobs, self.best, self.lower_is_better)
            if thinned:
                names = ", ".join(str(path.relative_to(self.folder)) for path in thinned)
                print(f"{KEEP}=best:{self.best}: the checkpoints of {names} are deleted", flush=True)
        write_progress(self.folder, progress_of(status, self.count, jobs, self.folder, self.lower_is_better, self.started))

    def verdict(self, interrupted: bool) -> str:
        """Return how the sweep ended."""
        standings = {status.status for status in self.jobs().values()}
        if interrupted or standings & {"stopped", "running", "not started"}:
            return "stopped"
        return "failed" if standings - {"finished"} else "finished"


@contextmanager
def tended(tending: Tending) -> Iterator[None]:
    """Look after a sweep for as long as a block runs."""
    ended = threading.Event()

    def tend() -> None:
        pause = FASTEST_S
        while not ended.wait(pause):
            begun = time.monotonic()
            try:
                tending.look("running")
            except OSError:  # a full disk, a folder that is gone: the jobs meet it themselves
                pass
            pause = max(FASTEST_S, (time.monotonic() - begun) / SHARE)

    thread = threading.Thread(target=tend, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
