"""The record of a run as ranks other than the first have it."""

import traceback
from collections.abc import Callable

from gancli.engine.failing import sentence, tell_failure
from gancli.engine.plan import Outcome, Plan
from gancli.engine.recording.evaluation import Evaluation, Exhausted
from gancli.engine.recording.record import Record
from gancli.game.model import Progress
from gancli.ranks import shards
from gancli.ranks.shards import LostRank


class FollowingRecord:
    """Knows when things are due, as `Record` does, and takes every other call of it without writing anything.

    Only under torchrun, where no parent of ours looks after the ranks, it writes that this rank failed, and why.
    """

    seconds_before = 0.0
    due = Record.due

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("__") or not callable(getattr(Record, name, None)):
            raise AttributeError(f"a record has no {name}")
        return lambda *arguments, **named: None

    def finish(self, progress: Progress, why: str | None, evaluation: Evaluation | None) -> Outcome:
        """Return how the run ended; its figures are rank 0's."""
        return Outcome("finished" if why is None or isinstance(why, Exhausted) else "stopped", self.plan.run_dir, {})

    def __enter__(self) -> "FollowingRecord":
        return self

    def __exit__(self, kind, error, trace) -> None:
        if error is None or isinstance(error, (KeyboardInterrupt, LostRank)) or shards.launched() is None:
            return
        tell_failure(self.plan, f"Rank {shards.rank()} of {shards.world()}: {sentence(error)}",
                     "".join(traceback.format_exception(kind, error, trace)))
