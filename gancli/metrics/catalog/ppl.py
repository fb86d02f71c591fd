"""Perceptual path length: how far images move for small steps between latents."""

from typing import TYPE_CHECKING

from gancli.metrics.measure import Figure, Measure, Score
from gancli.seeds import mix

if TYPE_CHECKING:
    from gancli.metrics.context import Context, Pool

PATHS, PATH_BATCH = 5000, 64


def score(real: "Pool", fake: "Pool", context: "Context") -> Score:
    """Return the mean over paths between pairs of the sampler's latents, at a random place of each."""
    import torch

    from gancli.metrics.measures.path_length import EPSILON, mean_path_length, path_lengths

    sampler, paths, found = context.sampler, min(context.n // 2, PATHS), []
    times = torch.rand(paths, generator=torch.Generator().manual_seed(mix(context.seed, 2)))
    prior = getattr(sampler.model, "prior", None)
    spherical = prior is None or prior.spherical  # uniform latents: a circle would leave their range
    for start in range(0, paths, PATH_BATCH):
        stop = min(start + PATH_BATCH, paths)
        ends = sampler.latents_at(2 * start, 2 * stop)
        labels = sampler.labels(start, stop)
        found.append(path_lengths(lambda z, labels=labels: sampler.generate(z, labels),
                                  lambda x: context.extractor(x.add(1).mul(127.5)).vectors,
                                  ends[::2], ends[1::2], times[start:stop], spherical).cpu())
    length = mean_path_length(torch.cat(found))
    return Score({"ppl": length.mean}, 2 * paths, None,
                 {"paths": paths, "epsilon": EPSILON, "spherical": spherical, "standard_error": length.standard_error})


def refuses(features: str) -> str:
    """Refuse an extractor that rounds what it sees."""
    if features == "inception":
        return "compares steps below one of 8 bits, which features=inception does not see: give another features=."
    return ""


MEASURE = Measure(
    name="ppl",
    figures=(Figure("ppl", True, "mean squared feature distance over epsilon squared"),),
    decides="ppl",
    text="Perceptual path length: how far the image moves for a small step in the latent space.",
    paper="Karras 2019, section 4.1",
    score=score, refuses=refuses, least=4, needs_features=True, needs_images=True, needs_latents=True)
