"""`gan traverse`: one factor at a time."""

import sys
from typing import Any

from gancli.cli.thin import thin_command
from gancli.sweeps.jobs import job

EXAMPLES = (
    "gan traverse ckpt=outputs/train/RUN",
    "gan traverse ckpt=RUN factor=z:3 seeds=[1,2,3]",
    "gan traverse ckpt=RUN factor=pc:1 method=sefa range=4 loop=true out=direction.gif",
)


@job
def task(cfg: Any) -> None:
    """Move one factor, everything else left as it is.

    A code by its name (c1), a latent (z:3), a principal direction (pc:0) or the label of a conditional model (label): a row a
    seed, or with input= an image of your own, in a grid, a GIF, an MP4 or one PNG a step, as the ending of out= says.

    ckpt= takes a checkpoint, a run directory, a run's id or a unique part of it, each with @kimg behind it.
    `gan traverse --cfg job` prints every key.
    """
    from gancli.explore.traverse import traverse

    done = traverse(cfg)
    for note in done.notes:
        print(note, file=sys.stderr)
    for path in done.files:
        print(path)


command = thin_command(task, "traverse")
