"""How likely generated sequences are to the random LSTM that drew the data."""

from typing import TYPE_CHECKING

from gancli.metrics.measure import Figure, Measure, Score

if TYPE_CHECKING:
    from gancli.metrics.context import Context, Pool


def score(real: "Pool", fake: "Pool", context: "Context") -> Score:
    """Return the mean over sequences of each token's -log p under the oracle."""
    made, oracle = fake["images"].images(), context.data.oracle
    return Score({"oracle_nll": oracle.nats(made).mean().item()}, len(made), None, {})


MEASURE = Measure(
    name="oracle_nll",
    figures=(Figure("oracle_nll", True, "nats a token; a generator that repeats one likely sequence has a low one, too"),),
    decides="oracle_nll",
    text="Negative log-likelihood of generated sequences under the LSTM that drew the data (dataset=oracle).",
    paper="Yu 2017, section 5.1",
    score=score, fake=("images",), needs_tokens=True, needs_oracle=True)
