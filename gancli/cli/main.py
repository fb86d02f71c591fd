"""The entry point `gan`: its commands, and the boundary at which a user's mistake becomes one line and an exit code."""

import errno
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import gancli
from gancli.capacity import lacks_memory
from gancli.cli import (
    age,
    arithmetic,
    blend,
    classify,
    compare,
    data,
    diagnose,
    edit,
    evaluate,
    export,
    inpaint,
    interpolate,
    lab,
    latents,
    list,
    mix,
    project,
    reconstruct,
    remove,
    sample,
    show,
    train,
    translate,
    traverse,
    upscale,
    validate,
)
from gancli.cli.keys import KeyedCommand
from gancli.cli.options import epilog
from gancli.errors import UserError
from gancli.monitor.terminal import open_streams, tell

EXAMPLES = (
    "gan train",
    "gan list models",
    "gan train --help",
)


COMMANDS = {module.__name__.rpartition(".")[2]: module
            for module in (train, sample, interpolate, traverse, age, arithmetic, mix, latents, reconstruct, project, edit,
                           translate, upscale, inpaint, blend, classify, evaluate, export, show, compare, diagnose, lab,
                           validate, data, list, remove)}


# What befalls files from outside, not by a mistake of ours: permissions, full disks, names too long, folders gone.
OUTSIDE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR)


class Gan(TyperGroup):
    """Turns UserErrors of any command into `Error: ...` on stderr and their exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return self._told(ctx)
        except Exception as error:
            if interrupted(error):
                raise KeyboardInterrupt from None
            raise

    def _told(self, ctx: Any) -> Any:
        """Run a command, and say in a sentence what went wrong by the user's or the machine's doing."""
        try:
            return super().invoke(ctx)
        except UserError as error:
            if not error.silent:
                tell(f"Error: {error}")
            raise typer.Exit(error.exit_code) from None
        except OSError as error:
            if error.errno not in OUTSIDE:
                raise
            where = "" if error.filename is None else f"{error.filename}: "
            tell(f"Error: {where}{error.strerror}.")
            raise typer.Exit(UserError.exit_code) from None
        except (MemoryError, RuntimeError) as error:
            if not lacks_memory(error):
                raise
            tell("Error: The memory is exhausted: give smaller sizes, or a smaller batch_size=.")
            raise typer.Exit(UserError.exit_code) from None


def interrupted(error: BaseException) -> bool:
    """Whether an error came of Ctrl-C: a library that is cut short may raise one of its own while it tidies up."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, KeyboardInterrupt):
        cause = cause.__cause__ or cause.__context__
    return cause is not None


app = typer.Typer(cls=Gan, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None,
                  context_settings={"help_option_names": ["-h", "--help"]}, epilog=epilog(EXAMPLES))

for name, module in COMMANDS.items():
    app.command(name, cls=KeyedCommand, epilog=epilog(module.EXAMPLES, getattr(module, "EXIT_CODES", "")))(module.command)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"gan {gancli.__version__}")
        raise typer.Exit


@app.callback()
def gan(version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True,
                                              help="Print the version.")] = False) -> None:
    """Train, continue, sweep, sample, explore, evaluate and compare generative adversarial networks."""


def main() -> None:
    """Run the command line of this process."""
    open_streams()
    app(prog_name="gan")
