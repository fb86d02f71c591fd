"""Inception score of a classifier's logits."""

from typing import TYPE_CHECKING

from gancli.metrics.limits import SPLITS
from gancli.metrics.measure import Figure, Measure, Score

if TYPE_CHECKING:
    from gancli.metrics.context import Context, Pool


def score(real: "Pool", fake: "Pool", context: "Context") -> Score:
    """Return mean and spread over consecutive parts."""
    from gancli.metrics.measures.inception import inception_score

    sums = fake["scores"]
    mean, std = inception_score(sums.counts, sums.entropies, sums.marginals)
    return Score({"is": mean, "is_std": std}, context.n, None, {"splits": SPLITS, "split": "consecutive"})


MEASURE = Measure(
    name="is",
    figures=(Figure("is", False, "exp of the mean KL divergence, between 1 and the number of classes"),
             Figure("is_std", None, "standard deviation over splits")),
    decides="is",
    text="Inception score: samples that are each of one class, all together of every class.",
    paper="Salimans 2016, section 4",
    score=score, fake=("scores",), least=SPLITS, needs_features=True, needs_images=True)
