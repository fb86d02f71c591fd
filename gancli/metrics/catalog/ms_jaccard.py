"""MS-Jaccard: which n-grams generated texts and the data share, and how often: quality and diversity in one figure."""

from typing import TYPE_CHECKING

from gancli.metrics.measure import Figure, Measure, Score

if TYPE_CHECKING:
    from gancli.metrics.context import Context, Pool

ORDERS = (2, 3, 4, 5)


def score(real: "Pool", fake: "Pool", context: "Context") -> Score:
    """Return the figure of N-grams up to each order."""
    from gancli.metrics.measures.ngrams import ms_jaccard

    made, known = (context.sequences(pool["images"].images()) for pool in (fake, real))
    found = ms_jaccard(made, known, max(ORDERS))
    return Score({f"ms_jaccard{n}": found[n - 1] for n in ORDERS}, len(made), len(known), {})


MEASURE = Measure(
    name="ms_jaccard",
    figures=tuple(Figure(f"ms_jaccard{n}", False, f"share of n-grams up to {n} in common, by how often they occur")
                  for n in ORDERS),
    decides="ms_jaccard4",
    text="How much the n-grams of generated texts and of the data have in common, rare ones and frequent ones alike.",
    paper="Montahaei 2019",
    score=score, real=("images",), fake=("images",), needs_tokens=True)
