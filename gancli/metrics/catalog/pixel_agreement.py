"""Whether the images that a model of two domains makes of one latent belong together, where it is known how they should."""

from typing import TYPE_CHECKING

from gancli.metrics.measure import Figure, Measure, Score

if TYPE_CHECKING:
    from gancli.metrics.context import Context, Pool


def score(real: "Pool", fake: "Pool", context: "Context") -> Score:
    """Change the first domain's images as the data were, and compare with the second domain's images of the same latents.

    Beside it stands what images of other latents agree by: most of a digit's picture is black.
    """
    import torch

    from gancli.data.second import CHANGES
    from gancli.metrics.measures.pixels import agreeing_pixels
    from gancli.monitor.grids import to_uint8

    sampler, change = context.sampler, CHANGES[context.data.second]
    size, shares, others = max(2, sampler.batch_size), [], []
    for start in range(0, context.n - 1, size):  # a last one alone has no neighbor
        with torch.no_grad():
            both = sampler.model.generate_domains(sampler.latents_at(start, min(start + size, context.n)).to(sampler.device))
        first, second = (to_uint8(x).cpu() for x in both)
        expected = torch.from_numpy(change(first.permute(0, 2, 3, 1).numpy())).permute(0, 3, 1, 2)
        shares.append(agreeing_pixels(expected, second))
        others.append(agreeing_pixels(expected.roll(1, 0), second))
    values = {"pixel_agreement": torch.cat(shares).mean().item(), "pixel_agreement_of_others": torch.cat(others).mean().item()}
    return Score(values, sum(map(len, shares)), None, {"change": context.data.second, "compared": "8 bits, light from 128 on"})


MEASURE = Measure(
    name="pixel_agreement",
    figures=(Figure("pixel_agreement", False, "share of pixels on which the second image and the changed first one agree"),
             Figure("pixel_agreement_of_others", None, "the same with another latent's first image: what chance gives")),
    decides="pixel_agreement",
    text="Pixels on which a second domain's image and the first one of the same latent, changed as the data were, agree.",
    paper="Liu & Tuzel 2016, section 6",
    score=score, least=2, needs_images=True, needs_second=True)
