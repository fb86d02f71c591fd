"""Multi-scale structural similarity of pairs: how alike samples are, beside how alike real images are."""

from typing import TYPE_CHECKING

from gancli.metrics.measure import Figure, Measure, Score

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.metrics.context import Context, Pool

PAIRS = 1000


def score(real: "Pool", fake: "Pool", context: "Context") -> Score:
    """Return the means over pairs of samples and of real images; of one class each where the model takes labels."""
    from gancli.metrics.measures.similarity import scales_for

    made, known = fake["images"].images(), real["images"].images()
    labels = context.sampler.labels(0, len(made))
    known_labels = None if labels is None else context.data.labels(context.order[:len(known)])
    values = {"ms_ssim": _similarity(made, labels, context), "ms_ssim_real": _similarity(known, known_labels, context)}
    return Score(values, len(made), len(known), {"pairs": PAIRS, "pairs_of_one_class": labels is not None,
                                                 "scales": scales_for(*made.shape[2:])})


def _similarity(images: "Tensor", labels: "Tensor | None", context: "Context") -> float:
    import torch

    from gancli.metrics.measures.similarity import multiscale_similarity, random_pairs

    pairs = random_pairs(len(images), PAIRS, context.seed, labels)
    values = [multiscale_similarity(images[part[:, 0]], images[part[:, 1]]) for part in pairs.to(images.device).split(100)]
    return torch.cat(values).mean().item()


MEASURE = Measure(
    name="ms_ssim",
    figures=(Figure("ms_ssim", None, "mean over pairs of samples, 1: all alike"),
             Figure("ms_ssim_real", None, "the same of pairs of real images, to compare with")),
    decides=None,
    text="Multi-scale structural similarity between samples: far above the data's, the samples are too alike.",
    paper="Wang 2003; Odena 2017, section 4.2",
    score=score, real=("images",), fake=("images",), least=2, needs_images=True)
