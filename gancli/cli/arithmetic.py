"""`gan arithmetic`: add and subtract latents."""

from typing import Any

from gancli.cli.thin import thin_command
from gancli.sweeps.jobs import job

EXAMPLES = (
    "gan arithmetic ckpt=outputs/train/RUN plus=[1,2,3] minus=[4,5,6] to=[7,8,9]",
    "gan arithmetic ckpt=RUN plus=[1,2,3] minus=[4,5,6] to=[7,8,9] strength=0.5 noise=0.1 out=halfway.png",
)


@job
def task(cfg: Any) -> None:
    """Show to + plus - minus, each the mean latent of a group.

    A group is a list of seeds or, for a model with an encoder, a folder of images. The figure shows each group above its
    mean, and the result amid images of latents near it.

    ckpt= takes a checkpoint, a run directory, a run's id or a unique part of it, each with @kimg behind it.
    `gan arithmetic --cfg job` prints every key.
    """
    from gancli.explore.arithmetic import arithmetic

    for path in arithmetic(cfg):
        print(path)


command = thin_command(task, "arithmetic")
