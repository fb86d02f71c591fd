"""How often an independent classifier sees the target domain in translations of held-out images."""

from typing import TYPE_CHECKING

from gancli.metrics.catalog.agreement import refuses
from gancli.metrics.measure import Figure, Measure, Score

if TYPE_CHECKING:
    from gancli.metrics.context import Context, Pool

TESTED = 2000  # images at most


def score(real: "Pool", fake: "Pool", context: "Context") -> Score:
    """Translate held-out images, each into one other class in turn, and ask a classifier that was trained on the data."""
    import torch

    from gancli.game.sampler import Sampler
    from gancli.metrics.measures.modes import class_agreement
    from gancli.monitor.grids import to_uint8

    held, names, size = context.holdout, context.data.spec.classes, context.sampler.batch_size
    translations = Sampler(context.sampler.model, context.seed, size, held)
    rows = context.held_out_rows(TESTED)
    sources, targets = held.labels(rows).cpu(), translations.targets[rows]
    seen: dict[str, list] = {"before": [], "after": []}
    for part in rows.split(size):
        for key, x in (("before", held.examples(part)), ("after", translations.at(part))):
            seen[key].append(context.extractor(to_uint8(x)).logits.argmax(1).cpu())
    before, after = (torch.cat(parts) for parts in seen.values())
    found = class_agreement(after, targets, len(names))
    shares = zip(names, found.classes.tolist(), strict=True)
    values = {"target_agreement": found.share, "source_kept": class_agreement(after, sources, len(names)).share,
              "classifier_error": 1 - class_agreement(before, sources, len(names)).share}
    return Score(values, len(rows), None, {"real_split": held.split, "targets": "another class for each image, in turn",
                                           "classes": {name: share for name, share in shares if share == share}})


MEASURE = Measure(
    name="target_agreement",
    figures=(Figure("target_agreement", False, "share of translations in which the classifier sees the target class"),
             Figure("source_kept", None, "share in which it still sees the class of the image that was translated"),
             Figure("classifier_error", None, "share of the same held-out images, untranslated, that it gets wrong")),
    decides="target_agreement",
    text="Does a classifier of the data's own find the target class in translations of held-out images?",
    paper="Choi 2018, section 5.4, with a classifier of the data's own",
    score=score, refuses=refuses, needs_features=True, needs_images=True, needs_targets=True, needs_holdout=True)
