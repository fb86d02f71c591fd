"""Parzen windows: log-likelihood of held-out examples under Gaussians around the samples."""

from typing import TYPE_CHECKING

from gancli.metrics.measure import Figure, Measure, Score

if TYPE_CHECKING:
    from gancli.metrics.context import Context, Pool

VALIDATION, TEST = 1000, 10_000  # held-out examples at most (a quarter of few)
POINT_BANDWIDTHS = tuple(10 ** (step / 4 - 3) for step in range(13))  # on points: 0.001 to 1


def score(real: "Pool", fake: "Pool", context: "Context") -> Score:
    """Return the mean over held-out examples; part of them chooses the width."""
    from gancli.metrics.measures.parzen import BANDWIDTHS, parzen_likelihood, unit_pixels

    count = min(context.holdout.counts[context.domain], VALIDATION + TEST)
    held = context.held_out(count)
    validation = min(VALIDATION, max(count // 4, 1))
    images = context.data.spec.is_image
    rows = unit_pixels if images else (lambda points: points)
    samples = rows(fake["images"].images())
    bandwidths = BANDWIDTHS if images else POINT_BANDWIDTHS
    found = parzen_likelihood(samples, rows(held[:validation]), rows(held[validation:]), bandwidths)
    return Score({"parzen": found.mean, "parzen_se": found.standard_error}, len(samples), count - validation,
                 {"bandwidth": found.bandwidth, "at_edge": found.at_edge, "validation": validation,
                  "values": "pixels in [0, 1]" if images else "coordinates", "real_split": context.holdout.split})


MEASURE = Measure(
    name="parzen",
    figures=(Figure("parzen", False, "mean over test examples, in nats"),
             Figure("parzen_se", None, "standard error over test examples, in nats")),
    decides="parzen",
    text="Log-likelihood of test examples under Gaussians around the samples, their width chosen on a validation set.",
    paper="Breuleux 2009; Goodfellow 2014, section 5",
    score=score, fake=("images",), needs_holdout=True)
