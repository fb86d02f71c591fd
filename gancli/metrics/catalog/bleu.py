"""BLEU of generated texts against the data's, and of each against the others: quality and diversity."""

from typing import TYPE_CHECKING

from gancli.metrics.measure import Figure, Measure, Score

if TYPE_CHECKING:
    from gancli.metrics.context import Context, Pool

ORDERS = (2, 3, 4, 5)
TEXTS, REFERENCES = 500, 10_000  # generated texts that are scored (as Texygen), and of the data's that they are compared with


def score(real: "Pool", fake: "Pool", context: "Context") -> Score:
    """Return both kinds of BLEU, of N-grams up to each order."""
    from gancli.metrics.measures.ngrams import mean_bleu, self_bleu

    made, known = (context.sequences(pool["images"].images()) for pool in (fake, real))
    made, known = made[:TEXTS], known[:REFERENCES]
    against, among = mean_bleu(made, known, max(ORDERS)), self_bleu(made, max(ORDERS))
    values = {f"bleu{n}": against[n - 1] for n in ORDERS} | {f"self_bleu{n}": among[n - 1] for n in ORDERS}
    return Score(values, len(made), len(known), {"smoothing": "0.1 where nothing matches", "weights": "equal"})


MEASURE = Measure(
    name="bleu",
    figures=(*(Figure(f"bleu{n}", False, f"of n-grams up to {n}, against all texts of the data") for n in ORDERS),
             *(Figure(f"self_bleu{n}", None, f"of n-grams up to {n}, against the other generated texts; high: they are alike")
               for n in ORDERS)),
    decides="bleu4",
    text="BLEU of generated texts against the data, and self-BLEU, which tells how alike they are.",
    paper="Papineni 2002; Zhu 2018 (Texygen)",
    score=score, real=("images",), fake=("images",), least=2, needs_tokens=True)
