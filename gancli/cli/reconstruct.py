"""`gan reconstruct`: examples beside what a model makes of them."""

import sys
from typing import Any

from gancli.cli.thin import thin_command
from gancli.sweeps.jobs import job

EXAMPLES = (
    "gan reconstruct ckpt=RUN",
    "gan reconstruct ckpt=RUN input=pictures/ show=16",
    "gan reconstruct ckpt=RUN n=1000 out=errors.csv",
)


@job
def task(cfg: Any) -> None:
    """Encode examples and decode them again.

    Pictures with inputs beside outputs (the first, the worst, the best), and a CSV with the error of each: the mean squared
    difference of its values, images' as from 0 to 1. The gradient energy of outputs, beside that of inputs, tells how sharp
    they are.

    ckpt= takes a checkpoint, a run directory, a run's id or a unique part of it, each with @kimg behind it. The model must
    reconstruct: autoencoders, and GANs with an encoder.
    `gan reconstruct --cfg job` prints every key.
    """
    from gancli.cli.table import print_table
    from gancli.explore.reconstruct import reconstruct

    found = reconstruct(cfg)
    for note in found.notes:
        print(note, file=sys.stderr)
    sharp = [] if found.sharpness is None else [("gradient energy of inputs", f"{found.sharpness[0]:.5g}", ""),
                                                ("gradient energy of outputs", f"{found.sharpness[1]:.5g}", "")]
    print_table(("figure", "value", "example"), [
        ("mean error", f"{found.mean:.5g}", ""), ("median error", f"{found.median:.5g}", ""),
        ("least error", f"{found.best[1]:.5g}", found.best[0]), ("largest error", f"{found.worst[1]:.5g}", found.worst[0]),
        *sharp],
        title=f"{found.count:,} examples of {found.origin}")
    for path in found.files:
        print(path)


command = thin_command(task, "reconstruct")
