"""`gan train`: train one run, continue one, or sweep over many."""

from typing import Annotated, Any

import typer

from gancli.cli import bridge
from gancli.cli.options import Cfg, ConfigDir, Info, Overrides, Package, Resolve
from gancli.sweeps.jobs import Stopped, job, job_dir, overrides

EXAMPLES = (
    "gan train",
    "gan train model=dcgan loss=wgan_gp dataset=fashion_mnist trainer.kimg=300",
    "gan train dataset=folder dataset.path=~/pictures dataset.size=64 device=cpu",
    "gan train optimizer=adam optimizer.lr=1e-4 optimizer.discriminator.lr=4e-4 trainer.ema_kimg=null",
    "gan train resume=RUN trainer.kimg=500",
    "gan train -m loss=nonsaturating,wgan_gp seed=0,1",
    "gan train -m hydra/launcher=joblib model=gan seed=0,1",
    "gan train model=gan --cfg job --resolve",
)
EXIT_CODES = """Exit status:
  0  finished
  1  the run, or a job of a multirun, failed
  2  the command line or the configuration is wrong; nothing was created
  3  stopped by Ctrl-C, SIGTERM or a queue's warning (SIGUSR1, SIGUSR2) after saving; resume= continues it, a sweep too"""


@job
def task(cfg: Any) -> float | None:
    """Train one run; return its objective, which sweepers minimize or maximize."""
    from gancli.engine.training import train
    from gancli.plan.run import plan_run
    from gancli.ranks.agreeing import made_by_first
    from gancli.ranks.joining import under_launcher

    with under_launcher():
        outcome = train(made_by_first(lambda: plan_run(cfg, overrides(), job_dir())))
    if outcome.status == "stopped":
        raise Stopped  # the engine has said where, and how to continue
    return outcome.objective


def command(
    overrides: Overrides = None,
    multirun: Annotated[bool, typer.Option("--multirun", "-m", help="One run for each combination of a,b values; a "
                                           "failed one does not stop the others.")] = False,
    cfg: Cfg = None,
    resolve: Resolve = False,
    package: Package = None,
    info: Info = None,
    config_dir: ConfigDir = None,
) -> None:
    """Train a GAN, or continue a run or a sweep with resume=RUN.

    Without any KEY=VALUE a DCGAN learns the embedded digits.  `gan list models` (losses, datasets, optimizers)
    names the choices, `gan train --cfg job` prints every key, `gan validate` tells what a command would do.
    """
    sweep = bridge.run(task, "train", overrides or [], multirun=multirun, cfg=cfg, info=info, resolve=resolve,
                       package=package, config_dir=config_dir, resumes_sweeps=True)
    if sweep is not None:
        from gancli.cli.sweep_report import report

        report(sweep)
