"""Sliced Wasserstein distance: of random patches at every scale, or of points."""

from typing import TYPE_CHECKING, Any

from gancli.metrics.limits import PATCH_BUDGET, PATCH_IMAGES
from gancli.metrics.measure import Figure, Measure, Score

if TYPE_CHECKING:
    from gancli.metrics.context import Context, Pool

DIRECTIONS = 128  # random projections


def digest(real: "Pool", context: "Context") -> Any:
    """Keep the real patches' projections, or the points."""
    from gancli.metrics.measures.sliced import reference_of

    if not context.data.spec.is_image:
        return real["images"].images()
    return reference_of(real["patches"].levels(), DIRECTIONS, context.seed)


def score(real: Any, fake: "Pool", context: "Context") -> Score:
    """Return the distance of patches, or of points."""
    from gancli.metrics.measures.sliced import image_distance, sliced_points

    if not context.data.spec.is_image:
        points = fake["images"].images()
        value = sliced_points(real, points, DIRECTIONS, context.seed)
        return Score({"swd": value}, len(points), len(real), {"directions": DIRECTIONS, "order": 2})
    distance = image_distance(real, fake["patches"].levels())
    details = {"directions": DIRECTIONS, "patches": PATCH_BUDGET, "levels_finest_first": distance.levels}
    return Score({"swd": distance.mean}, min(context.n, PATCH_IMAGES), min(len(context.order), PATCH_IMAGES), details)


MEASURE = Measure(
    name="swd",
    figures=(Figure("swd", True, "mean over projections (and pyramid levels), x 1000 for images"),),
    decides="swd",
    text="Sliced Wasserstein distance: of 7x7 patches at every scale for images, of the points themselves for points.",
    paper="Rabin 2012; Karras 2018, section 5",
    score=score, digest=digest, real=("patches",), fake=("patches",))
