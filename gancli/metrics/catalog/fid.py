"""Frechet distance between Gaussians fitted to features."""

from typing import TYPE_CHECKING

from gancli.metrics.measure import Figure, Measure, Score

if TYPE_CHECKING:
    from gancli.metrics.context import Context, Pool


def score(real: "Pool", fake: "Pool", context: "Context") -> Score:
    """Return the distance of the moments."""
    from gancli.metrics.measures.frechet import frechet_distance

    known, made = real["moments"].moments, fake["moments"].moments
    return Score({"fid": frechet_distance(known, made)}, made.count, known.count, {})


MEASURE = Measure(
    name="fid",
    figures=(Figure("fid", True, "squared distance of two Gaussians"),),
    decides="fid",
    text="Frechet distance between Gaussians fitted to the features of real and generated images.",
    paper="Heusel 2017, section 3, eq. 6",
    score=score, real=("moments",), fake=("moments",), least=2, needs_features=True, needs_images=True)
