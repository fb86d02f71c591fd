"""`gan mix`: a table of mixed styles."""

from typing import Any

from gancli.cli.thin import thin_command
from gancli.sweeps.jobs import job

EXAMPLES = (
    "gan mix ckpt=STYLED",
    "gan mix ckpt=STYLED rows=[0,1,2] cols=[3,4,5,6] layers=coarse out=coarse.png",
    "gan mix ckpt=STYLED layers=0-3 truncation=0.7",
)


@job
def task(cfg: Any) -> None:
    """Mix the styles of a trained generator: a table of images.

    Rows and columns are seeds; each image has the row's styles but for layers=, whose styles are the column's.

    ckpt= takes a checkpoint, a run directory, a run's id or a unique part of it, each with @kimg behind it, of a system
    that has styles (stylegan, stylegan2). `gan mix --cfg job` prints every key.
    """
    from gancli.explore.mix import mix

    for path in mix(cfg):
        print(path)


command = thin_command(task, "mix")
