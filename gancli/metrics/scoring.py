"""From collected examples to figures: one function a measure, with the constants that its protocol states.

Legend: N examples, M modes, K classes, Z latent size.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from gancli.data.dataset import Data
from gancli.errors import UserError
from gancli.features.extractors import Extractor
from gancli.metrics.collectors import ClassCounts, Collector, MomentsOf, Patches, Rows, ScoreSums
from gancli.metrics.measures.frechet import frechet_distance
from gancli.metrics.measures.kernel import kernel_distance
from gancli.metrics.measures.manifold import compare_manifolds
from gancli.metrics.measures.modes import class_coverage, toy_coverage
from gancli.metrics.measures.nearest import Neighbors, memorization
from gancli.metrics.measures.parzen import BANDWIDTHS, parzen_likelihood, unit_pixels
from gancli.metrics.measures.path_length import EPSILON, mean_path_length, path_lengths
from gancli.metrics.measures.similarity import multiscale_similarity, random_pairs, scales_for
from gancli.metrics.measures.sliced import image_distance, reference_of, sliced_points
from gancli.monitor.grids import Picture, image_grid, preview_zoom
from gancli.seeds import mix

MOST_VECTORS = 10_000  # features kept on each side for measures of pairs (kid, prdc): memory stays bounded
MOST_IMAGES, MOST_IMAGE_BYTES = 10_000, 2**29
MOST_POINTS = 10_000
PATCH_IMAGES, PATCH_BUDGET = 16_384, 16_384  # images of a side, and patches of all of them
DIRECTIONS = 128  # random projections of swd
SUBSETS, SUBSET_SIZE = 100, 1000  # of kid (Binkowski 2018)
SPLITS = 10  # of is (Salimans 2016)
NEIGHBORS = 5  # of prdc (Naeem 2020)
PATHS, PATH_BATCH = 5000, 64  # of ppl
PAIRS = 1000  # of ms_ssim
VALIDATION, TEST = 1000, 10_000  # held-out examples of parzen at most (a quarter of few)
POINT_BANDWIDTHS = tuple(10 ** (step / 4 - 3) for step in range(13))  # of parzen on points: 0.001 to 1
QUERIES = 500  # samples (and held-out examples) whose nearest training examples are looked for
SHOWN, SHOWN_NEIGHBORS = 16, 7  # rows and neighbors of the grid
CHUNK = 1024  # training examples at a time


class Examples(Protocol):
    """What is judged; gancli.game.sampler.Sampler is one."""

    batch_size: int
    limit: int | None  # examples there are; None: endless

    def __call__(self, start: int, stop: int) -> Tensor:
        """Return examples start to stop: images in [-1, 1], or points."""

    def labels(self, start: int, stop: int) -> Tensor | None:
        """Return their classes where the model takes labels."""


@dataclass
class Context:
    """What scorers look at beside what was collected."""

    n: int  # generated examples
    seed: int  # of random choices
    data: Data
    domain: int  # of the data that is compared with
    order: Tensor  # rows of the real examples compared with, shuffled
    extractor: Extractor | None
    holdout: Data | None  # real examples that the model was not trained on
    sampler: Examples | None = None
    reference: Any = None  # what swd keeps of the real patches
    pictures: dict[str, Picture] = field(default_factory=dict)  # what scorers draw

    def real(self, start: int, stop: int) -> Tensor:
        """Return real examples by their position in the order."""
        return self.data.examples(self.order[start:stop], self.domain)

    def held_out(self, count: int) -> Tensor:
        """Return up to so many held-out examples, at random."""
        random = torch.Generator().manual_seed(mix(self.seed, 1))
        rows = torch.randperm(self.holdout.counts[self.domain], generator=random)[:count]
        return self.holdout.examples(rows, self.domain)


@dataclass(frozen=True)
class Score:
    """The figures of one measure, the numbers of examples that entered, and what else the protocol must say."""

    values: dict[str, float]
    generated: int
    real: int | None
    details: dict[str, Any]


Pool = dict[str, Collector]


@dataclass(frozen=True)
class Scorer:
    """How a measure is computed from what collectors of these kinds hold."""

    score: Callable[[Pool, Pool, Context], Score]  # real, generated
    real: tuple[str, ...] = ()
    fake: tuple[str, ...] = ()


def make_collector(kind: str, total: int, context: Context, seed: int) -> Collector:
    """Return an empty collector for a side of `total` examples."""
    size = context.data.spec.shape
    if kind == "images":
        pixels = torch.Size(size).numel()
        return Rows(kind, min(MOST_IMAGES, max(MOST_IMAGE_BYTES // pixels, SHOWN)) if len(size) == 3 else MOST_POINTS)
    return {"moments": MomentsOf, "classes": ClassCounts,
            "vectors": lambda: Rows("vectors", MOST_VECTORS),
            "scores": lambda: ScoreSums(total, SPLITS),
            "patches": lambda: Patches(min(total, PATCH_IMAGES), PATCH_BUDGET, seed)}[kind]()


def swd(real: Pool, fake: Pool, context: Context) -> Score:
    """Sliced Wasserstein distance of patches, or of points."""
    if not context.data.spec.is_image:
        points = fake["images"].images()
        known = real["images"].images()
        value = sliced_points(known, points, DIRECTIONS, context.seed)
        return Score({"swd": value}, len(points), len(known), {"directions": DIRECTIONS, "order": 2})
    distance = image_distance(context.reference, fake["patches"].levels())
    details = {"directions": DIRECTIONS, "patches": PATCH_BUDGET, "levels_finest_first": distance.levels}
    return Score({"swd": distance.mean}, min(context.n, PATCH_IMAGES), min(len(context.order), PATCH_IMAGES), details)


def swd_reference(patches: Patches, seed: int) -> Any:
    """Return what `swd` needs of the real patches."""
    return reference_of(patches.levels(), DIRECTIONS, seed)


def fid(real: Pool, fake: Pool, context: Context) -> Score:
    """Frechet distance."""
    known, made = real["moments"].moments, fake["moments"].moments
    return Score({"fid": frechet_distance(known, made)}, made.count, known.count, {})


def kid(real: Pool, fake: Pool, context: Context) -> Score:
    """Kernel distance."""
    known, made = real["vectors"].rows(), fake["vectors"].rows()
    distance = kernel_distance(known, made, SUBSETS, SUBSET_SIZE, context.seed % 2**32)
    return Score({"kid": distance.mean, "kid_std": distance.std}, len(made), len(known),
                 {"subsets": SUBSETS, "subset_size": min(SUBSET_SIZE, len(known), len(made))})


def inception(real: Pool, fake: Pool, context: Context) -> Score:
    """Inception score, over consecutive parts."""
    mean, std = fake["scores"].score()
    return Score({"is": mean, "is_std": std}, context.n, None, {"splits": SPLITS, "split": "consecutive"})


def prdc(real: Pool, fake: Pool, context: Context) -> Score:
    """Precision, recall, density, coverage."""
    known, made = real["vectors"].rows(), fake["vectors"].rows()
    found = compare_manifolds(known, made, NEIGHBORS)
    return Score(found._asdict(), len(made), len(known), {"neighbors": NEIGHBORS})


def ppl(real: Pool, fake: Pool, context: Context) -> Score:
    """Perceptual path length between pairs of the sampler's latents, at a random place of each path."""
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


def ms_ssim(real: Pool, fake: Pool, context: Context) -> Score:
    """Similarity of pairs of samples, and of real images; of one class each where the model takes labels."""
    made, known = fake["images"].images(), real["images"].images()
    labels = context.sampler.labels(0, len(made))
    known_labels = None if labels is None else context.data.labels(context.order[:len(known)])
    values = {"ms_ssim": _similarity(made, labels, context), "ms_ssim_real": _similarity(known, known_labels, context)}
    return Score(values, len(made), len(known), {"pairs": PAIRS, "pairs_of_one_class": labels is not None,
                                                 "scales": scales_for(*made.shape[2:])})


def _similarity(images: Tensor, labels: Tensor | None, context: Context) -> float:
    pairs = random_pairs(len(images), PAIRS, context.seed, labels)
    values = [multiscale_similarity(images[part[:, 0]], images[part[:, 1]]) for part in pairs.to(images.device).split(100)]
    return torch.cat(values).mean().item()


def parzen(real: Pool, fake: Pool, context: Context) -> Score:
    """Parzen-window log-likelihood of held-out examples; part of them chooses the width."""
    count = min(context.holdout.counts[context.domain], VALIDATION + TEST)
    held = context.held_out(count)
    validation = min(VALIDATION, max(count // 4, 1))
    images = context.data.spec.is_image
    rows = unit_pixels if images else (lambda points: points)
    samples = rows(fake["images"].images())
    bandwidths = BANDWIDTHS if images else POINT_BANDWIDTHS
    found = parzen_likelihood(samples, rows(held[:validation]), rows(held[validation:]), bandwidths)
    return Score({"parzen": found.mean, "parzen_se": found.standard_error}, len(samples), count - validation,
                 {"bandwidth": found.bandwidth, "at_edge": found.at_edge, "validation": validation,
                  "values": "pixels in [0, 1]" if images else "coordinates", "real_split": context.holdout.split})


def modes(real: Pool, fake: Pool, context: Context) -> Score:
    """Modes of a toy density."""
    points = fake["images"].images().cpu()
    centers, stds, weights = (torch.from_numpy(part) for part in context.data.mixture)
    found = toy_coverage(points, centers, stds, weights)
    values = {"modes": found.modes, "good_share": found.good_share, "modes_kl": found.kl, "modes_held": found.held}
    return Score(values, len(points), None, {"modes": len(centers), "counts": found.counts.tolist()})


def classes(real: Pool, fake: Pool, context: Context) -> Score:
    """Histogram of the classes that the classifier sees, against the labels of the data."""
    labels = context.data.labels(context.order).cpu()
    due = torch.bincount(labels, minlength=len(context.data.spec.classes))
    counts = fake["classes"].counts
    found = class_coverage(torch.arange(len(counts)).repeat_interleave(counts), due)
    return Score({"classes": found.classes, "classes_kl": found.kl}, int(counts.sum()), len(labels),
                 {"counts": dict(zip(context.data.spec.classes, counts.tolist(), strict=True))})


def nearest(real: Pool, fake: Pool, context: Context) -> Score:
    """Training examples nearest to samples: a grid, and the distances against those of held-out examples."""
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


def _neighbor_grid(made: Tensor, indices: Tensor, context: Context) -> Picture:
    """Return a picture with a sample a row, and behind it the nearest training images."""
    rows = context.order[indices.cpu().flatten()]
    found = context.data.examples(rows, context.domain).unflatten(0, indices.shape)
    cells = torch.cat([made[:, None], found], 1).flatten(0, 1)
    columns = 1 + indices.shape[1]
    grid = image_grid(cells, columns)
    return image_grid(cells, columns, zoom=preview_zoom(*grid.shape[:2]))


def _chunks(count: int) -> Iterator[tuple[int, int]]:
    for start in range(0, count, CHUNK):
        yield start, min(start + CHUNK, count)


SCORERS: dict[str, Scorer] = {
    "swd": Scorer(swd, ("patches",), ("patches",)),
    "fid": Scorer(fid, ("moments",), ("moments",)),
    "kid": Scorer(kid, ("vectors",), ("vectors",)),
    "is": Scorer(inception, (), ("scores",)),
    "prdc": Scorer(prdc, ("vectors",), ("vectors",)),
    "ppl": Scorer(ppl),
    "ms_ssim": Scorer(ms_ssim, ("images",), ("images",)),
    "parzen": Scorer(parzen, (), ("images",)),
    "modes": Scorer(modes, (), ("images",)),
    "classes": Scorer(classes, (), ("classes",)),
    "nearest": Scorer(nearest, (), ("images",)),
}


def kinds_for(metric: str, real: bool, is_image: bool) -> tuple[str, ...]:
    """Return the kinds of collectors that a measure needs on one side; points are kept as they are."""
    kinds = SCORERS[metric].real if real else SCORERS[metric].fake
    return kinds if is_image else tuple("images" if kind == "patches" else kind for kind in kinds)


def refuse_few(metric: str, generated: int, real: int) -> None:
    """Raise a UserError for fewer examples than a measure can work with."""
    least = {"fid": 2, "kid": 2, "is": SPLITS, "prdc": NEIGHBORS + 1, "ppl": 4, "ms_ssim": 2}.get(metric, 1)
    for count, key in ((generated, "n"), (real, "real")):
        if count < least and not (key == "real" and metric in ("is", "ppl")):
            raise UserError(f"metrics={metric} needs at least {least} examples of each side, and {key} is {count}.")
