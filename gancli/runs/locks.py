"""Locks that end with their process, however it ends."""

from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows has no such lock
    fcntl = None  # type: ignore[assignment]


def try_lock(path: Path) -> IO[str] | None:
    """Take the lock `path` until the returned file is closed or this process ends; None while another process has it.

    Where files cannot be locked (Windows, some network file systems) everybody gets it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = open(path, "a+", encoding="utf-8")
    if fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        except OSError:
            pass
    return file
