"""`gan list`: what can be chosen, and the runs there are."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gancli.cli.options import ConfigDir
from gancli.config import groups
from gancli.errors import UsageError

if TYPE_CHECKING:
    from gancli.runs.find import RunInfo

EXAMPLES = (
    "gan list models",
    "gan list losses --config-dir my_conf",
    "gan list stabilizers",
    "gan list runs",
    "gan list runs --root outputs/sweep/SWEEP --sort best",
    "gan list runs --sort size --descending",
    "gan list metrics",
)


class Kind(StrEnum):
    """What can be listed."""

    models = "models"
    losses = "losses"
    stabilizers = "stabilizers"
    augmentations = "augmentations"
    datasets = "datasets"
    optimizers = "optimizers"
    experiments = "experiments"
    metrics = "metrics"
    extractors = "extractors"
    runs = "runs"


_GROUPS = {Kind.models: "model", Kind.losses: "loss", Kind.augmentations: "augment", Kind.datasets: "dataset",
           Kind.optimizers: "optimizer", Kind.experiments: "experiment"}


def command(
    kind: Annotated[Kind, typer.Argument(help="What to list.", show_default=False)],
    root: Annotated[Path, typer.Option("--root", metavar="FOLDER", help="Where to look for runs.")] = Path("outputs"),
    sort: Annotated[str | None, typer.Option("--sort", metavar="COLUMN", help="Sort runs by a column, date, size or a figure "
                                             "(fid); without it the oldest comes first.")] = None,
    descending: Annotated[bool | None, typer.Option("--descending/--ascending", show_default=False,
                                                    help="Largest or smallest first.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show the runs and how far sweeps are until Ctrl-C.")] = False,
    config_dir: ConfigDir = None,
) -> None:
    """List what can be chosen, or the runs.

    Of runs it tells the figure by which their best checkpoint was chosen, how many alarms the diagnosis raised, and
    of a sweep's jobs the overrides that tell them apart.
    """
    if watch and (kind is not Kind.runs or sort is not None or descending is not None):
        raise UsageError("--watch belongs to gan list runs and shows those that run first: leave --sort and --descending out.")
    if watch:
        from gancli.cli.watch import watch as watch_runs

        watch_runs(root, _best_text)
        return
    if kind is Kind.runs:
        _list_runs(root, sort, descending)
        return
    if sort is not None or descending is not None:
        raise UsageError("--sort and --descending belong to gan list runs.")
    own = {Kind.metrics: _list_metrics, Kind.extractors: _list_extractors, Kind.stabilizers: _list_stabilizers}
    if kind in own:
        own[kind]()
        return
    group = _GROUPS[kind]
    found = groups.options(group, config_dir)
    width = max(map(len, found), default=0)
    for name, text in found.items():
        print(f"{group}={name:<{width}}  {text}".rstrip())
    if not found:
        print(f"There are no {kind}.")


def _list_metrics() -> None:
    """Print one line a metric: what it measures and what it needs."""
    from gancli.metrics.catalog import METRICS

    for name, measure in METRICS.items():
        print(f"{name:<8}  {measure.text} ({measure.paper})")
    print("\nEach stands in metrics=[...] of `gan evaluate` and in evaluation.metrics=[...] of `gan train`.")


def _list_stabilizers() -> None:
    """Print one line a switch: what to type, what it does, whose it is."""
    from gancli.plan.stabilizers import STABILIZERS

    width = max(len(stabilizer.key) for stabilizer in STABILIZERS)
    for stabilizer in STABILIZERS:
        print(f"{stabilizer.key:<{width}}  {stabilizer.text} ({stabilizer.paper})")
    print("\nEach goes with `gan train` and any model that can take it; `gan validate` says what is on and what it costs.")


def _list_extractors() -> None:
    """Print one line an extractor."""
    from gancli.features.weights import EXTRACTORS

    for name, info in EXTRACTORS.items():
        print(f"features={name:<18}  {info.text}{f' ({info.paper})' if info.paper else ''}")
    print("features=FILE.pt             a TorchScript file of yours (loading it runs the code in it)")


def _list_runs(root: Path, sort: str | None, descending: bool | None) -> None:
    """Print one line a run."""
    from gancli.cli.list_columns import COLUMNS, cell, fitting, sort_runs
    from gancli.cli.list_notes import print_notes
    from gancli.cli.table import print_table, terminal_width
    from gancli.runs.find import list_runs

    passed: list[Path] = []
    runs = list_runs(root, passed)
    if not runs:
        print(f"There are no runs under {root}/; `gan train` makes one.")
        print_notes(runs, passed)
        return
    if sort is not None:
        runs = sort_runs(runs, sort, bool(descending))
    elif descending:
        runs = runs[::-1]
    asked = () if sort is None or sort in COLUMNS else (sort,)
    columns = (*COLUMNS[:3], *asked, *COLUMNS[3:])
    rows = [(run.id, run.status, f"{run.kimg:g}", *(cell(run, name) for name in asked), run.model, run.loss, run.dataset,
             _best_text(run.best), str(run.alarms or ""), words, str(run.path))
            for run, words in zip(runs, _own_overrides(runs), strict=True)]
    told = [name for place, name in enumerate(columns) if name not in ("best", "alarms", "overrides") or
            any(row[place] for row in rows)]
    rows = [[row[columns.index(name)] for name in told] for row in rows]
    shown = fitting(told, rows, terminal_width())
    print_table(shown, [[row[told.index(name)] for name in shown] for row in rows], whole=("id",))
    print_notes(runs, passed)


def _own_overrides(runs: list["RunInfo"]) -> list[str]:
    """Return for each run the overrides that tell a sweep's job from the others of its sweep; nothing for a single run."""
    from gancli.runs.sweeps import shared_words, sweep_of

    jobs: dict[Path, list[list[str]]] = {}
    for run in runs:
        if run.in_sweep:
            jobs.setdefault(run.path.parent, []).append(run.overrides)
    shared = {folder: shared_words(sweep_of((folder / "job").absolute()), words) for folder, words in jobs.items()}
    return [" ".join(word for word in run.overrides if word not in shared[run.path.parent]) if run.in_sweep else ""
            for run in runs]


def _best_text(best: tuple[str, float, int] | None) -> str:
    return f"{best[0]} {best[1]:.4g} at {best[2] / 1000:g} kimg" if best else ""
