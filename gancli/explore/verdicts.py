"""What a model says of examples, line by line as a table holds it, and how often it is right.

Legend: N examples, K categories that the model tells apart, M classes of the data.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from gancli.explore.examples import Part
from gancli.metrics.measures.confusion import accuracy, confusion_matrix, recalls

NOTHING = "none"  # the column of examples in clusters that no class has


@dataclass
class Verdicts:
    """Lines for a table of examples, and counts of all lines so far.

    A model's own categories (clusters) are numbers; `names` has the class of each, -1 for none, where they are named.
    """

    classes: tuple[str, ...]
    categories: int
    clusters: bool
    names: Tensor | None = None  # [K]

    def __post_init__(self) -> None:
        self.count = 0
        self.matrix: Tensor | None = None  # [M, M + 1] by class and given class, once there are examples of known classes

    def header(self, labeled: bool) -> list[str]:
        """Return the names of a line's columns."""
        told = ["cluster", *(["class"] if self.names is not None else [])] if self.clusters else ["class"]
        each = map(str, range(self.categories)) if self.clusters else self.classes
        return ["example", *(["label"] if labeled else []), *told, "probability", *(f"p({name})" for name in each)]

    def lines(self, part: Part, logits: Tensor) -> Iterator[list[str]]:
        """Yield a line for each example [N] of its logits [N, K], and count it."""
        p = logits.double().softmax(1)
        best, chosen = p.max(1)
        given = chosen if self.names is None else self.names[chosen]
        self._count(part, given)
        labels = [None] * len(p) if part.labels is None else part.labels.tolist()
        values = zip(part.names, labels, chosen.tolist(), given.tolist(), best.tolist(), p.tolist(), strict=True)
        for name, label, category, told, most, each in values:
            yield [name, *([] if label is None else [self.classes[label]]), *self._told(category, told),
                   *(f"{value:.6f}" for value in (most, *each))]

    def _told(self, category: int, told: int) -> list[str]:
        """Return the words for a category and the class that it stands for."""
        if not self.clusters:
            return [self.classes[told]]
        return [str(category)] if self.names is None else [str(category), self.classes[told] if told >= 0 else ""]

    def _count(self, part: Part, given: Tensor) -> None:
        self.count += len(given)
        if part.labels is not None and (self.names is not None or not self.clusters):
            found = confusion_matrix(part.labels, given, len(self.classes))
            self.matrix = found if self.matrix is None else self.matrix + found

    def named(self) -> list[str | None] | None:
        """Return the class of each cluster, None for one that has none, and None where they are not named at all."""
        return None if self.names is None else [self.classes[name] if name >= 0 else None for name in self.names.tolist()]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the matrix's columns that are shown: the last one only where an example's cluster has no class."""
        assert self.matrix is not None  # asked where there is one
        return (*self.classes, NOTHING) if self.matrix[:, -1].any() else self.classes

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Yield the matrix's rows as words, each with the share that is right."""
        assert self.matrix is not None  # asked where there is one
        for name, counts, share in zip(self.classes, self.matrix.tolist(), recalls(self.matrix), strict=True):
            yield name, *map(str, counts[:len(self.columns)]), "" if share is None else f"{share:.2%}"

    @property
    def accuracy(self) -> float | None:
        """The share that is right; None where no classes are known."""
        return None if self.matrix is None else accuracy(self.matrix)

    def summary(self) -> str:
        """Return one sentence."""
        right = self.accuracy
        if right is None:
            return f"{self.count:,} examples classified" + (" into clusters." if self.clusters else ".")
        assert self.matrix is not None  # there is an accuracy
        wrong = int(self.matrix.sum() - self.matrix.diagonal().sum())
        how = " by clusters, each named by its most frequent class in training" if self.clusters else ""
        return f"{self.count:,} examples classified{how}: {right:.2%} right, error {1 - right:.2%} ({wrong:,} wrong)."
