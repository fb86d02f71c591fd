"""How far what a model made is, to a frozen network's layers, from what it should have made."""

from typing import TYPE_CHECKING

from gancli.features.weights import EXTRACTORS, LAYERED
from gancli.metrics.measure import Figure, Measure, Score

if TYPE_CHECKING:
    from gancli.metrics.context import Context, Pool

TESTED = 500  # images at most


def score(real: "Pool", fake: "Pool", context: "Context") -> Score:
    """Translate pairs, enlarge or fill held-out images (where there are none, training images), and compare each."""
    import torch

    from gancli.metrics.measures.perceptual import perceptual_distance
    from gancli.metrics.partners import made_and_wanted
    from gancli.monitor.grids import to_uint8

    extractor, found = context.extractor, []
    of, pairs = made_and_wanted(context, TESTED)
    for made, wanted in pairs:
        maps = (extractor.layers(to_uint8(images.float())) for images in (made, wanted))
        found.append(perceptual_distance(*maps, extractor.linear.weights))
    values = torch.cat(found)
    held = context.test_data
    return Score({"lpips": values.mean().item()}, 0, len(values), {
        "real_split": held.split, "of": of, "layers": list(EXTRACTORS[extractor.name].layers),
        "linear_weights": extractor.linear.told,
        "size": "own; sides below 32 enlarged for networks of ImageNet, images of more than 32 shrunk for the classifier"})


def without_layers(features: str) -> str:
    """Refuse extractors that show no layers."""
    if features in LAYERED:
        return ""
    return f"looks at several layers of an extractor: give features={', '.join(LAYERED)}."


MEASURE = Measure(
    name="lpips",
    figures=(Figure("lpips", True, "squared difference of unit-length channels, averaged over space, summed over layers"),),
    decides="lpips",
    text="Translations, enlarged images or filled holes beside what they should be, in a named extractor's layers.",
    paper="Zhang 2018, equation 1",
    score=score, refuses=without_layers, needs_features=True, needs_images=True, needs_partners=True, likes_holdout=True)
