"""`gan validate`: what `gan train` with the same arguments would do, without creating anything."""

from typing import Any

from gancli.cli import bridge
from gancli.cli.options import ConfigDir, Overrides
from gancli.sweeps.jobs import job, overrides

EXAMPLES = (
    "gan validate",
    "gan validate model=dcgan loss=wgan dataset=digits trainer.kimg=100",
)


@job
def task(cfg: Any) -> None:
    """Print the report on one configuration."""
    from gancli.plan.validate import report

    print(report(cfg, overrides()))


def command(overrides: Overrides = None, config_dir: ConfigDir = None) -> None:
    """Check a training command without running it.

    Checks every rule, looks at the data and builds the networks without memory; prints players, parameters, the
    device, expected memory and the length of the run; creates nothing.  What it calls valid trains.
    """
    bridge.run(task, "train", overrides or [], config_dir=config_dir)
