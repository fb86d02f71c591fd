"""`gan latents`: where a model's encoder puts examples."""

import sys
from typing import Any

from gancli.cli.thin import thin_command
from gancli.sweeps.jobs import job

EXAMPLES = (
    "gan latents ckpt=RUN",
    "gan latents ckpt=RUN n=1000 out=latents.npz",
    "gan latents ckpt=RUN projector=outputs/projector",
)


@job
def task(cfg: Any) -> None:
    """Encode examples and plot their latents, colored by class, beside the prior.

    Of more than two numbers the two principal axes are shown. The table compares moments of the encoded examples (the
    aggregated posterior) with the prior's. projector=FOLDER also writes what `tensorboard --logdir FOLDER` shows in its
    PROJECTOR tab.

    ckpt= takes a checkpoint, a run directory, a run's id or a unique part of it, each with @kimg behind it. The model must
    have an encoder.
    `gan latents --cfg job` prints every key.
    """
    from gancli.cli.table import print_table
    from gancli.explore.latents import latents

    found = latents(cfg)
    for note in found.notes:
        print(note, file=sys.stderr)
    print_table(("figure", "encoded", "prior"), found.rows, title=found.title)
    for path in found.files:
        print(path)


command = thin_command(task, "latents")
