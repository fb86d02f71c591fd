"""Histogram of the classes that a classifier sees in the samples."""

from typing import TYPE_CHECKING

from gancli.features.weights import EXTRACTORS
from gancli.metrics.measure import Figure, Measure, Score

if TYPE_CHECKING:
    from gancli.metrics.context import Context, Pool


def score(real: "Pool", fake: "Pool", context: "Context") -> Score:
    """Compare the histogram with that of the data's labels."""
    import torch

    from gancli.metrics.measures.modes import class_coverage

    labels = context.data.labels(context.order).cpu()
    due = torch.bincount(labels, minlength=len(context.data.spec.classes))
    counts = fake["classes"].counts
    found = class_coverage(torch.arange(len(counts)).repeat_interleave(counts), due)
    return Score({"classes": found.classes, "classes_kl": found.kl}, int(counts.sum()), len(labels),
                 {"counts": dict(zip(context.data.spec.classes, counts.tolist(), strict=True))})


def refuses(features: str) -> str:
    """Refuse a network that was trained on other classes."""
    if features in EXTRACTORS and features != "classifier":
        return f"counts the data's own classes, which features={features} does not know: give features=classifier."
    return ""


MEASURE = Measure(
    name="classes",
    figures=(Figure("classes", False, "classes (modes) that at least one sample is assigned to"),
             Figure("classes_kl", True, "KL divergence of the samples' classes from the data's, in nats")),
    decides="classes_kl",
    text="Histogram of the classes that a classifier sees in the samples; of 1,000 modes for stacked digits.",
    paper="Metz 2017; Srivastava 2017, section 4.1",
    score=score, fake=("classes",), refuses=refuses, needs_features=True, needs_labels=True, needs_images=True)
