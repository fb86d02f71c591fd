"""What the rest of the house knows of data: their shape, their labels, and one batch of them.

Legend: N batch, C channels, H height, W width, P coordinates of a point.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class DataSpec:
    """What the data decide and no option configures: networks are built from it, and checkpoints carry it."""

    shape: tuple[int, ...]  # (C, H, W) of an image in [-1, 1], or (P,) of a point
    count: int  # examples in the (larger) domain
    classes: tuple[str, ...] = ()  # label names in the order of their indices; empty where unlabelled
    domains: tuple[str, ...] = ("real",)  # two names for paired and unpaired data
    paired: bool = False  # the domains' examples correspond one to one
    kind: str = ""  # images, points or tokens
    attributes: tuple[str, ...] = ()
    labeled: int = 0

    def __post_init__(self) -> None:
        if not self.kind:
            object.__setattr__(self, "kind", "images" if len(self.shape) == 3 else "points")

    @property
    def is_image(self) -> bool:
        """Whether examples are images (and not points in the plane or on the line)."""
        return len(self.shape) == 3

    def describe(self) -> str:
        """Return the spec in words: count, shape, classes, domains."""
        shape = "x".join(map(str, (*self.shape[1:], self.shape[0]))) if self.is_image else f"{self.shape[0]}-d points"
        labels = f", {len(self.classes)} classes" if self.classes else ""
        domains = f", domains {' and '.join(self.domains)}" if len(self.domains) > 1 else ""
        return f"{self.count:,} examples of {shape}{labels}{domains}"

    def as_dict(self) -> dict:
        """Return the spec as JSON types; `from_dict` reads it back."""
        return {"shape": list(self.shape), "count": self.count, "classes": list(self.classes),
                "domains": list(self.domains), "paired": self.paired}

    @classmethod
    def from_dict(cls, values: dict) -> "DataSpec":
        """Read what `as_dict` wrote."""
        return cls(tuple(values["shape"]), values["count"], tuple(values["classes"]), tuple(values["domains"]),
                   values["paired"])


@dataclass
class Batch:
    """One batch on the training device."""

    domains: tuple[Tensor, ...]  # one [N, C, H, W] in [-1, 1] (or [N, P]) per domain
    labels: Tensor | None = None  # [N] int64
    attributes: Tensor | None = None
    labeled: "Batch | None" = None
    prepared: Any = None  # what the model made of this batch for several turns; the engine sets it

    @property
    def real(self) -> Tensor:
        """The (first domain's) examples, [N, C, H, W] or [N, P]."""
        return self.domains[0]

    def __len__(self) -> int:
        return len(self.domains[0])

    def split(self, parts: int) -> Iterator["Batch"]:
        """Yield `parts` batches of equal size, in order (gradient accumulation)."""
        domains = [torch.chunk(domain, parts) for domain in self.domains]
        labels = [None] * parts if self.labels is None else torch.chunk(self.labels, parts)
        for pieces, piece_labels in zip(zip(*domains), labels, strict=True):
            yield Batch(tuple(pieces), piece_labels)
