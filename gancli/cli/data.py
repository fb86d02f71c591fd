"""`gan data`: what a data set is, before anything is trained on it."""

import os
import sys
from typing import Annotated, Any

import typer

from gancli.cli import bridge
from gancli.cli.completion import complete
from gancli.cli.options import Cfg, ConfigDir, Package, Resolve
from gancli.errors import UsageError
from gancli.sweeps.jobs import job

EXAMPLES = (
    "gan data ~/pictures",
    "gan data pictures.zip out=examples.png",
    "gan data dataset=mnist",
)
CELL = 16  # pixels of an example in the terminal
LINES = 4  # of examples there


@job
def task(cfg: Any) -> None:
    """Print what was found; examples go to out=, and to a terminal with colors."""
    from gancli.explore.stages import Stages
    from gancli.monitor.terminal import printable
    from gancli.plan.doctor import examine

    with Stages() as stages:
        report = examine(cfg, stages.told)
    for label, text in report.lines:
        print(printable(f"{label:<14}{text}"))
    if report.columns and sys.stdout.isatty():
        _show(report.columns)
    print("use")
    for line in report.use:
        print(printable(f"  {line}"))
    for path in report.files:
        print(path)


def _show(examples: list[Any]) -> None:
    """Draw some examples in the terminal, as many as its width holds."""
    import numpy as np
    from PIL import Image
    from rich.console import Console

    from gancli.monitor.blocks import in_blocks
    from gancli.plan.doctor import grid_of

    console = Console(highlight=False)
    if console.color_system is None:
        return
    columns = max(1, (console.width - 2) // (CELL + 2))
    small = [np.asarray(Image.fromarray(example.squeeze()).resize((CELL, CELL), Image.Resampling.BOX)).reshape(
        CELL, CELL, -1) for example in examples[:columns * LINES]]
    console.print(in_blocks(grid_of(small, 1, columns)))


def command(
    words: Annotated[list[str] | None, typer.Argument(
        metavar="[PATH] [KEY=VALUE]", show_default=False, autocompletion=complete,
        help="A folder, archive, table or array of yours, or dataset=NAME; and values (out=grid.png).")] = None,
    cfg: Cfg = None,
    resolve: Resolve = False,
    package: Package = None,
    config_dir: ConfigDir = None,
) -> None:
    """Look at a data set before training: what was recognized, what is wrong, and the line to use.

    Layout, parts and classes; sizes and modes; broken files by name; copies, to the byte and to the eye, and whether they
    stand in two parts; how even the classes are; which models fit.  Examples are drawn in the terminal, or as a grid into
    out=.  Nothing is downloaded, decoded to disk or created but what out= names.
    """
    words = list(words or [])
    paths = [word for word in words if "=" not in word or os.path.exists(os.path.expanduser(word))]
    if len(paths) > 1:
        raise UsageError(f"gan data looks at one data set, and there are {len(paths)} ({', '.join(paths[:3])}): give one.")
    if not words:
        raise UsageError("gan data needs a path or a data set: type gan data PATH, or gan data dataset=NAME.")
    bridge.run(task, "data", [f"dataset={word}" if word in paths else word for word in words], cfg=cfg, resolve=resolve,
               package=package, config_dir=config_dir)
