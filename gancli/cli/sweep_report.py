"""What a person sees at the end of a sweep."""

import shlex

import typer

from gancli.cli.table import figures_text, print_table
from gancli.runs.status import Status
from gancli.runs.sweeps import shared_words
from gancli.sweeps.jobs import Stopped
from gancli.sweeps.sweeping import Sweep


def report(sweep: Sweep) -> None:
    """Print the jobs of a sweep, the best first, and end with the exit code that they call for."""
    jobs = sorted(sweep.jobs.items(), key=lambda item: rank(item[1], sweep.lower_is_better))
    shared = shared_words(sweep.path, [status.overrides for _, status in jobs])
    own = {path: " ".join(each for each in status.overrides if each not in shared) for path, status in jobs}
    rows = [(own[path], _status(sweep, path, status), _value(status.objective),
             status.why if status.status == "failed" else figures_text(status.figures), str(path)) for path, status in jobs]
    metric = _metric(sweep)
    print_table(("overrides", "status", metric, "final figures", "run directory"), rows, title=f"Sweep {sweep.path}")
    if jobs and jobs[0][1].objective is not None:
        path, status = jobs[0]
        print(f"Best: {path}, {metric} {_value(status.objective)} ({own[path]}); look at it: "
              f"gan show {shlex.quote(str(path))}")
    code = exit_code(sweep)
    if code:
        count = sum(status.status != "finished" for status in sweep.jobs.values())
        print(f"Open: {count} of {len(sweep.jobs)} jobs; continue with: gan train resume={shlex.quote(str(sweep.path))}")
        raise typer.Exit(code)


def rank(status: Status, lower_is_better: bool) -> tuple[bool, float]:
    """Return a sort key that puts the best objective first and jobs without one last."""
    if status.objective is None:
        return True, 0.0
    return False, status.objective if lower_is_better else -status.objective


def exit_code(sweep: Sweep) -> int:
    """Return 3 for a sweep that was stopped, 1 for one with a job that failed, was killed or runs elsewhere, else 0."""
    statuses = {status.status for status in sweep.jobs.values()}
    if sweep.interrupted:
        return Stopped.exit_code
    if statuses - {"finished", "stopped"}:
        return 1
    return Stopped.exit_code if "stopped" in statuses else 0


def _metric(sweep: Sweep) -> str:
    """Return the name of the objective with its protocol where the jobs share one; a refusal to mix where they do not."""
    names = {status.best["metric"] for status in sweep.jobs.values() if status.best and status.objective is not None}
    if len(names) > 1:
        return f"{sweep.metric} (of several protocols: not comparable)"
    return names.pop() if names else sweep.metric


def _status(sweep: Sweep, path, status: Status) -> str:
    kept = sweep.kept.get(str(path.relative_to(sweep.path)))
    return {"finished": "finished before", "running": "running elsewhere"}.get(kept, status.status)


def _value(objective: float | None) -> str:
    return "" if objective is None else f"{objective:.5g}"
