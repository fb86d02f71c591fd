"""How long an evaluation will take, measured on a part of it; nothing is kept on disk.

Legend: n generated examples.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from gancli.data.dataset import Data
from gancli.data.store import FOLDER
from gancli.features import classifier
from gancli.features.cache import Cache
from gancli.features.extractors import kept_classifier, open_published, untrained_classifier
from gancli.game.looking import evaluating
from gancli.game.sampler import BLOCK, Sampler
from gancli.metrics.catalog import METRICS
from gancli.metrics.evaluator import Evaluator

BUDGET_S = 6.0  # for generating
LOOKED_AT = 512  # real examples


@dataclass(frozen=True)
class Evaluating:
    """Seconds of what comes once and before, by name, and of each evaluation."""

    before: tuple[tuple[str, float], ...]
    each_s: float

    @property
    def total_s(self) -> float:
        """All of it, for one evaluation."""
        return self.each_s + sum(seconds for _, seconds in self.before)


def timed_evaluation(options: Any, data: Data, data_dir: Path, sampler: Sampler, holdout: Data | None,
                     scale: float = 1.0, budget_s: float = BUDGET_S) -> Evaluating:
    """Measure a few examples of both sides and return what all of them would take.

    Args:
        options: of the evaluation (metrics.needs.Options).
        scale: how many times as many real examples there are as `data` has.
        budget_s: for generating.
    """
    count = data.counts[sampler.domain or 0]
    real = min(options.real or round(count * scale), round(count * scale))
    n = options.n if sampler.limit is None else min(options.n, round(sampler.limit * scale))
    with torch.random.fork_rng([data.device] if data.device.type == "cuda" else []), evaluating(sampler.model):
        whole = Evaluator(replace(options, n=n), data, data_dir, domain=sampler.domain or 0, holdout=holdout)
        before = _give_extractor(whole, data)
        few = _few(sampler, n, options.metrics, budget_s)
        small = replace(options, n=few, real=min(real, max(LOOKED_AT, few), count))
        evaluator = Evaluator(small, data, data_dir, domain=sampler.domain or 0, holdout=holdout)
        evaluator.cache, evaluator.extractor = Cache(None), whole.extractor
        begun = _now(data)
        evaluator.prepare()
        looked = (_now(data) - begun) * real / max(1, len(evaluator.order))
        known = whole.extractor is not None and whole.knows_real()
        before += [] if known else [("looking at the real examples", looked)]
        begun = _now(data)
        measured = evaluator(sampler)  # the first one finds memory and kernels
        all_s = _now(data) - begun
        drawing = [name for name in options.metrics if any(each.protocol.metric == name and each.protocol.generated
                                                           for each in measured)]
        if not drawing:  # nothing was generated, so that this was all of it
            return Evaluating(tuple(before), all_s)
        evaluator.options = replace(small, metrics=drawing)
        begun = _now(data)
        evaluator(sampler)
        drawing_s = _now(data) - begun
        others_s = max(0.0, all_s - drawing_s) if len(drawing) < len(options.metrics) else 0.0
        return Evaluating(tuple(before), drawing_s * n / few + others_s)


def _give_extractor(evaluator: Evaluator, data: Data) -> list[tuple[str, float]]:
    """Give the evaluator an extractor that costs as much as the one it will have; return what making that one takes."""
    evaluator.cache = cache = Cache(evaluator.data_dir / FOLDER, keeps=False)
    if not evaluator.needs_extractor:
        return []
    if evaluator.options.features != "classifier":
        begun = _now(data)
        evaluator.extractor = open_published(evaluator.options.features, evaluator.options.features_weights,
                                             evaluator.data_dir, data.device)
        return [("reading the extractor", _now(data) - begun)]
    evaluator.extractor = kept_classifier(data, cache)
    if evaluator.extractor is not None:
        return []
    evaluator.extractor = untrained_classifier(data)
    return [("training the classifier, at most", classifier.price(data))]


def _few(sampler: Sampler, n: int, metrics: Sequence[str], budget_s: float) -> int:
    """Return how many examples to generate: all of them, or what the budget allows."""
    first = min(BLOCK, n, sampler.limit or n)
    sampler(0, first)
    begun = time.perf_counter()
    sampler(0, first)
    each = (time.perf_counter() - begun) / first
    most = int(budget_s / 2 / max(each, 1e-9)) // BLOCK * BLOCK
    least = max(METRICS[name].least for name in metrics)
    return min(n, sampler.limit or n, max(most, first, least))


def _now(data: Data) -> float:
    if data.device.type == "cuda":
        torch.cuda.synchronize(data.device)
    return time.perf_counter()
