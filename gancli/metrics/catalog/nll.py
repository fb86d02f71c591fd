"""How likely held-out sequences are to the generator."""

from typing import TYPE_CHECKING

from gancli.metrics.measure import Figure, Measure, Score

if TYPE_CHECKING:
    from gancli.metrics.context import Context, Pool

TESTED = 10_000  # held-out sequences at most


def score(real: "Pool", fake: "Pool", context: "Context") -> Score:
    """Return -log p of a token of the held-out sequences, their ends among them."""
    from gancli.metrics.measures.likelihood import token_nats

    held, sampler = context.held_out(TESTED), context.sampler
    value = token_nats(sampler.model.log_likelihood, held, context.data.spec.end, sampler.batch_size)
    return Score({"nll": value}, 0, len(held), {"real_split": context.holdout.split})


MEASURE = Measure(
    name="nll",
    figures=(Figure("nll", True, "nats a token of held-out sequences; high where a generator leaves some of them out"),),
    decides="nll",
    text="Negative log-likelihood of held-out sequences under the generator.",
    paper="Yu 2017, section 5.1 (NLL test of later work)",
    score=score, needs_tokens=True, needs_holdout=True, needs_likelihood=True)
