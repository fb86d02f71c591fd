"""How often a model's own classification is wrong on examples that it was not trained on."""

from typing import TYPE_CHECKING

from gancli.metrics.measure import Figure, Measure, Score

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.data.dataset import Data
    from gancli.metrics.context import Context, Pool

MATCHED, TESTED = 10_000, 10_000  # examples at most by which clusters are named, and of which errors are counted


def score(real: "Pool", fake: "Pool", context: "Context") -> Score:
    """Count errors on held-out examples; clusters are first named by the class that training examples in them mostly have."""
    import torch

    from gancli.metrics.measures.matching import matched_classes, matched_error

    names, known, rows = context.data.spec.classes, context.order[:MATCHED], context.held_out_rows(TESTED)
    details = {"real_split": context.holdout.split}
    if context.sampler.model.clusters:
        found = matched_classes(_categories(context, context.data, known), context.data.labels(known).cpu(), len(names))
        named = [names[one] if one >= 0 else None for one in found.tolist()]
        details |= {"matched_on": len(known), "classes_of_categories": named}
    else:
        found = torch.arange(len(names))
    error = matched_error(_categories(context, context.holdout, rows), context.holdout.labels(rows).cpu(), found)
    return Score({"class_error": error}, 0, len(rows), details)


def _categories(context: "Context", data: "Data", rows: "Tensor") -> "Tensor":
    """Return the category that the model gives examples, [N] int64."""
    import torch

    model, size = context.sampler.model, context.sampler.batch_size
    return torch.cat([model.classify(data.examples(part, context.domain)).argmax(1).cpu() for part in rows.split(size)])


MEASURE = Measure(
    name="class_error",
    figures=(Figure("class_error", True, "share of held-out examples that the model's own classification gets wrong"),),
    decides="class_error",
    text="Error of a model's own classes on test examples; clusters are named by their most frequent class in training.",
    paper="Springenberg 2016, section 4; Chen 2016, section 7.2",
    score=score, needs_labels=True, needs_holdout=True, needs_classify=True)
