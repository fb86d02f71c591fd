"""Runs composed and planned inside the test process, as `gan train` plans them."""

from copy import deepcopy
from functools import cache
from pathlib import Path

from omegaconf import DictConfig
from systems import MODELS, small

from gancli.config.compose import compose
from gancli.engine.plan import Outcome, Plan
from gancli.engine.training import train
from gancli.plan.run import plan_run

TINY = ("dataset.size=8", "trainer.batch_size=4", "device=cpu", "evaluation.kimg=null")  # with any model
SMALL_NETWORKS = {name: small(name) for name in MODELS}


def plan(run_dir: Path, *overrides: str) -> Plan:
    """Return the plan of `gan train run_dir=... OVERRIDES`."""
    return _plan(overrides, "run_dir", run_dir)


def resume(run_dir: Path, *overrides: str) -> Plan:
    """Return the plan of `gan train resume=... OVERRIDES`."""
    return _plan(overrides, "resume", run_dir)


def run(run_dir: Path, *overrides: str) -> Outcome:
    """Train to the end."""
    return train(plan(run_dir, *overrides))


def _plan(overrides: tuple[str, ...], key: str, run_dir: Path) -> Plan:
    """Plan a composed configuration with a path in it that is put there afterwards: composing takes a tenth of a second."""
    cfg = deepcopy(_composed(overrides))
    cfg[key] = str(run_dir)
    return plan_run(cfg, [*overrides, f"{key}={run_dir}"])


@cache
def _composed(overrides: tuple[str, ...]) -> DictConfig:
    return compose("train", list(overrides))
