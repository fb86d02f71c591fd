"""What is measured while a run trains, which checkpoint is the best so far, and when no better one is to be expected."""

from collections.abc import Callable
from typing import Any

from gancli.data.dataset import Data, load_data
from gancli.engine.averages import Average
from gancli.engine.plan import Plan
from gancli.game.looking import evaluating
from gancli.game.model import Model, Progress
from gancli.game.sampler import Sampler
from gancli.metrics.evaluator import Evaluator
from gancli.metrics.follow import BestFollower
from gancli.metrics.protocol import Measured
from gancli.ranks.agreeing import first_goes_first
from gancli.runs.stats import METRIC_TAG

LATENT_SEED = 0  # fixed: the runs of a sweep, and `gan evaluate seed=0`, are judged on the same latents


class Exhausted(str):
    """Why a run ended before its length: the patience was over.  Unlike a signal that finishes it."""


class Evaluation:
    """The evaluator, the samples it sees and the best figure so far; on several ranks, all of them take part."""

    def __init__(self, plan: Plan, model: Model, average: Average | None, data: Data, state: dict[str, Any] | None,
                 told: Callable[[str, int, int], None]) -> None:
        """Prepare; statistics of the real data are computed here, before training begins.

        Args:
            state: of the best figure, from the checkpoint of a run that continues.
            told: receives progress.
        """
        self.model = average.model if average is not None else model
        self.follower = BestFollower(plan.evaluation.patience, state)
        with first_goes_first():
            holdout = None if plan.holdout is None else load_data(plan.holdout, plan.data_dir, data.device, plan.seed)
        sampler = Sampler(self.model, LATENT_SEED, batch_size=min(256, 4 * plan.trainer.batch_size), data=data)
        self.sampler = sampler
        self.evaluator = Evaluator(plan.evaluation, data, plan.data_dir, LATENT_SEED, domain=sampler.domain or 0,
                                   holdout=holdout, told=told)
        self.evaluator.prepare()
        self.protocols: dict[str, dict[str, Any]] = {}  # by name of the figure

    @property
    def exhausted(self) -> Exhausted | None:
        """Why the run should end now; None while improvement is to be hoped for."""
        return Exhausted(self.follower.why) if self.follower.exhausted else None

    def measure(self, progress: Progress) -> tuple[dict[str, float], bool]:
        """Return the figures, `metrics/<name>`, and whether the deciding one is the best so far."""
        with evaluating(self.model):
            measured: list[Measured] = self.evaluator(self.sampler)
        self.protocols |= {one.name: one.protocol.as_dict() for one in measured}
        improved = self.follower.update(progress.images, measured)
        return {f"{METRIC_TAG}{one.name}": one.value for one in measured}, improved
