"""What is written into a run's record when a rank fails that is not the one which keeps it."""

from gancli.engine.plan import Plan
from gancli.errors import UserError
from gancli.runs.files import LOG
from gancli.runs.status import read_status, write_status


def tell_failure(plan: Plan, why: str, trace: str) -> None:
    """Write into a run's record what rank 0 cannot know: why another rank, or rank 0 itself, has ended."""
    status = read_status(plan.run_dir)
    if status is None:  # it failed before there was a record
        return
    write_status(plan.run_dir, status.end("failed", why))
    with open(plan.run_dir / LOG, "a", encoding="utf-8") as file:
        file.write(f"{why}\n{trace}")


def sentence(error: BaseException) -> str:
    """Return an error in one line, with its kind unless a user's mistake."""
    first = str(error).splitlines()[0] if str(error) else ""
    return first if isinstance(error, UserError) else f"{type(error).__name__}: {first}"
