"""`gan sample`: draw images from a trained generator."""

from typing import Any

from gancli.cli import bridge
from gancli.cli.options import Cfg, ConfigDir, Overrides, Package, Resolve
from gancli.sweeps.jobs import job

EXAMPLES = (
    "gan sample ckpt=outputs/train/RUN",
    "gan sample ckpt=RUN n=64 seed=1 out=grid.png",
    "gan sample ckpt=RUN@100 n=1000 out=images/",
)


@job
def task(cfg: Any) -> None:
    """Write the images and print where they are."""
    from gancli.explore.sample import sample

    for path in sample(cfg):
        print(path)


def command(
    overrides: Overrides = None,
    cfg: Cfg = None,
    resolve: Resolve = False,
    package: Package = None,
    config_dir: ConfigDir = None,
) -> None:
    """Draw images from a trained generator.

    A grid, one PNG an image (out= is a folder) or an npz, as the ending of out= says.

    ckpt= takes a checkpoint, a run directory, a run's id or a unique part of it, each with @kimg behind it.
    `gan sample --cfg job` prints every key.
    """
    bridge.run(task, "sample", overrides or [], cfg=cfg, resolve=resolve, package=package, config_dir=config_dir)
