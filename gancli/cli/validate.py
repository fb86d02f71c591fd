"""`gan validate`: what `gan train` with the same arguments would do, without creating anything."""

from typing import Annotated, Any

import typer

from gancli.cli import bridge
from gancli.cli.options import ConfigDir, Overrides
from gancli.errors import UsageError
from gancli.sweeps.jobs import job, overrides

EXAMPLES = (
    "gan validate",
    "gan validate model=dcgan loss=wgan dataset=digits trainer.kimg=100",
    "gan validate price=true model=gan dataset.size=8",
    "gan validate -m price=true model=gan dataset.size=8 loss=nonsaturating,hinge seed=0,1",
)
PRICE = "price"


@job
def task(cfg: Any) -> None:
    """Print the report on one configuration."""
    from gancli.plan.validate import report

    print(report(cfg, overrides()))


@job
def priced(cfg: Any) -> None:
    """Print the report on one configuration with its measured price."""
    from gancli.plan.validate import report

    print(report(cfg, overrides(), priced=True))


def command(
    overrides: Overrides = None,
    multirun: Annotated[bool, typer.Option("--multirun", "-m", help="A line for each job of a sweep.")] = False,
    config_dir: ConfigDir = None,
) -> None:
    """Check a training command without running it; price=true measures how long it would take.

    Checks every rule, looks at the data and builds the networks without memory; prints players, parameters, the
    device, expected memory, the length of the run and what would be downloaded; creates nothing.  What it calls valid trains.

    With price=true it plays a few rounds of every phase, a grid, an evaluation and a checkpoint besides, in memory, and tells
    hours and the clock time of the end; of a sweep (-m) the sum over its jobs.
    """
    given, wanted = _without_price(overrides or [])
    if multirun:
        from gancli.plan.sweep_price import report

        for line in report(given, config_dir, wanted):
            print(line, flush=True)
        return
    bridge.run(priced if wanted else task, "train", given, config_dir=config_dir)


def _without_price(given: list[str]) -> tuple[list[str], bool]:
    """Take price= out of the overrides, which are a run's."""
    asked = [word.partition("=")[2].lower() for word in given if word.partition("=")[0] == PRICE]
    if any(word not in ("true", "false") for word in asked):
        raise UsageError(f"price takes true or false, not {asked[-1]}.")
    return [word for word in given if word.partition("=")[0] != PRICE], asked[-1:] == ["true"]
