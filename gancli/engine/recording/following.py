"""The record of a run as ranks other than the first have it."""

import traceback

from torch import Tensor

from gancli.data.dataset import Data
from gancli.engine.averages import Average
from gancli.engine.failing import sentence, tell_failure
from gancli.engine.plan import Outcome, Plan
from gancli.engine.players import Player
from gancli.engine.recording.calendar import Calendar
from gancli.engine.recording.ending import Ending
from gancli.engine.recording.evaluation import Evaluation
from gancli.engine.recording.record import Record
from gancli.game.model import Model, Progress
from gancli.ranks import shards
from gancli.ranks.shards import LostRank


class FollowingRecord(Record):
    """Knows when things are due and how the run ended, and writes nothing: rank 0 does.

    Only under torchrun, where no parent of ours looks after the ranks, it writes that this rank failed, and why.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.calendar = Calendar(plan.trainer, plan.evaluation)

    def __enter__(self) -> "FollowingRecord":
        return self

    def loading(self, done: int, total: int) -> None:
        """Show nothing."""

    def describe_data(self, data: Data) -> None:
        """Write nothing: the data are rank 0's."""

    def working(self, label: str, done: int, total: int) -> None:
        """Show nothing."""

    def start(self, model: Model, average: Average | None, players: dict[str, Player], data: Data, progress: Progress,
              seconds_before: float) -> None:
        """Open nothing."""

    def due(self, progress: Progress, shown: int, stopping: bool) -> set[str]:
        """Return what rank 0 records now: the ranks measure together and wait for each other."""
        return self.calendar.due(progress, shown, stopping)

    def pictures(self, progress: Progress) -> None:
        """Write nothing."""

    def figures(self, figures: dict[str, float], progress: Progress) -> None:
        """Write nothing: these are the means over all ranks."""

    def checkpoint(self, tensors: dict[str, Tensor], progress: Progress, evaluation: Evaluation | None) -> None:
        """Save nothing: the ranks' weights are the same."""

    def settled(self) -> None:
        """Go on."""

    def finish(self, progress: Progress, why: str | None, evaluation: Evaluation | None) -> Outcome:
        """Return how the run ended; its figures are rank 0's."""
        return Outcome(Ending.of(why).status, self.plan.run_dir, {})

    def __exit__(self, kind, error, trace) -> None:
        if error is None or isinstance(error, (KeyboardInterrupt, LostRank)) or shards.launched() is None:
            return
        tell_failure(self.plan, f"Rank {shards.rank()} of {shards.world()}: {sentence(error)}",
                     "".join(traceback.format_exception(kind, error, trace)))
