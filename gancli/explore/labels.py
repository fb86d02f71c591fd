"""Classes as users name them: by name or by index; and their order."""

import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gancli.errors import UserError, near
from gancli.game.model import Model
from gancli.registry import models

SHOWN = 20  # classes that an error lists
NUMBER = re.compile(r"(?:(?<!\w)-)?\d+(?:\.\d+)?")  # in a class's name; "-" is a sign only where no word ends


def class_index(label: Any, classes: Sequence[str]) -> int:
    """Return the index of a class from its name (which comes first) or its index.

    Raises:
        UserError: there is no such class; it lists the classes.
    """
    if str(label) in classes:
        return list(classes).index(str(label))
    if isinstance(label, int) and not isinstance(label, bool) and 0 <= label < len(classes):
        return label
    known = near(str(label), classes) if len(classes) > SHOWN else f"there is {', '.join(classes)}."
    raise UserError(f"There is no class called {label}; {known} (An index from 0 to {len(classes) - 1} will do too.)")


def class_indices(label: Any, model: Model, name: str) -> list[int] | None:
    """Return the classes that `label=` names, None for none; a UserError if the model takes no labels."""
    if label is None:
        return None
    if not model.needs.labels:
        raise takes_none(f"label={label}", model, name)
    labels = label if isinstance(label, (list, tuple)) else [label]
    if not labels:
        raise UserError("label=[] names no class: leave it out for every class.")
    return [class_index(one, model.spec.classes) for one in labels]


def takes_none(given: str, model: Model, name: str) -> UserError:
    """Return the error for what needs labels, as it was given, and a model that takes none."""
    if model.labels_by_option:
        return UserError(f"{given} needs a model that takes labels and this one was trained with "
                         "model.conditional=false: train one with model.conditional=true.")
    builds = {other: models.get(other).build for other in models.names()}
    able = [other for other, build in builds.items() if build.needs.labels or build.labels_by_option]
    return UserError(f"{given} needs a model that takes labels and this one is {name}; "
                     f"there is {', '.join(able)}." if able else f"model={name} takes no labels.")


def in_order(classes: Sequence[str]) -> list[int]:
    """Return the indices of classes by the first number in each name (ages, angles), as they stand if one has none."""
    numbers = [NUMBER.search(name) for name in classes]
    if not all(numbers):
        return list(range(len(classes)))
    return sorted(range(len(classes)), key=lambda index: float(numbers[index][0]))  # type: ignore[index]


def spread_labels(label: Any, model: Model, name: str, n: int) -> Tensor | None:
    """Return labels [N] of the classes that `label=` names, of every class for none; None where the model takes none."""
    chosen = class_indices(label, model, name)
    if chosen is None and model.needs.labels:
        chosen = range(len(model.spec.classes))
    return None if chosen is None else spread(n, chosen)


def spread(n: int, classes: Sequence[int]) -> Tensor:
    """Return n labels [N], as many of each class as of the others (the first may have one more), sorted by class."""
    counts = [n // len(classes) + (place < n % len(classes)) for place in range(len(classes))]
    return torch.tensor(classes).repeat_interleave(torch.tensor(counts))


def blend(labels: Tensor, classes: int) -> Tensor:
    """Return labels [N] as weights [N, classes], which can be interpolated."""
    return torch.nn.functional.one_hot(labels, classes).float()
