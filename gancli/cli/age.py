"""`gan age`: images at every value of an ordered label."""

import sys
from typing import Any

from gancli.cli.thin import thin_command
from gancli.sweeps.jobs import job

EXAMPLES = (
    "gan age ckpt=RUN",
    "gan age ckpt=RUN input=pictures/ n=4",
    "gan age ckpt=RUN input=pictures/ loop=true out=ages.gif",
)


@job
def task(cfg: Any) -> None:
    """Show images at every age, or at every class of any ordered label.

    Each is encoded and decoded with one class after the other, which is `gan traverse factor=label` on images: a row an
    image in a grid, a GIF or an MP4 that blends neighboring classes, or one PNG a class, as the ending of out= says. Classes
    go by the numbers in their names (0-5, 6-10, 71+), where all have some.

    ckpt= takes a checkpoint, a run directory, a run's id or a unique part of it, each with @kimg behind it. The model must
    encode and take labels: caae.
    `gan age --cfg job` prints every key.
    """
    from gancli.explore.age import age

    done = age(cfg)
    for note in done.notes:
        print(note, file=sys.stderr)
    for path in done.files:
        print(path)


command = thin_command(task, "age")
