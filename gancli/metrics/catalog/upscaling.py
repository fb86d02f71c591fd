"""How near enlarged images are to their originals, with bicubic interpolation beside."""

from typing import TYPE_CHECKING

from gancli.metrics.measure import Figure, Measure, Score

if TYPE_CHECKING:
    from gancli.metrics.context import Context, Pool

TESTED = 200  # images at most


def score(real: "Pool", fake: "Pool", context: "Context") -> Score:
    """Reduce held-out images (where there are none, training images), enlarge them, and compare with the originals.

    Low resolution that the data give takes the place of what is reduced here.
    """
    import torch

    from gancli.metrics.measures.luminance import compared
    from gancli.monitor.grids import to_uint8
    from gancli.networks.bicubic import enlarged

    model, size = context.sampler.model, context.sampler.batch_size
    held = context.test_data
    random = torch.Generator().manual_seed(context.seed)
    rows = torch.randperm(held.counts[0], generator=random)[:TESTED]
    found: dict[str, list] = {figure.name: [] for figure in MEASURE.figures}
    for part in rows.split(size):
        wanted, *given = held.domains(part)
        low = model.low_of(wanted, *given)
        for prefix, made in (("luma", model.upscale(low)), ("bicubic", enlarged(low, model.factor))):
            noise, likeness = compared(to_uint8(made).cpu(), to_uint8(wanted).cpu(), model.factor)
            found[f"{prefix}_psnr"].append(noise)
            found[f"{prefix}_ssim"].append(likeness)
    values = {name: torch.cat(parts).mean().item() for name, parts in found.items()}
    return Score(values, 0, len(rows), {"real_split": held.split, "border": model.factor,
                                        "low_resolution": "given" if held.spec.reduction else "bicubic, antialiased",
                                        "values": "Y of BT.601 in 8 bits' range, means over images"})


MEASURE = Measure(
    name="upscaling",
    figures=(Figure("luma_psnr", False, "mean peak signal-to-noise ratio of the luminance of enlarged images, in dB"),
             Figure("luma_ssim", False, "mean structural similarity of the luminance, 1 for equal images"),
             Figure("bicubic_psnr", None, "the first of bicubic interpolation"),
             Figure("bicubic_ssim", None, "the second of bicubic interpolation")),
    decides="luma_psnr",
    text="Images reduced, enlarged by the model and beside it bicubically: PSNR and SSIM on Y, borders cut.",
    paper="Ledig 2017, section 3.1; Wang 2004",
    score=score, needs_images=True, needs_upscale=True, likes_holdout=True)
