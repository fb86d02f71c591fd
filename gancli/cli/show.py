"""`gan show`: what there is to see of a run, a page of it, and a card to share it with."""

from pathlib import Path
from typing import Annotated

import typer

from gancli.cli.completion import complete_run

EXAMPLES = (
    "gan show RUN",
    "gan show RUN --html run.html",
    "gan show RUN --card README.md --license mit",
)


def command(
    run: Annotated[str, typer.Argument(metavar="RUN", show_default=False, autocompletion=complete_run,
                                       help="A run's directory, id or a unique part of it.")],
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write one page of the run.")] = None,
    card: Annotated[Path | None, typer.Option("--card", metavar="FILE", help="Write a model card, a README.md with front "
                                              "matter as the Hugging Face hub reads it.")] = None,
    license_name: Annotated[str | None, typer.Option("--license", metavar="NAME", help="Of the weights, for the card: an "
                                                     "identifier of the hub, as mit or cc-by-4.0.")] = None,
    opened: Annotated[bool, typer.Option("--open", help="Open the page, else the last grid.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
) -> None:
    """Show a run: its last grid, film, figures, best checkpoint and alarms, and the commands that come next.

    With --html it writes one page that opens offline: settings, curves, grids with a time slider, alarms with advice,
    figures with their protocols.  It reads only what the run recorded, also of a failed or running one.
    """
    from gancli.monitor.terminal import printable
    from gancli.show.facts import lines, look_at
    from gancli.show.writing import write

    facts = look_at(run)
    written = write(facts, html, card, license_name, overwrite)
    for label, text in lines(facts):
        print(printable(f"{label:<16}{text}" if len(label) < 16 else f"{label}: {text}").replace("\n", " "))
    for path in written:
        print(path)
    target = html if html is not None else facts.last_picture()
    if opened and target is not None and typer.launch(str(target)):
        from gancli.errors import UserError

        raise UserError(f"{target} could not be opened here: open it by hand.")
