"""Semi-supervised training: which few examples have their labels (`dataset.labeled`), and what is said of them.

Legend: D examples of the data set, L of them labeled, K classes.
"""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import torch
from torch import Tensor

from gancli.data.spec import DataSpec
from gancli.errors import UserError
from gancli.seeds import mix

CHOICE = 3  # tells the choice's random numbers from those of the orders (see order.LABELED)
MOST_ROWS = 100  # that the log names


def partly_labeled(spec: DataSpec, options: Any) -> DataSpec:
    """Return the spec with the number of labeled examples that the options of a data set ask for.

    Raises:
        UserError: there are no labels, fewer examples, or more classes than that.
    """
    n = getattr(options, "labeled", None)
    if n is None:
        return spec
    if not spec.classes:
        raise UserError(f"dataset.labeled={n} chooses examples whose labels training knows, and dataset={options.name} has "
                        "no labels as it is set: leave it out, or give data with labels (dataset=folder with a sub-folder "
                        "a class, dataset=celeba with dataset.attribute=Smiling).")
    if n > spec.count:
        raise UserError(f"dataset.labeled={n} is more than the {spec.count:,} examples there are: give "
                        f"dataset.labeled={spec.count} or less, or null for all.")
    if n < len(spec.classes):
        raise UserError(f"dataset.labeled={n} is less than one example for each of the {len(spec.classes)} classes: give "
                        f"dataset.labeled={len(spec.classes)} or more.")
    return replace(spec, labeled=n)


def choose(labels: Tensor, n: int, classes: int, seed: int) -> Tensor:
    """Return the sorted rows [L] of `n` examples, as many of each class as can be.

    What does not divide goes to random classes, one each; a class with fewer examples than its share gives all.
    A class's examples are drawn in an order of their own, so that a larger `n` keeps those of a smaller one but for
    the remainder.

    Args:
        labels: [D] int64, on the CPU.
    """
    generator = torch.Generator().manual_seed(mix(seed, 0, CHOICE))
    lucky = torch.randperm(classes, generator=generator).tolist()
    quota = shares(torch.bincount(labels, minlength=classes).tolist(), n, lucky)
    chosen = []
    for number in range(classes):
        rows = (labels == number).nonzero().squeeze(1)
        chosen.append(rows[torch.randperm(len(rows), generator=generator)[:quota[number]]])
    return torch.cat(chosen).sort().values


def shares(available: Sequence[int], n: int, lucky: Sequence[int]) -> list[int]:
    """Return how many of each class make `n` together, as equal as possible; remainders go to the first of `lucky`."""
    quota = [0] * len(available)
    left = min(n, sum(available))
    while left:
        wanting = [number for number in lucky if quota[number] < available[number]]
        each = max(1, left // len(wanting))
        for number in wanting[:left]:
            taken = min(each, available[number] - quota[number])
            quota[number] += taken
            left -= taken
    return quota


def told(rows: Tensor, labels: Tensor, spec: DataSpec, seed: int) -> tuple[str, ...]:
    """Return sentences for the run's log: how many examples of each class are labeled, and which."""
    counts = torch.bincount(labels[rows], minlength=len(spec.classes)).tolist()
    least, most = min(counts), max(counts)
    if least == most:
        each = f"{least:,} of each class"
    elif most - least == 1 and len(spec.classes) > 1:
        more = [name for name, count in zip(spec.classes, counts, strict=True) if count == most]
        each = f"{least:,} of each class and, as that does not divide, one more of {_some(more, 20)}"
    else:
        each = "as equal as the classes allow: " + _some([f"{name} {count:,}" for name, count
                                                          in zip(spec.classes, counts, strict=True)], 20)
    checksum = blake2b(rows.numpy().tobytes(), digest_size=8).hexdigest()
    return (f"Labeled: {len(rows):,} of {spec.count:,} examples, drawn by seed={seed}: {each}.",
            f"Labeled rows (checksum {checksum}): {_some(list(map(str, rows.tolist())), MOST_ROWS)}.")


def _some(names: list[str], most: int) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
