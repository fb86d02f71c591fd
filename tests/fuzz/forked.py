"""Work in a process forked from this warm one, with limits on memory and time; what it returns comes back."""

import json
import os
import resource
import signal
from collections.abc import Callable
from typing import Any

MEMORY = 2 << 30  # bytes beyond what the parent has
SECONDS = 20  # of the processor's time
WAITS = 15  # so many times as long by the clock: a machine may be busy with others, and what hangs takes no time


def forked(work: Callable[[], Any], seconds: int = SECONDS) -> Any:
    """Return what `work` returns (JSON types), or how its process died."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        try:
            _limit(seconds)
            text = json.dumps(work())
        except BaseException as error:
            text = json.dumps({"died": f"{type(error).__name__}: {error}"[:2000]})
        os.write(writer, text.encode()[:60_000])
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as file:
        text = file.read()
    status = os.waitpid(child, 0)[1]
    return json.loads(text) if text else {"died": f"by {status}"}


def _limit(seconds: int) -> None:
    pages = int(open("/proc/self/statm").read().split()[0])
    size = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    signal.alarm(WAITS * seconds)
