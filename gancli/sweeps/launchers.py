"""Settings of launchers that suit this machine, where the user has set none; what a sweep will cost."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from omegaconf import OmegaConf

from gancli.capacity import cores, free_bytes
from gancli.config.compose import Swept
from gancli.sweeps import machine, slurm

LOCAL = ("basic", "joblib", "submitit_local")
PARALLEL = ("joblib", "submitit_local")
SUBMITIT = ("submitit_local", slurm.LAUNCHER)
MONTH_MIN = 60 * 24 * 31


def at_once(swept: Swept, given: set[str]) -> int:
    """Return how many jobs run at once: as the user says in any of Hydra's words, else as many as the machine holds.

    Args:
        given: the keys that the user has set.
    """
    launcher, hydra = swept.choice("hydra/launcher"), swept.cfg.hydra
    if launcher == "basic":
        return 1
    if "hydra.launcher.n_jobs" in given:
        return _processes(hydra.launcher.n_jobs)
    for key in ("n_jobs", "max_batch_size"):
        if f"hydra.sweeper.{key}" in given and hydra.sweeper[key]:
            return int(hydra.sweeper[key])
    if launcher not in LOCAL:  # a cluster queues them; a study asks for as many as its plugin says, to learn from the others
        return hydra.sweeper.n_jobs if swept.choice("hydra/sweeper") == "optuna" else swept.count
    gpus = len(machine.gpus()) if machine.takes_one_gpu(swept.cfg) else 0
    return machine.jobs_at_once(gpus, cores(), free_bytes())


def launcher_overrides(swept: Swept, jobs: int, given: set[str]) -> list[str]:
    """Return overrides for the launcher's settings that the user has left open, `jobs` at once."""
    values = {
        "joblib": {"n_jobs": jobs},
        "submitit_local": {"timeout_min": MONTH_MIN},  # the plugin's own is an hour, after which jobs are killed
        slurm.LAUNCHER: {"max_num_timeout": slurm.MOST_REQUEUES},  # the plugin's own is 0: the first time limit is the end
    }.get(swept.choice("hydra/launcher"), {})
    more = ["++hydra.launcher.additional_parameters.requeue=true"] if swept.choice("hydra/launcher") == slurm.LAUNCHER else []
    return [*more, *(f"hydra.launcher.{key}={value}" for key, value in values.items() if f"hydra.launcher.{key}" not in given)]


@contextmanager
def shared_machine(swept: Swept, jobs: int) -> Iterator[None]:
    """Tell the processes of a local launcher their share of the cores, unless it is set, and which GPUs there are."""
    launcher = swept.choice("hydra/launcher")
    more = {}
    if launcher in SUBMITIT and "SUBMITIT_LOG_LEVEL" not in os.environ:
        more["SUBMITIT_LOG_LEVEL"] = "WARNING"  # it would print a line for each of its steps
    if launcher in PARALLEL:
        more[machine.GPUS] = ",".join(machine.gpus())
        if "OMP_NUM_THREADS" not in os.environ:
            more["OMP_NUM_THREADS"] = str(max(1, cores() // jobs))
    before = {key: os.environ.get(key) for key in more}
    os.environ.update(more)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value


def cost(swept: Swept, jobs: int) -> str:
    """Return how many jobs a sweep has and how long they are together, in words."""
    count = swept.count
    each = "one after the other" if jobs == 1 else f"{min(jobs, count)} at once"
    total = _kimg(swept)
    length = "" if total is None else f", {total:g} kimg in all"
    return f"{count} job{'s' if count > 1 else ''}{length}, {each}{_time_limit(swept)}"


def _time_limit(swept: Swept) -> str:
    """Return what becomes of a job that Slurm's time limit ends, in words; nothing for other launchers."""
    if swept.choice("hydra/launcher") != slurm.LAUNCHER:
        return ""
    launcher = swept.cfg.hydra.launcher
    return (f"; one that preemption or its time limit of {launcher.timeout_min} min ends saves {launcher.signal_delay_s} s "
            "before, goes back into the queue and continues (at most hydra.launcher.max_num_timeout= times)")


def _kimg(swept: Swept) -> float | None:
    """Return the length of all jobs together, in thousands of images; None where it is only known job by job."""
    lengths = swept.values.get("trainer.kimg")
    if lengths is not None:
        return swept.count / len(lengths) * sum(map(float, lengths)) if lengths else None
    if "trainer.epochs" in swept.values or OmegaConf.select(swept.cfg, "trainer.epochs") is not None:
        return None
    kimg = OmegaConf.select(swept.cfg, "trainer.kimg")
    if kimg is None and not swept.values.keys() & {"loss", "model", "experiment"}:
        recipes = (OmegaConf.select(swept.cfg, f"{group}.recipe.kimg") for group in ("loss", "model"))
        kimg = next((own for own in recipes if own), None)
    return None if kimg is None else swept.count * kimg


def _processes(n_jobs: int) -> int:
    """Return how many processes joblib starts for n_jobs: -1 is one a core, -2 one less."""
    return n_jobs if n_jobs > 0 else max(1, cores() + 1 + n_jobs)
