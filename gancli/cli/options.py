"""Arguments and flags that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gancli.cli.completion import complete


class Shown(StrEnum):
    """Which configuration --cfg prints."""

    job = "job"
    hydra = "hydra"
    all = "all"


Overrides = Annotated[list[str] | None, typer.Argument(
    metavar="KEY=VALUE", show_default=False, autocompletion=complete,
    help="Choices of a group (model=dcgan) and values (trainer.kimg=100); paths need no quotes.")]
Cfg = Annotated[Shown | None, typer.Option("--cfg", "-c", help="Print the configuration and do nothing else.")]
Resolve = Annotated[bool, typer.Option("--resolve", help="With --cfg: values in place of interpolations.")]
Package = Annotated[str | None, typer.Option("--package", "-p", metavar="KEY", help="With --cfg: only this node.")]
Info = Annotated[str | None, typer.Option(
    "--info", "-i", metavar="WHAT",
    help="Print how it was composed: all, config, defaults, defaults-tree, plugins or searchpath.")]
ConfigDir = Annotated[Path | None, typer.Option(
    "--config-dir", metavar="FOLDER", help="A folder with more models, losses, ... laid out as conf/ is.")]


def epilog(examples: tuple[str, ...], more: str = "") -> str:
    """Return the end of a command's help, its lines left as they are."""
    lines = "\b\nExamples:\n" + "\n".join(f"  {example}" for example in examples)
    return f"\b\n{more}\n\n{lines}" if more else lines
