"""How often a classifier sees the class in a sample that the generator was told."""

from typing import TYPE_CHECKING

from gancli.features.weights import EXTRACTORS
from gancli.metrics.measure import Figure, Measure, Score

if TYPE_CHECKING:
    from gancli.metrics.context import Context, Pool


def score(real: "Pool", fake: "Pool", context: "Context") -> Score:
    """Return the share over all samples, and in the details that of each class."""
    from gancli.metrics.measures.modes import class_agreement

    predicted = fake["predictions"].rows().cpu()
    labels = context.sampler.labels(0, len(predicted))
    found = class_agreement(predicted, labels, len(context.data.spec.classes))
    shares = zip(context.data.spec.classes, found.classes.tolist(), strict=True)
    known = {name: share for name, share in shares if share == share}  # not of a class that nothing was made with
    return Score({"agreement": found.share}, len(predicted), None, {"classes": known})


def refuses(features: str) -> str:
    """Refuse a network that was trained on other classes."""
    if features in EXTRACTORS and features != "classifier":
        return f"asks for the data's own classes, which features={features} does not know: give features=classifier."
    return ""


MEASURE = Measure(
    name="agreement",
    figures=(Figure("agreement", False, "share of samples in which the classifier sees the class they were made with"),),
    decides="agreement",
    text="Label agreement: does a classifier of the data find the class that a conditional model was told?",
    paper="Odena 2017, section 4.1, with a classifier of the data's own",
    score=score, fake=("predictions",), refuses=refuses, needs_features=True, needs_images=True, needs_condition=True)
