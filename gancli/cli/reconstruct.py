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
    difference of its values, images' as from 0 to 1.

    ckpt= takes a checkpoint, a run directory, a run's id or a unique part of it, each with @kimg behind it. The model must
    reconstruct: autoencoders, and GANs with an encoder.
    `gan reconstruct --cfg job` prints every key.
    """
    from gancli.cli.table import print_table
    from gancli.explore.reconstruct import reconstruct

    found = reconstruct(cfg)
    for note in found.notes:
        print(note, file=sys.stderr)
    print_table(("of", "error", "example"), [
        ("mean", f"{found.mean:.5g}", ""), ("median", f"{found.median:.5g}", ""),
        ("best", f"{found.best[1]:.5g}", found.best[0]), ("worst", f"{found.worst[1]:.5g}", found.worst[0])],
        title=f"{found.count:,} examples of {found.origin}")
    for path in found.files:
        print(path)


command = thin_command(task, "reconstruct")
