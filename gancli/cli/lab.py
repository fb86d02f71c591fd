"""`gan lab`: experiments on theory."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gancli.cli import bridge
from gancli.cli.completion import candidates
from gancli.cli.options import Cfg, ConfigDir, Info, Package, Resolve
from gancli.config import groups
from gancli.errors import UsageError, near
from gancli.sweeps.jobs import job, job_dir, overrides

if TYPE_CHECKING:
    from gancli.lab.frame.run import Done

EXAMPLES = (
    "gan lab --list",
    "gan lab equilibrium",
    "gan lab equilibrium h=0.3 steps=200 out=xy/",
    "gan lab equilibrium -m h=0.1,0.5",
    "gan lab all",
)
ALL = "all"


@job
def task(cfg: Any) -> None:
    """Run one experiment, alone or as a job of a sweep."""
    from gancli.lab.frame.run import run
    from gancli.runs.status import Status, write_status

    folder = job_dir()
    begun = Status.begin(overrides())
    done = run(_plain(cfg), folder)
    if folder is not None:
        write_status(folder, begun.end("finished"))
    _print(done)


def _complete_name(incomplete: str) -> list[str]:
    return [name for name in (*_names(), ALL) if name.startswith(incomplete)]


def _complete_key(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the keys of the experiment that was named; none when anything goes wrong."""
    try:
        words = [f"lab={ctx.params['name']}", *(ctx.params.get("overrides") or [])]
        return [found for found in candidates("lab", words, incomplete) if not found.startswith("lab=")]
    except Exception:  # a shell that waits for completions must not see a traceback
        return []


def command(
    name: Annotated[str | None, typer.Argument(metavar="NAME", show_default=False, autocompletion=_complete_name,
                                               help="An experiment, or all.")] = None,
    overrides: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", show_default=False,
                                                          autocompletion=_complete_key,
                                                          help="Its settings (seed=1, out=folder).")] = None,
    listed: Annotated[bool, typer.Option("--list", "-l", help="Name every experiment with its claim and paper.")] = False,
    multirun: Annotated[bool, typer.Option("--multirun", "-m", help="The experiment for each combination of a,b "
                                           "values.")] = False,
    cfg: Cfg = None,
    resolve: Resolve = False,
    package: Package = None,
    info: Info = None,
    config_dir: ConfigDir = None,
) -> None:
    """Run an experiment on theory: a claim of the field as a small program with a figure.

    Prints a table with the exact values beside the learned ones, and writes it as CSV and JSON, the figure as PNG and SVG
    (for light and for dark walls) and a page that opens offline, with a film and a replay where something moves.

    `gan lab all` runs every experiment and makes a contact sheet of them as one page.
    `gan lab NAME --cfg job` prints every key.
    """
    known = _names()
    given = overrides or []
    if listed or name is None:
        if name is not None:
            raise UsageError("--list takes no name: leave it out.")
        for each, claim in known.items():
            print(f"{each:<{max(map(len, known))}}  {claim}")
        return
    if name == ALL:
        if multirun or cfg is not None or info is not None:
            raise UsageError("gan lab all takes values alone: name an experiment for -m, --cfg or --info.")
        _all(list(known), given, config_dir)
        return
    if name not in known:
        raise UsageError(f"There is no experiment called {name}; {near(name, (*known, ALL))}")
    if multirun and not any(word.startswith("hydra.sweep.dir=") for word in given):
        from gancli.sweeps.sweeping import sweep_name

        given = [*given, f"hydra.sweep.dir=outputs/lab/{sweep_name()}-{name}"]
    sweep = bridge.run(task, "lab", [f"lab={name}", *given], multirun=multirun, cfg=cfg, info=info, resolve=resolve,
                       package=package, config_dir=config_dir)
    if sweep is not None:
        _report(sweep)


def _names() -> dict[str, str]:
    return groups.options("lab")


def _all(names: list[str], given: list[str], config_dir: Path | None) -> None:
    """Run all experiments with the same values."""
    from gancli.config.compose import compose
    from gancli.config.explain import TRANSLATED, explain
    from gancli.config.paths import quote_paths
    from gancli.lab.frame.sheet import run_all

    given, composed = quote_paths(given, multirun=False), {}
    for name in names:
        words = [f"lab={name}", *given]
        try:
            composed[name] = _plain(compose("lab", words, config_dir))
        except TRANSLATED as error:
            raise explain(error, "lab", words, config_dir) from error
    print(run_all(composed, _print))


def _plain(cfg: Any) -> dict[str, Any]:
    from omegaconf import OmegaConf

    return OmegaConf.to_container(cfg, resolve=True)


def _print(done: "Done") -> None:
    """Print what an experiment found and where its files are."""
    from gancli.cli.table import print_table

    print(f"{done.name}: {done.claim}")
    for table in done.result.tables:
        print_table(table.columns, table.texts(), title=table.title)
    print(f"{done.result.told}\n{done.files[0]} ({done.seconds:.1f} s)")


def _report(sweep: Any) -> None:
    """Print the jobs of a sweep and end with the exit code that they call for."""
    from gancli.cli.sweep_report import exit_code
    from gancli.cli.table import print_table

    print_table(("overrides", "status", "folder"), [
        (" ".join(word for word in status.overrides if not word.startswith("lab=")),
         f"{status.status}{': ' * bool(status.why)}{status.why}", str(path)) for path, status in sweep.jobs.items()],
        title=f"Sweep {sweep.path}")
    if code := exit_code(sweep):
        raise typer.Exit(code)
