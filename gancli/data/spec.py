"""What the rest of the house knows of data: their shape, their labels, and one batch of them.

Legend: N batch, C channels, H height, W width, P coordinates of a point, T tokens of a sequence, A attributes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

KINDS = ("images", "points", "tokens")


@dataclass(frozen=True)
class DataSpec:
    """What the data decide and no option configures: networks are built from it, and checkpoints carry it."""

    shape: tuple[int, ...]  # (C, H, W) of an image in [-1, 1], (P,) of a point, or (T,) of a sequence
    count: int  # examples in the (larger) domain
    classes: tuple[str, ...] = ()  # label names in the order of their indices; empty where unlabeled
    domains: tuple[str, ...] = ("real",)  # two names for paired and unpaired data
    paired: bool = False  # the domains' examples correspond one to one
    kind: str = ""  # one of KINDS; empty: what the shape says, and a shape never says tokens
    vocabulary: tuple[str, ...] = ()  # the symbol of each token's id; "" is the end of a text, and what follows it
    separator: str = ""  # what stands between two symbols in a text
    attributes: tuple[str, ...] = ()  # names of binary labels, of which an example may have several
    labeled: int = 0  # examples whose labels are known to training, where not all of them are; 0: all of a labeled set
    stored: int = 0  # bytes that are kept of the data, where examples are cut out of them; 0: as count and shape say
    reduction: int = 0  # how many times smaller the second domain is, whose pixels are repeated so often; 0: it is not

    def __post_init__(self) -> None:
        if not self.kind:
            object.__setattr__(self, "kind", "images" if len(self.shape) == 3 else "points")
        if self.kind not in KINDS or (self.kind == "images") != (len(self.shape) == 3):
            raise ValueError(f"there are no {self.kind} of shape {self.shape}; a kind is one of {', '.join(KINDS)}")

    @property
    def is_image(self) -> bool:
        """Whether examples are images (and not points in the plane or on the line, or sequences of tokens)."""
        return self.kind == "images"

    @property
    def stored_bytes(self) -> int:
        """Bytes of the decoded data."""
        return self.stored or self.count * len(self.domains) * (1 if self.is_image else 4) * torch.Size(self.shape).numel()

    @property
    def end(self) -> int | None:
        """The id of the token that ends a text; None where every sequence is as long as the others."""
        return self.vocabulary.index("") if "" in self.vocabulary else None

    def texts(self, tokens: Tensor) -> list[str]:
        """Return sequences of tokens [N, T] as people read them, up to their ends."""
        texts, end = [], self.end
        for row in tokens.tolist():
            length = row.index(end) if end in row else len(row)
            texts.append(self.separator.join(self.vocabulary[token] for token in row[:length]))
        return texts

    def describe(self) -> str:
        """Return the spec in words: count, shape, classes, attributes, domains."""
        shape = {"images": "x".join(map(str, (*self.shape[1:], self.shape[0]))), "points": f"{self.shape[0]}-d points",
                 "tokens": f"{self.shape[0]} tokens, vocabulary {len(self.vocabulary):,}"}[self.kind]
        labels = f", {len(self.classes)} classes" if self.classes else ""
        labeled = f", {self.labeled:,} labeled" if self.labeled else ""
        attributes = f", {len(self.attributes)} attributes" if self.attributes else ""
        domains = f", domains {' and '.join(self.domains)}" if len(self.domains) > 1 else ""
        return f"{self.count:,} examples of {shape}{labels}{labeled}{attributes}{domains}"

    def as_dict(self) -> dict:
        """Return the spec as JSON types; `from_dict` reads it back."""
        return {"shape": list(self.shape), "count": self.count, "classes": list(self.classes),
                "domains": list(self.domains), "paired": self.paired, "kind": self.kind,
                "vocabulary": list(self.vocabulary), "separator": self.separator,
                "attributes": list(self.attributes), "labeled": self.labeled, "stored": self.stored,
                **({"reduction": self.reduction} if self.reduction else {})}

    @classmethod
    def from_dict(cls, values: dict) -> "DataSpec":
        """Read what `as_dict` wrote, also before a spec had all of today's fields."""
        once = {"kind": "", "vocabulary": (), "separator": "", "attributes": (), "labeled": 0, "stored": 0, "reduction": 0}
        values = once | values
        return cls(tuple(values["shape"]), values["count"], tuple(values["classes"]), tuple(values["domains"]),
                   values["paired"], values["kind"], tuple(values["vocabulary"]), values["separator"],
                   tuple(values["attributes"]), values["labeled"], values["stored"], values["reduction"])


@dataclass
class Batch:
    """One batch on the training device."""

    domains: tuple[Tensor, ...]  # one [N, C, H, W] in [-1, 1] (or [N, P], or [N, T] int64) per domain
    labels: Tensor | None = None  # [N] int64; None also where only some labels are known, which `labeled` has
    attributes: Tensor | None = None  # [N, A] float32 in {0, 1}
    labeled: "Batch | None" = None  # N examples with their labels beside these, whose labels are not known
    prepared: Any = None  # what the model made of this batch for several turns; the engine sets it

    @property
    def real(self) -> Tensor:
        """The (first domain's) examples, [N, C, H, W], [N, P] or [N, T]."""
        return self.domains[0]

    @property
    def known(self) -> "Batch":
        """The examples whose labels are known: those beside these, or these where all of them are."""
        return self if self.labeled is None else self.labeled

    def __len__(self) -> int:
        return len(self.domains[0])

    def split(self, parts: int) -> Iterator["Batch"]:
        """Yield `parts` batches of equal size, in order (gradient accumulation); what is prepared is of the whole."""
        domains = zip(*(torch.chunk(domain, parts) for domain in self.domains), strict=True)
        labels, attributes = ([None] * parts if whole is None else torch.chunk(whole, parts)
                              for whole in (self.labels, self.attributes))
        labeled = [None] * parts if self.labeled is None else self.labeled.split(parts)
        for pieces in zip(domains, labels, attributes, labeled, strict=True):
            yield Batch(*pieces)

    @classmethod
    def blank(cls, spec: DataSpec, n: int) -> "Batch":
        """Return a batch of n examples of nothing but zeros with all that batches of such data have."""
        dtype = torch.int64 if spec.kind == "tokens" else torch.float32
        labels = torch.zeros(n, dtype=torch.int64) if spec.classes else None
        attributes = torch.zeros(n, len(spec.attributes)) if spec.attributes else None
        batch = cls(tuple(torch.zeros(n, *spec.shape, dtype=dtype) for _ in spec.domains), labels, attributes)
        return cls(batch.domains, None, attributes, labeled=batch) if spec.labeled else batch
