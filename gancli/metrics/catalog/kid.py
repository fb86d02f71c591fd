"""Kernel distance: the discrepancy of features over random subsets."""

from typing import TYPE_CHECKING

from gancli.metrics.measure import Figure, Measure, Score

if TYPE_CHECKING:
    from gancli.metrics.context import Context, Pool

SUBSETS, SUBSET_SIZE = 100, 1000  # Binkowski 2018


def score(real: "Pool", fake: "Pool", context: "Context") -> Score:
    """Return mean and spread over the subsets."""
    from gancli.metrics.measures.kernel import kernel_distance

    known, made = real["vectors"].rows(), fake["vectors"].rows()
    distance = kernel_distance(known, made, SUBSETS, SUBSET_SIZE, context.seed % 2**32)
    return Score({"kid": distance.mean, "kid_std": distance.std}, len(made), len(known),
                 {"subsets": SUBSETS, "subset_size": min(SUBSET_SIZE, len(known), len(made))})


MEASURE = Measure(
    name="kid",
    figures=(Figure("kid", True, "unbiased squared MMD, mean over subsets"),
             Figure("kid_std", None, "standard deviation over subsets")),
    decides="kid",
    text="Kernel distance: squared maximum mean discrepancy of the features under a cubic polynomial kernel.",
    paper="Binkowski 2018, section 4",
    score=score, real=("vectors",), fake=("vectors",), least=2, needs_features=True, needs_images=True)
