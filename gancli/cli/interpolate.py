"""`gan interpolate`: walk through latent space."""

from typing import Any

from gancli.cli.thin import thin_command
from gancli.sweeps.jobs import job

EXAMPLES = (
    "gan interpolate ckpt=outputs/train/RUN",
    "gan interpolate ckpt=RUN seeds=[1,2,3] loop=true out=walk.gif",
    "gan interpolate ckpt=RUN seeds=[4,4] label=[3,8] steps=16 out=three-to-eight.png",
    "gan interpolate ckpt=RUN path=linear steps=60 out=walk.mp4",
)


@job
def task(cfg: Any) -> None:
    """Walk through latent space from seed to seed.

    A grid, a GIF, an MP4 or one PNG a step, as the ending of out= says.

    ckpt= takes a checkpoint, a run directory, a run's id or a unique part of it, each with @kimg behind it.
    `gan interpolate --cfg job` prints every key.
    """
    from gancli.explore.interpolate import interpolate

    for path in interpolate(cfg):
        print(path)


command = thin_command(task, "interpolate")
