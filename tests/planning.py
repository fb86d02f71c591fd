"""Runs composed and planned inside the test process, as `gan train` plans them."""

from copy import deepcopy
from functools import cache
from pathlib import Path

from omegaconf import DictConfig

from gancli.config.compose import compose
from gancli.engine.plan import Outcome, Plan
from gancli.engine.training import train
from gancli.plan.run import plan_run

TINY = ("dataset.size=8", "trainer.batch_size=4", "device=cpu", "evaluation.kimg=null")  # with any model
SMALL_NETWORKS = {  # the least that still has every part of the architecture
    "gan": ("model.generator_units=16", "model.discriminator_units=8"),
    "dcgan": ("model.width=4",),
    "cgan": ("model.latent_units=8", "model.label_units=8", "model.joint_units=16", "model.maxout_units=8",
             "model.label_maxout_units=4", "model.width=4"),
    "bigan": ("model.units=16", "model.width=4"),
    "cyclegan": ("model.width=4", "model.blocks=1", "model.pool_size=6"),
}


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
