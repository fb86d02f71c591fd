"""What is taken from a stream of examples, generated or real: each collector holds a bounded amount and merges exactly.

A stream has positions: example i of a seed, or row i of the shuffled real examples.  Batches may arrive in any order and
on any rank, in blocks that begin at multiples of BLOCK.

Legend: N batch, C channels, H height, W width, D features, K classes, S splits.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from gancli.features.extractors import Features
from gancli.metrics.limits import (
    FEWEST_IMAGES,
    MOST_IMAGE_BYTES,
    MOST_IMAGES,
    MOST_POINTS,
    MOST_VECTORS,
    PATCH_BUDGET,
    PATCH_IMAGES,
    SPLITS,
)
from gancli.metrics.measures.frechet import Moments
from gancli.metrics.measures.sliced import draw_patches, patches_per_image
from gancli.seeds import mix

BLOCK = 64  # examples whose random patches come from one stream
State = dict[str, Tensor]


@dataclass
class Seen:
    """One batch of a stream."""

    start: int  # position of the first
    examples: Tensor  # images [N, C, H, W] in [-1, 1] in steps of 8 bits, or points [N, P]; float32
    features: Features | None

    def __len__(self) -> int:
        return len(self.examples)

    def head(self, limit: int) -> "Seen":
        """Return those at positions below `limit`."""
        stop = max(limit - self.start, 0)
        features = self.features
        if features is not None:
            features = Features(features.vectors[:stop], None if features.logits is None else features.logits[:stop])
        return Seen(self.start, self.examples[:stop], features)


class Collector(ABC):
    """Takes what one kind of measure needs; `kind` and `settings` identify it in caches."""

    kind: str
    needs_features = False
    on_device = False  # where what comes from a cache belongs: where the data are, or the CPU
    limit: int | None = None  # positions from here on are passed over; None: all are taken

    def __init__(self, settings: dict[str, int]) -> None:
        self.settings = settings

    def add(self, seen: Seen) -> None:
        """Take in a batch."""
        if self.limit is not None and seen.start + len(seen) > self.limit:
            seen = seen.head(self.limit)
        if len(seen):
            self.take(seen)

    @abstractmethod
    def take(self, seen: Seen) -> None:
        """Take in a batch of wanted positions."""

    @abstractmethod
    def state(self) -> State:
        """Return what was taken, as tensors."""

    @abstractmethod
    def merge(self, states: list[State]) -> None:
        """Replace what was taken by what several collectors of disjoint positions took."""


class MomentsOf(Collector):
    """Count, mean and scatter of the features."""

    kind, needs_features = "moments", True

    def __init__(self) -> None:
        super().__init__({})
        self.moments: Moments | None = None

    def take(self, seen: Seen) -> None:
        vectors = seen.features.vectors
        if self.moments is None:
            self.moments = Moments.empty(vectors.shape[1], vectors.device)
        self.moments.update(vectors)

    def state(self) -> State:
        return {} if self.moments is None else self.moments.state()

    def merge(self, states: list[State]) -> None:
        parts = [Moments.from_state(state) for state in states if state]
        for part in parts[1:]:
            parts[0].merge(part)
        self.moments = parts[0]


class Rows(Collector):
    """The first `limit` of something that each example has, with their positions."""

    on_device = True

    def __init__(self, kind: str, limit: int) -> None:
        super().__init__({"limit": limit})
        self.kind, self.limit, self.needs_features = kind, limit, kind in ("vectors", "predictions")
        self.starts: list[Tensor] = []
        self.parts: list[Tensor] = []

    def take(self, seen: Seen) -> None:
        self.starts.append(torch.arange(seen.start, seen.start + len(seen)))
        self.parts.append(self.pick(seen))

    def pick(self, seen: Seen) -> Tensor:
        """Return the rows of a batch: images as uint8, which they are in steps of; the classes that are predicted."""
        if self.kind == "vectors":
            return seen.features.vectors
        if self.kind == "predictions":
            return seen.features.logits.argmax(1)
        if seen.examples.dim() == 4:
            return seen.examples.add(1).mul_(127.5).round_().to(torch.uint8)
        return seen.examples

    def state(self) -> State:
        return {"positions": torch.cat(self.starts), "rows": torch.cat(self.parts)} if self.parts else {}

    def merge(self, states: list[State]) -> None:
        states = [state for state in states if state]
        self.starts = [state["positions"] for state in states]
        self.parts = [state["rows"] for state in states]

    def rows(self) -> Tensor:
        """Return what was taken in the order of positions: features, classes, uint8 images or points."""
        positions, rows = torch.cat(self.starts), torch.cat(self.parts)
        return rows if bool((positions.diff() > 0).all()) else rows[positions.argsort().to(rows.device)]

    def images(self) -> Tensor:
        """Return images as float32 in [-1, 1], or points."""
        rows = self.rows()
        return rows.float().mul_(1 / 127.5).sub_(1) if rows.dtype == torch.uint8 else rows


class ScoreSums(Collector):
    """For the inception score: sums over each of S consecutive parts of `total` examples."""

    kind, needs_features = "scores", True

    def __init__(self, total: int, splits: int) -> None:
        super().__init__({"total": total, "splits": splits})
        self.total, self.splits = total, splits
        self.counts = torch.zeros(splits, dtype=torch.float64)
        self.entropies = torch.zeros(splits, dtype=torch.float64)  # sums of p log p
        self.marginals: Tensor | None = None  # sums of p, [S, K]

    def take(self, seen: Seen) -> None:
        logs = seen.features.logits.cpu().double().log_softmax(1)
        p = logs.exp()
        if self.marginals is None:
            self.marginals = torch.zeros(self.splits, p.shape[1], dtype=torch.float64)
        split = torch.arange(seen.start, seen.start + len(seen)) * self.splits // self.total
        self.counts.index_add_(0, split, torch.ones(len(seen), dtype=torch.float64))
        self.entropies.index_add_(0, split, torch.where(p > 0, p * logs, 0).sum(1))
        self.marginals.index_add_(0, split, p)

    def state(self) -> State:
        if self.marginals is None:
            return {}
        return {"counts": self.counts, "entropies": self.entropies, "marginals": self.marginals}

    def merge(self, states: list[State]) -> None:
        states = [state for state in states if state]
        self.counts, self.entropies, self.marginals = (
            sum(state[key] for state in states) for key in ("counts", "entropies", "marginals"))


class ClassCounts(Collector):
    """How many examples the extractor's classifier puts into each class."""

    kind, needs_features = "classes", True

    def __init__(self) -> None:
        super().__init__({})
        self.counts: Tensor | None = None

    def take(self, seen: Seen) -> None:
        logits = seen.features.logits
        counts = torch.bincount(logits.argmax(1), minlength=logits.shape[1]).cpu()
        self.counts = counts if self.counts is None else self.counts + counts

    def state(self) -> State:
        return {} if self.counts is None else {"counts": self.counts}

    def merge(self, states: list[State]) -> None:
        self.counts = sum(state["counts"] for state in states if state)


class Patches(Collector):
    """Random 7x7 patches of every scale, of the first `limit` images; about `budget` in all, or one an image."""

    kind = "patches"

    def __init__(self, limit: int, budget: int, seed: int) -> None:
        super().__init__({"limit": limit, "budget": budget, "seed": seed})
        self.limit, self.seed = limit, seed
        self.per_image = patches_per_image(limit, budget)
        self.blocks: dict[int, list[Tensor]] = {}  # the levels' patches by position

    def take(self, seen: Seen) -> None:
        for first in range(0, len(seen), BLOCK):
            position = seen.start + first
            self.blocks[position] = draw_patches(seen.examples[first:first + BLOCK], self.per_image,
                                                 mix(self.seed, position))

    def state(self) -> State:
        return {f"{position}/{level}": patches for position, levels in self.blocks.items()
                for level, patches in enumerate(levels)}

    def merge(self, states: list[State]) -> None:
        self.blocks = {}
        for key, patches in (item for state in states for item in state.items()):
            position, _ = map(int, key.split("/"))
            self.blocks.setdefault(position, []).append(patches)  # levels are in order in every state

    def levels(self) -> list[Tensor]:
        """Return the patches of each level."""
        blocks = [self.blocks[position] for position in sorted(self.blocks)]
        return [torch.cat(parts) for parts in zip(*blocks, strict=True)]


def make_collector(kind: str, total: int, shape: tuple[int, ...], seed: int) -> Collector:
    """Return an empty collector of a kind for a side of `total` examples of that shape."""
    if kind == "images":
        most = max(MOST_IMAGE_BYTES // torch.Size(shape).numel(), FEWEST_IMAGES)
        return Rows(kind, min(MOST_IMAGES, most) if len(shape) == 3 else MOST_POINTS)
    return {"moments": MomentsOf, "classes": ClassCounts,
            "vectors": lambda: Rows("vectors", MOST_VECTORS),
            "predictions": lambda: Rows("predictions", MOST_VECTORS),
            "scores": lambda: ScoreSums(total, SPLITS),
            "patches": lambda: Patches(min(total, PATCH_IMAGES), PATCH_BUDGET, seed)}[kind]()
