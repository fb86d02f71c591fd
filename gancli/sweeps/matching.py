"""Which commands are the same sweep, and how a job of it stands (torch-free)."""

from collections.abc import Sequence
from pathlib import Path

from gancli.config.resume import FREE, LENGTH
from gancli.runs.status import read_status
from gancli.runs.sweeps import FILE, key_of

KEEP = "sweep.keep"
QUIET_S = 1800  # a run on another host of which no file has changed for so long is taken for dead
SEARCH = ("hydra/sweeper", "hydra.sweeper.params", "hydra.sweeper.search_space", "hydra.sweep.subdir")


def standing(job: Path, overrides: Sequence[str], sweep: Path) -> str:
    """Return how a job of a sweep stands: finished, running, or open (to be started or continued).

    A run of this host runs while its process lives.  Of another host's run only its files are seen: it runs
    while one of them has changed in the last QUIET_S seconds by the file system's own clock.

    Args:
        overrides: the job's as this command asks for; a finished job that is asked for another length is open.
        sweep: the folder of the sweep, whose sweep.json has just been written.
    """
    status = read_status(job)
    if status is None:
        return "open"
    if status.status == "finished":
        return "finished" if lengths(status.overrides) == lengths(overrides) else "open"
    if status.status != "running":
        return "open"
    if status.is_local:
        return "running"
    return "running" if _clock(sweep) - _last_change(job) < QUIET_S else "open"


def lengths(overrides: Sequence[str]) -> dict[str, str]:
    """Return what overrides say about the length of a run."""
    return {key_of(override): override.partition("=")[2] for override in overrides if key_of(override) in LENGTH}


def changeable(overrides: Sequence[str], swept: Sequence[str]) -> frozenset[str]:
    """Return the keys of a command that a repeated sweep may change for all of its jobs."""
    return frozenset(key_of(override) for override in overrides) & frozenset((*FREE, KEEP)) - frozenset(swept)


def differences(stored: Sequence[str], asked: Sequence[str], swept: Sequence[str]) -> list[str]:
    """Return in what two commands differ as sweeps, a clause each; empty where `asked` continues `stored`.

    How the jobs are launched, how many trials a study has and what a single run may change may differ.
    """
    old, new = _searched(stored, swept), _searched(asked, swept)
    found = []
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            there, here = (f"{key}={values[key]}" if key in values else "not given" for values in (old, new))
            found.append(f"{there} in the sweep and {here} here" if key in old else f"{here} is not part of the sweep")
    return found


def _searched(overrides: Sequence[str], swept: Sequence[str]) -> dict[str, str]:
    """Return the overrides that make a sweep what it is, by key."""
    found = {}
    for override in overrides:
        key = key_of(override)
        own = not key.startswith("hydra") or any(key == name or key.startswith(f"{name}.") for name in SEARCH)
        if own and (key not in (*FREE, KEEP) or key in swept):
            found[key] = override.partition("=")[2]
    return found


def _clock(sweep: Path) -> float:
    return (sweep / FILE).stat().st_mtime


def _last_change(job: Path) -> float:
    return max(path.stat().st_mtime for path in (job, *job.iterdir()))
