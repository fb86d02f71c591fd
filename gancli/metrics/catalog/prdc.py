"""Precision, recall, density and coverage of features."""

from typing import TYPE_CHECKING

from gancli.metrics.measure import Figure, Measure, Score

if TYPE_CHECKING:
    from gancli.metrics.context import Context, Pool

NEIGHBORS = 5  # Naeem 2020


def score(real: "Pool", fake: "Pool", context: "Context") -> Score:
    """Return all four shares."""
    from gancli.metrics.measures.manifold import compare_manifolds

    known, made = real["vectors"].rows(), fake["vectors"].rows()
    found = compare_manifolds(known, made, NEIGHBORS)
    return Score(found._asdict(), len(made), len(known), {"neighbors": NEIGHBORS})


MEASURE = Measure(
    name="prdc",
    figures=(Figure("precision", False, "share of samples inside the real manifold"),
             Figure("recall", False, "share of real images inside the generated manifold"),
             Figure("density", False, "how many real neighborhoods hold a sample, over k; may exceed 1"),
             Figure("coverage", False, "share of real images with a sample in their neighborhood")),
    decides="coverage",
    text="Precision, recall, density and coverage: quality and diversity apart, by nearest neighbors of the features.",
    paper="Kynkaanniemi 2019, eq. 1 and 2; Naeem 2020, section 3",
    score=score, real=("vectors",), fake=("vectors",), least=NEIGHBORS + 1, needs_features=True, needs_images=True)
