"""Modes of a toy density that the samples hold."""

from typing import TYPE_CHECKING

from gancli.metrics.measure import Figure, Measure, Score

if TYPE_CHECKING:
    from gancli.metrics.context import Context, Pool


def score(real: "Pool", fake: "Pool", context: "Context") -> Score:
    """Return how many modes are caught and held, and how well."""
    import torch

    from gancli.metrics.measures.modes import toy_coverage

    points = fake["images"].images().cpu()
    centers, stds, weights = (torch.from_numpy(part) for part in context.data.mixture)
    found = toy_coverage(points, centers, stds, weights)
    values = {"modes": found.modes, "good_share": found.good_share, "modes_kl": found.kl, "modes_held": found.held}
    return Score(values, len(points), None, {"modes": len(centers), "counts": found.counts.tolist()})


MEASURE = Measure(
    name="modes",
    figures=(Figure("modes", False, "centers with at least one good sample"),
             Figure("good_share", False, "share of samples within 3 standard deviations of a center"),
             Figure("modes_kl", True, "KL divergence of the good samples' modes from the density's, in nats"),
             Figure("modes_held", False, "modes with at least a tenth of their share of good samples")),
    decides="modes_held",  # a collapsed generator's samples are all good, and one stray sample catches a mode
    text="Modes of a toy density that the generator catches, and how many of its samples are good.",
    paper="Metz 2017; Srivastava 2017, section 4.1",
    score=score, fake=("images",), needs_points=True)
