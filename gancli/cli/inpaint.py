"""`gan inpaint`: images with a hole, and what a model puts into it."""

import sys
from typing import Any

from gancli.cli.thin import thin_command
from gancli.sweeps.jobs import job

EXAMPLES = (
    "gan inpaint ckpt=RUN",
    "gan inpaint ckpt=RUN input=pictures/ mask=center out=filled/",
    "gan inpaint ckpt=RUN n=16 seed=1 out=holes.png",
)


@job
def task(cfg: Any) -> None:
    """Fill holes in images.

    One PNG an image, under its own name (out= is a folder), or a grid with each image above its hole and its filling
    (out=*.png). Outside of the hole nothing is changed. Images are brought to the size and the channels that the model was
    trained on, and so is a mask's file, which is white where the hole is.

    ckpt= takes a checkpoint, a run directory, a run's id or a unique part of it, each with @kimg behind it. The model must
    fill holes: context_encoder.
    `gan inpaint --cfg job` prints every key.
    """
    from gancli.explore.inpaint import inpaint

    report = inpaint(cfg)
    for note in report.notes:
        print(note, file=sys.stderr)
    print(f"{report.count:,} images of {report.origin}.", file=sys.stderr)
    for path in report.files:
        print(path)


command = thin_command(task, "inpaint")
