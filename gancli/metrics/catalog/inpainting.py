"""How far fillings of holes in held-out images are from what was there, beside fillings without a network."""

from typing import TYPE_CHECKING

from gancli.metrics.measure import Figure, Measure, Score

if TYPE_CHECKING:
    from gancli.metrics.context import Context, Pool

TESTED = 2000  # images at most
FILLINGS = ("", "_mean", "_diffusion")


def score(real: "Pool", fake: "Pool", context: "Context") -> Score:
    """Fill a hole in each held-out image and compare with what was there; the same with a color and by diffusion.

    Where nothing is held out, training images take their place.
    """
    import torch

    from gancli.equations import diffused
    from gancli.metrics.measures.fidelity import errors_within

    sampler, held = context.sampler, context.test_data
    found: dict[str, list] = {f"hole_{name}{filling}": [] for filling in FILLINGS for name in ("l1", "psnr")}
    rows, start = context.held_out_rows(TESTED), 0
    for part in rows.split(sampler.batch_size):
        x = held.examples(part).float().cpu()
        mask = sampler.holes_at(start, start + len(part))
        start += len(part)
        seen = (x * (1 - mask)).sum((2, 3), keepdim=True) / (1 - mask).sum((2, 3), keepdim=True).clamp_min(1)
        made = sampler.model.inpaint(x.to(sampler.device), mask.to(sampler.device)).float().cpu()
        fillings = made, torch.where(mask > 0, seen, x), diffused(x, mask)
        for filling, images in zip(FILLINGS, fillings, strict=True):
            for name, values in zip(("l1", "psnr"), errors_within(images, x, mask), strict=True):
                found[f"hole_{name}{filling}"].append(values)
    values = {name: torch.cat(parts).mean().item() for name, parts in found.items()}
    return Score(values, 0, len(rows), {"real_split": held.split, "values": "pixels in [0, 1], inside of holes alone"})


MEASURE = Measure(
    name="inpainting",
    figures=(Figure("hole_l1", True, "mean absolute error of pixels in [0, 1] inside of the holes"),
             Figure("hole_psnr", False, "mean peak signal-to-noise ratio there, in dB"),
             Figure("hole_l1_mean", True, "the error of the mean color of each image's other pixels"),
             Figure("hole_psnr_mean", False, "its signal-to-noise ratio"),
             Figure("hole_l1_diffusion", True, "the error of Laplace's equation in the hole"),
             Figure("hole_psnr_diffusion", False, "its signal-to-noise ratio")),
    decides="hole_l1",
    text="Fillings of holes in test images beside what was there: error and PSNR, also of a mean color and of diffusion.",
    paper="Pathak 2016, section 5.1",
    score=score, needs_images=True, needs_holes=True, likes_holdout=True)
