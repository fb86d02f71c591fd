"""How far apart translations of one image in several styles are, in an extractor's features."""

from typing import TYPE_CHECKING

from gancli.features.weights import EXTRACTORS, LAYERED
from gancli.metrics.measure import Figure, Measure, Score

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.metrics.context import Context, Pool

TESTED, STYLES = 200, 10  # images at most, and styles of each (Choi 2020, appendix C: ten)


def score(real: "Pool", fake: "Pool", context: "Context") -> Score:
    """Compare the styles of each image with each other, and real images of the target classes with each other."""
    import torch

    from gancli.diagnosis.signals import mean_distance, mean_distance_within
    from gancli.game.sampler import Sampler
    from gancli.monitor.grids import to_uint8

    held, size = context.holdout, context.sampler.batch_size
    rows = context.held_out_rows(TESTED)

    def seen(examples) -> "torch.Tensor":
        return torch.cat([context.extractor(to_uint8(examples(part))).vectors for part in rows.split(size)]).cpu()

    styles = [Sampler(context.sampler.model, context.seed + style, size, held) for style in range(STYLES)]
    made = torch.stack([seen(sampler.at) for sampler in styles], 1)  # [N, styles, D]
    spread = mean_distance(made).mean().item()
    of_real = mean_distance_within(seen(held.examples), held.labels(rows).cpu()).item()
    values = {"style_diversity": spread / of_real, "style_distance": spread}
    details = {"real_split": held.split, "styles": STYLES, "images": len(rows), "distance": "Euclidean, of features",
               "of": "latents"}
    if getattr(context.extractor, "name", None) in LAYERED:
        values["style_lpips"] = _perceptual(context, styles, rows)
        details |= {"lpips_layers": list(EXTRACTORS[context.extractor.name].layers),
                    "lpips_weights": context.extractor.linear.told}
    return Score(values, len(rows) * STYLES, len(rows), details)


def _perceptual(context: "Context", styles: list, rows: "Tensor") -> float:
    """Return the mean LPIPS distance of two styles of one image, a few images at a time: maps are many."""
    import torch

    from gancli.metrics.measures.perceptual import spread
    from gancli.monitor.grids import to_uint8

    found = []
    for part in rows.split(max(1, context.sampler.batch_size // STYLES)):
        maps = [context.extractor.layers(to_uint8(sampler.at(part))) for sampler in styles]
        found.append(spread(maps, context.extractor.linear.weights))
    return torch.cat(found).mean().item()


MEASURE = Measure(
    name="style_diversity",
    figures=(Figure("style_diversity", None, "mean distance of two styles of one image, over that of two real images of a "
                                             "class; 0: the style says nothing"),
             Figure("style_distance", None, "the first of these distances"),
             Figure("style_lpips", None, "the same as Choi 2020 has it: LPIPS, of an extractor that shows its layers")),
    decides=None,
    text="How far translations of one image in ten styles are apart, beside real images of one class.",
    paper="Choi 2020, section 4.1; Zhang 2018",
    score=score, needs_features=True, needs_images=True, needs_targets=True, needs_styles=True, needs_holdout=True)
