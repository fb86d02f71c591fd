"""Training examples nearest to samples: does the generator copy?"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gancli.metrics.limits import FEWEST_IMAGES
from gancli.metrics.measure import Figure, Measure, Score

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.metrics.context import Context, Pool
    from gancli.monitor.grids import Picture

QUERIES = 500  # samples (and held-out examples) whose nearest training examples are looked for
SHOWN, SHOWN_NEIGHBORS = FEWEST_IMAGES, 7  # rows and neighbors of the grid
CHUNK = 1024  # training examples at a time


def score(real: "Pool", fake: "Pool", context: "Context") -> Score:
    """Draw the neighbors, and compare their distances with those of held-out examples."""
    import torch

    from gancli.metrics.measures.nearest import Neighbors, memorization

    made = fake["images"].images()[:QUERIES]
    samples = Neighbors(made.flatten(1), SHOWN_NEIGHBORS)
    count = len(context.order)
    own = context.holdout is None
    others = context.real(0, min(QUERIES, count)) if own else context.held_out(QUERIES)
    reference = Neighbors(others.flatten(1), 1, torch.arange(len(others)) if own else None)
    for part in _chunks(count):
        examples = context.real(*part).flatten(1)
        samples.update(examples)
        reference.update(examples)
    found = memorization(samples.distances[:, 0], reference.distances[:, 0])
    if context.data.spec.is_image:
        context.pictures["nearest"] = _neighbor_grid(made[:SHOWN], samples.indices[:SHOWN], context)
    return Score({"memorization": found.ratio, "nearer_share": found.nearer_share}, len(made), count,
                 {"space": "pixels" if context.data.spec.is_image else "coordinates",
                  "reference": "training examples without themselves" if own else f"split {context.holdout.split}"})


def _neighbor_grid(made: "Tensor", indices: "Tensor", context: "Context") -> "Picture":
    """Return a picture with a sample a row, and behind it the nearest training images."""
    import torch

    from gancli.monitor.grids import image_grid, preview_zoom

    rows = context.order[indices.cpu().flatten()]
    found = context.data.examples(rows, context.domain).unflatten(0, indices.shape)
    cells = torch.cat([made[:, None], found], 1).flatten(0, 1)
    columns = 1 + indices.shape[1]
    grid = image_grid(cells, columns)
    return image_grid(cells, columns, zoom=preview_zoom(*grid.shape[:2]))


def _chunks(count: int) -> Iterator[tuple[int, int]]:
    for start in range(0, count, CHUNK):
        yield start, min(start + CHUNK, count)


MEASURE = Measure(
    name="nearest",
    figures=(Figure("memorization", None, "distance to the training data over that of held-out real images; near 0: copies"),
             Figure("nearer_share", None, "chance that a sample is nearer to the training data than a held-out real image: "
                                          "about a half; 1: all copies")),
    decides=None,
    text="The training images nearest to the samples, side by side: does the generator copy?",
    paper="Meehan 2020 (the share)",
    score=score, fake=("images",), likes_holdout=True)
