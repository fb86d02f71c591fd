"""`gan remove`: take runs and sweeps away."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from gancli.cli.completion import complete_run
from gancli.errors import UsageError, UserError

EXAMPLES = (
    "gan remove RUN yes=true",
    "gan remove outputs/train/RUN yes=true",
)
EXIT_CODES = """Exit status:
  0  removed
  1  nothing was removed: no such run, no run of gan, one that is running, or the answer was no
  2  the command line is wrong; nothing was removed"""
ANSWERS = {"yes=true": True, "yes=false": False}


def command(
    runs: Annotated[list[str], typer.Argument(metavar="RUN|SWEEP... [yes=true]", show_default=False,
                                              autocompletion=complete_run,
                                              help="Folders or ids of runs and sweeps, or a unique part of an id.")],
    root: Annotated[Path, typer.Option("--root", metavar="FOLDER", help="Where to look for runs.")] = Path("outputs"),
) -> None:
    """Remove runs and sweeps with all that they hold: checkpoints, pictures, figures.

    Tells what they are and how much room they take, and asks; with yes=true it does not ask.  A run that is running, a
    folder that is no run of gan and whatever a link leads to stay.
    """
    from gancli.runs.removing import find_removal, remove

    sure, wanted = _parted(runs)
    removals = list({found.path.resolve(): found for found in (find_removal(text, root) for text in wanted)}.values())
    for found in removals:
        print(f"{found.path}: a {found.kind}, {_told(found.size)}")
    if not sure and not _agreed(len(removals)):
        raise UserError("Nothing was removed.")
    for found in removals:
        remove(found)
        print(f"Removed {found.path}")


def _parted(words: list[str]) -> tuple[bool, list[str]]:
    """Return whether yes=true was given, and what is to be removed."""
    settings = [word for word in words if word.partition("=")[0] == "yes"]
    unknown = [word for word in settings if word not in ANSWERS]
    if unknown:
        raise UsageError(f"yes= takes true or false, not {unknown[0].partition('=')[2]}.")
    wanted = [word for word in words if word not in settings]
    if not wanted:
        raise UsageError("Which run? Give the folder or id of one; gan list runs shows them.")
    return any(ANSWERS[word] for word in settings), wanted


def _agreed(count: int) -> bool:
    """Ask a person; a UsageError where nobody can answer."""
    if not sys.stdin.isatty():
        raise UsageError("Nobody can be asked here: add yes=true to remove without a question. Nothing was removed.")
    return typer.confirm(f"Remove {'it' if count == 1 else 'all of them'} for good?")


def _told(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"
