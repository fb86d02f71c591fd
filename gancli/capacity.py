"""What this process may use of its machine: cores and memory, as far as a container's limits let it; imports no torch."""

import os
from pathlib import Path

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]

MEMINFO = Path("/proc/meminfo")
STATM = Path("/proc/self/statm")
ALLOCATED = "SLURM_CPUS_ON_NODE"  # of a job of Slurm
LIMITS = Path("/sys/fs/cgroup")  # of a container, as cgroup v2 shows them inside it


def cores() -> int:
    """Return how many cores this process may use: its affinity mask, what Slurm has given its job, and a container's quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    given = os.environ.get(ALLOCATED, "")  # where Slurm does not bind jobs to their processors
    count = max(1, min(count, int(given))) if given.isdecimal() else count
    try:
        quota, period = (LIMITS / "cpu.max").read_text().split()
        return max(1, min(count, int(quota) // int(period)))
    except (OSError, ValueError):  # no cgroup v2, or "max"
        return count


def free_bytes() -> int | None:
    """Return how much memory this process can still take: of the machine, of a container's limit and of `ulimit -v`.

    None where the system does not say (not Linux).
    """
    try:
        free = _numbers(MEMINFO.read_text())["MemAvailable:"] * 1024
    except (OSError, KeyError, ValueError):
        return None
    try:
        limit, taken = (int((LIMITS / f"memory.{name}").read_text()) for name in ("max", "current"))
        free = min(free, limit - taken + _reclaimable())
    except (OSError, ValueError):  # no cgroup v2, or "max"
        pass
    return max(0, min(free, _of_own_limit(free)))


def lacks_memory(error: BaseException) -> bool:
    """Whether an exception says that memory is exhausted, the machine's or a device's."""
    return (isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
            or isinstance(error, RuntimeError) and "can't allocate memory" in str(error))


def _of_own_limit(unlimited: int) -> int:
    """Return the bytes of address space that `ulimit -v` leaves to this process."""
    limit = -1 if resource is None else resource.getrlimit(resource.RLIMIT_AS)[0]
    if resource is None or limit == resource.RLIM_INFINITY:
        return unlimited
    try:
        return limit - int(STATM.read_text().split()[0]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return unlimited


def _reclaimable() -> int:
    """Return the bytes of files that were read and not since: they count as taken, and make room where it is wanted."""
    try:
        return _numbers((LIMITS / "memory.stat").read_text())["inactive_file"]
    except (OSError, KeyError, ValueError):
        return 0


def _numbers(text: str) -> dict[str, int]:
    """Return the lines `name number [unit]` of a file of the kernel's."""
    return {words[0]: int(words[1]) for words in map(str.split, text.splitlines()) if len(words) > 1}
