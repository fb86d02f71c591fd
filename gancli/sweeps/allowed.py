"""What is taken from a sweep's record when it is continued: a list of what is allowed, since the record may be a stranger's.

Hydra runs code by its overrides (callbacks, a launcher's setup, a sweeper's search space), so of its keys few are taken.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from gancli.config import groups
from gancli.errors import UserError
from gancli.runs.config import printable
from gancli.runs.sweeps import FILE, SweepRecord, key_of

_WHOLE = re.compile(r"\d{1,9}")
_SIGNED = re.compile(r"-?\d{1,9}")
_SUBDIR = re.compile(r"(?!/)(?:[^${}]|\$\{[\w./]+\})+")  # references to other keys, but no resolver's work
_NAMES = re.compile(r"[\w\s,()'\"-]+")  # of a group's options: a path would bring another folder's
_PARTITION = re.compile(r"[\w.-]{1,64}")
_KEY = re.compile(r"[\w.]+")
_ELSEWHERE = ("run_dir", "resume")  # a job lies where its sweep does
LAUNCHERS = ("basic", "joblib", "submitit_local", "submitit_slurm", "ray")
SWEEPERS = ("basic", "optuna")
SAMPLERS = ("tpe", "random", "cmaes", "nsgaii", "motpe", "grid")


def _one_of(names: Sequence[str]) -> Callable[[str], bool]:
    return lambda value: value in names


_HYDRA: dict[str, Callable[[str], bool]] = {
    "hydra/launcher": _one_of(LAUNCHERS),
    "hydra/sweeper": _one_of(SWEEPERS),
    "hydra/sweeper/sampler": _one_of(SAMPLERS),
    "hydra.launcher.n_jobs": lambda value: _SIGNED.fullmatch(value) is not None,
    "hydra.launcher.partition": lambda value: _PARTITION.fullmatch(value) is not None,
    "hydra.sweeper.direction": _one_of(("minimize", "maximize")),
    "hydra.sweep.subdir": lambda value: _SUBDIR.fullmatch(value.strip("'\"")) is not None and ".." not in value,
} | dict.fromkeys(("hydra.launcher.timeout_min", "hydra.launcher.cpus_per_task", "hydra.launcher.gpus_per_node",
                   "hydra.launcher.mem_gb", "hydra.launcher.nodes", "hydra.launcher.tasks_per_node",
                   "hydra.launcher.array_parallelism", "hydra.launcher.signal_delay_s", "hydra.launcher.max_num_timeout",
                   "hydra.sweeper.n_jobs", "hydra.sweeper.n_trials",
                   "hydra.sweeper.max_batch_size", "hydra.sweeper.sampler.seed"),
                  lambda value: _WHOLE.fullmatch(value) is not None)


def stored_overrides(folder: Path, record: SweepRecord, replaced: Callable[[str], bool], tops: set[str]) -> list[str]:
    """Return the overrides of a sweep's record that its continuation is given.

    Args:
        replaced: whether the user has given a key anew, so that the record's word is not needed.
        tops: the keys at the top of the command's configuration.

    Raises:
        UserError: the record has an override that is not taken from a file; the user may give it again.
    """
    taken = [override for override in record.overrides if not replaced(key_of(override))]
    for override in taken:
        key, equals, value = override.partition("=")
        if not equals or not _is_allowed(key, value, record.config_name, tops):
            told = printable(key)[:80]
            raise UserError(f"{folder / FILE} says {told}={printable(value)[:80]}, which is not taken from a file, since it "
                            f"may run code or write elsewhere: give {told}=... again beside resume=, if you trust it.")
    return taken


def _is_allowed(key: str, value: str, config_name: str, tops: set[str]) -> bool:
    if "_target_" in value or key in groups.groups(config_name) and not _NAMES.fullmatch(value):
        return False
    if key in _HYDRA:
        return _HYDRA[key](value)
    return (_KEY.fullmatch(key) is not None and key.split(".")[0] in tops - {"hydra"} and key not in _ELSEWHERE
            and "${" not in value)
