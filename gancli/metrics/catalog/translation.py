"""How far translations of held-out pairs are from what they should be."""

from typing import TYPE_CHECKING

from gancli.metrics.measure import Figure, Measure, Score

if TYPE_CHECKING:
    from gancli.metrics.context import Context, Pool

TESTED = 2000  # pairs at most


def score(real: "Pool", fake: "Pool", context: "Context") -> Score:
    """Translate held-out inputs (where there are none, training ones) and compare each translation with its partner."""
    import torch

    from gancli.metrics.measures.fidelity import absolute_error, gradient_energy, signal_to_noise
    from gancli.metrics.measures.similarity import structural_similarity

    model, size, held = context.sampler.model, context.sampler.batch_size, context.test_data
    found: dict[str, list] = {name: [] for name in ("l1", "psnr", "ssim", "gradient_energy", "gradient_energy_real")}
    rows = context.held_out_rows(TESTED)
    for part in rows.split(size):
        wanted = held.examples(part, context.domain)
        made = model.translate(held.examples(part, 1 - context.domain), held.spec.domains[context.domain]).float()
        found["l1"].append(absolute_error(made, wanted))
        found["psnr"].append(signal_to_noise(made, wanted))
        found["ssim"].append(structural_similarity(made, wanted))
        found["gradient_energy"].append(gradient_energy(made))
        found["gradient_energy_real"].append(gradient_energy(wanted))
    values = {name: torch.cat(parts).mean().item() for name, parts in found.items()}
    return Score(values, 0, len(rows), {"real_split": held.split, "values": "l1 and gradients of pixels in [0, 1]"})


MEASURE = Measure(
    name="translation",
    figures=(Figure("l1", True, "mean absolute error of pixels in [0, 1]"),
             Figure("psnr", False, "mean peak signal-to-noise ratio of the images, in dB"),
             Figure("ssim", False, "mean structural similarity, 1 for equal images"),
             Figure("gradient_energy", None, "mean squared difference of neighboring pixels of translations: less is blur"),
             Figure("gradient_energy_real", None, "the same of the real images")),
    decides="l1",
    text="Translations of test images beside their true partners: absolute error, PSNR, SSIM, and sharpness.",
    paper="Isola 2017; Wang 2004",
    score=score, needs_images=True, needs_pairs=True, likes_holdout=True)
