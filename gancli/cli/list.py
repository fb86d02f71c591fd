"""`gan list`: what can be chosen, and the runs there are."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gancli.cli.options import ConfigDir
from gancli.config import groups

EXAMPLES = (
    "gan list models",
    "gan list losses --config-dir my_conf",
    "gan list runs",
)


class Kind(StrEnum):
    """What can be listed."""

    models = "models"
    losses = "losses"
    datasets = "datasets"
    optimizers = "optimizers"
    experiments = "experiments"
    runs = "runs"


_GROUPS = {Kind.models: "model", Kind.losses: "loss", Kind.datasets: "dataset", Kind.optimizers: "optimizer",
           Kind.experiments: "experiment"}


def command(
    kind: Annotated[Kind, typer.Argument(help="What to list.", show_default=False)],
    root: Annotated[Path, typer.Option("--root", metavar="FOLDER", help="Where to look for runs.")] = Path("outputs"),
    config_dir: ConfigDir = None,
) -> None:
    """List what can be chosen, or the runs."""
    if kind is Kind.runs:
        _list_runs(root)
        return
    group = _GROUPS[kind]
    found = groups.options(group, config_dir)
    width = max(map(len, found), default=0)
    for name, text in found.items():
        print(f"{group}={name:<{width}}  {text}".rstrip())
    if not found:
        print(f"There are no {kind}.")


def _list_runs(root: Path) -> None:
    """Print one line a run."""
    from gancli.cli.table import print_table
    from gancli.runs.find import list_runs

    runs = list_runs(root)
    if not runs:
        print(f"There are no runs under {root}/; `gan train` makes one.")
        return
    rows = [(run.id, run.status, f"{run.kimg:g}" if run.kimg is not None else "", run.model or "", run.loss or "",
             run.dataset or "", str(run.path)) for run in runs]
    print_table(("id", "status", "kimg", "model", "loss", "dataset", "path"), rows)
