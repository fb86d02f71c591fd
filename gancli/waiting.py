"""How the threads of a computation wait for each other: chosen before torch loads, by what else the machine does.

Threads of OpenMP that wait for each other spin for some milliseconds before they sleep.  On quiet cores that is the fastest;
beside another busy process the one that spins holds the core which the one that it waits for needs, and a training falls to a
fraction of its speed.  How they wait changes no number.  `OMP_WAIT_POLICY`, `GOMP_SPINCOUNT` or `KMP_BLOCKTIME` in the
environment count before what is chosen here.  Imports no torch.
"""

import os
import sys
import time
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path

from gancli.capacity import cores

SAID = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
STAT = Path("/proc/stat")
SHORTEST_S = 0.2  # of a measurement: the kernel counts hundredths of a second
TAKEN = 0.25  # cores that others keep busy before it matters


@dataclass(frozen=True)
class Moment:
    """Seconds until now: of the clock, of all cores that were busy, and of this process and its children's computing."""

    clock: float
    machine: float
    own: float

    @classmethod
    def now(cls) -> "Moment | None":
        """Return this moment; None where the system does not tell (not Linux)."""
        try:
            ticks = [int(word) for word in STAT.read_text().split("\n", 1)[0].split()[1:9]]
            second = os.sysconf("SC_CLK_TCK")
        except (OSError, ValueError, AttributeError):
            return None
        idle = ticks[3] + ticks[4]  # waiting for a disk is not computing
        own = os.times()
        return cls(time.monotonic(), (sum(ticks) - idle) / second,
                   own.user + own.system + own.children_user + own.children_system)


BEGUN = Moment.now()  # as early as the command line is imported
_said: list[str] = []  # what was chosen in this process, in a sentence


def others_cores(since: Moment | None, now: Moment | None) -> float:
    """Return how many cores other processes kept busy between two moments, on average; 0 where nobody knows."""
    if since is None or now is None or now.clock <= since.clock:
        return 0.0
    return max(0.0, ((now.machine - since.machine) - (now.own - since.own)) / (now.clock - since.clock))


def crowded(others: float, threads: int) -> bool:
    """Whether so many threads would have to share cores with others who keep `others` of the machine's busy."""
    return threads > 1 and others >= TAKEN and threads + others >= (os.cpu_count() or 1) + TAKEN


def choose(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let threads sleep at once where the machine is busy; to be called before torch is imported, which reads it then."""
    threads = _threads(environment)
    if "torch" in sys.modules or BEGUN is None or not spins(environment) or threads == 1:
        return
    time.sleep(max(0.0, BEGUN.clock + SHORTEST_S - time.monotonic()))
    others = others_cores(BEGUN, Moment.now())
    if not crowded(others, threads):
        return
    environment["OMP_WAIT_POLICY"] = "passive"
    _said.append(f"Other processes keep {others:.1f} of {os.cpu_count()} cores busy: threads sleep while they wait for each "
                 "other (OMP_WAIT_POLICY=passive), which is faster here and changes no number.")


def said() -> list[str]:
    """Return what was chosen in this process, for its record; [] where nothing was."""
    return list(_said)


def spins(environment: MutableMapping[str, str] = os.environ) -> bool:
    """Whether threads spin while they wait, as far as the environment tells."""
    return not any(name in environment for name in SAID)


def _threads(environment: MutableMapping[str, str]) -> int:
    """Return how many threads torch will compute with."""
    try:
        return max(1, int(environment.get("OMP_NUM_THREADS", "").split(",")[0]))
    except ValueError:
        return cores()
