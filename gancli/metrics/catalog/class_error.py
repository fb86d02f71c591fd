"""How often a model's own classification is wrong on examples that it was not trained on."""

from typing import TYPE_CHECKING

from gancli.metrics.measure import Figure, Measure, Score

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.data.dataset import Data
    from gancli.metrics.context import Context, Pool

MATCHED, TESTED = 10_000, 10_000  # examples at most by which categories are named, and of which errors are counted


def score(real: "Pool", fake: "Pool", context: "Context") -> Score:
    """Name each category by the class that training examples in it have most often, and count errors on others."""
    from gancli.metrics.measures.matching import matched_classes, matched_error

    classes = len(context.data.spec.classes)
    known, rows = context.order[:MATCHED], context.held_out_rows(TESTED)
    categories = _categories(context, context.data, known)
    names = matched_classes(categories, context.data.labels(known).cpu(), classes)
    error = matched_error(_categories(context, context.holdout, rows), context.holdout.labels(rows).cpu(), names)
    named = [context.data.spec.classes[name] if name >= 0 else None for name in names.tolist()]
    return Score({"class_error": error}, 0, len(rows),
                 {"matched_on": len(known), "real_split": context.holdout.split, "classes_of_categories": named})


def _categories(context: "Context", data: "Data", rows: "Tensor") -> "Tensor":
    """Return the category that the model gives examples, [N] int64."""
    import torch

    model, size = context.sampler.model, context.sampler.batch_size
    return torch.cat([model.classify(data.examples(part, context.domain)).argmax(1).cpu() for part in rows.split(size)])


MEASURE = Measure(
    name="class_error",
    figures=(Figure("class_error", True, "share of held-out examples that the model's own classification gets wrong"),),
    decides="class_error",
    text="Error of the model's own classes or codes on test examples, each named by the class it mostly holds in training.",
    paper="Chen 2016, section 7.2",
    score=score, needs_labels=True, needs_holdout=True, needs_classify=True)
