"""Runs composed and planned inside the test process, as `gan train` plans them."""

from pathlib import Path

from gancli.config.compose import compose
from gancli.config.run import plan_run
from gancli.engine.plan import Outcome, Plan
from gancli.engine.training import train

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
    given = [*overrides, f"run_dir={run_dir}"]
    return plan_run(compose("train", given), given)


def resume(run_dir: Path, *overrides: str) -> Plan:
    """Return the plan of `gan train resume=... OVERRIDES`."""
    given = [*overrides, f"resume={run_dir}"]
    return plan_run(compose("train", given), given)


def run(run_dir: Path, *overrides: str) -> Outcome:
    """Train to the end."""
    return train(plan(run_dir, *overrides))
