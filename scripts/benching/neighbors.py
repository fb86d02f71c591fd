"""Programs that compute beside what is timed, as on a laptop or a shared server."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def neighbors(count: int) -> Iterator[list[subprocess.Popen]]:
    """Keep so many cores busy by programs of one thread each while the block runs."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield busy
    finally:
        for process in busy:
            process.kill()
            process.wait()
