"""`gan project`: the latents whose images are nearest to given ones."""

import sys
from typing import Any

from gancli.cli.thin import thin_command
from gancli.sweeps.jobs import job

EXAMPLES = (
    "gan project ckpt=RUN",
    "gan project ckpt=RUN input=pictures/ n=8 film=true",
    "gan project ckpt=RUN input=pictures/0.png out=found.npz",
)


@job
def task(cfg: Any) -> None:
    """Find the latents whose images are nearest to given ones.

    A search begins at the encoder's latent, or at the nearest of many random ones, and goes down the difference of the pixels
    (and, with features=, of an extractor's features). Written are a grid with inputs above what was found and the error of
    each (the mean squared difference of values from 0 to 1, as of gan reconstruct), latents.npz and errors.csv.

    ckpt= takes a checkpoint, a run directory, a run's id or a unique part of it, each with @kimg behind it. The model must
    sample images.
    `gan project --cfg job` prints every key.
    """
    from gancli.cli.table import print_table
    from gancli.explore.project import project

    found = project(cfg)
    for note in found.notes:
        print(note, file=sys.stderr)
    print_table(("figure", "value", "example"), [
        ("mean error", f"{found.mean:.5g}", ""), ("median error", f"{found.median:.5g}", ""),
        ("largest error", f"{found.worst[1]:.5g}", found.worst[0]), ("mean error at the start", f"{found.start:.5g}", "")],
        title=f"{found.count:,} images of {found.origin}")
    for path in found.files:
        print(path)


command = thin_command(task, "project")
