"""`gan sample`: draw images from a trained generator."""

from typing import Any

from gancli.cli.thin import thin_command
from gancli.sweeps.jobs import job

EXAMPLES = (
    "gan sample ckpt=outputs/train/RUN",
    "gan sample ckpt=RUN n=64 seed=1 out=grid.png",
    "gan sample ckpt=RUN@100 n=1000 out=images/",
)


@job
def task(cfg: Any) -> None:
    """Draw images from a trained generator.

    A grid, one PNG an image (out= is a folder) or an npz, as the ending of out= says; of text a .txt, one a line.
    stages=true shows how images come about, size= and tile=true make textures of any size, where the model can.

    ckpt= takes a checkpoint, a run directory, a run's id or a unique part of it, each with @kimg behind it.
    `gan sample --cfg job` prints every key.
    """
    from gancli.explore.sample import sample

    for path in sample(cfg):
        print(path)


command = thin_command(task, "sample")
