"""`gan diagnose`: what goes wrong in a run, by name."""

from pathlib import Path
from typing import Annotated

import typer

from gancli.cli.completion import complete_run

EXAMPLES = (
    "gan diagnose outputs/train/RUN",
    "gan diagnose RUN --device cpu",
)
EXIT_CODES = """Exit status:
  0  diagnosed, whether a failure was found or not
  1  there is no such run
  2  the command line is wrong"""


def command(
    run: Annotated[str, typer.Argument(help="A run's directory, id or a unique part of it.", show_default=False,
                                        autocompletion=complete_run)],
    data_dir: Annotated[Path | None, typer.Option("--data-dir", metavar="FOLDER", help="Where data sets lie, if no longer "
                                                  "where the run had them.")] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
) -> None:
    """Name what goes wrong in a run: collapse, a discriminator too strong or weak, oscillation, divergence, ...

    Each failure with its evidence and the overrides to try in a new run.  It reads the figures that the run recorded,
    so that it works while the run trains; samples of the checkpoint are drawn only for a run that recorded no looks at any.
    """
    from gancli.explore.diagnose import diagnose_run

    report = diagnose_run(run, data_dir, device)
    for finding in report.findings:
        print(f"{finding.name[0].upper()}{finding.name[1:]}, since {finding.images / 1000:g} kimg")
        print(f"  {finding.evidence}\n  {finding.advice}")
    if not report.findings:
        looked_for = f"looked for: {', '.join(report.looked_for)}"
        print(f"Too short to tell: it has only {report.too_short} that a verdict takes ({looked_for})." if report.too_short
              else f"No failure found ({looked_for}).")
    print(f"Looked at {'; '.join(report.seen)}.")
