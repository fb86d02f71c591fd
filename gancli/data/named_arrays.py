"""Which arrays of an .npz are images, which their labels, and which parts they are, by their names."""

from collections.abc import Iterable
from dataclasses import dataclass

from gancli.data.splits import PARTS

IMAGES, LABELS = "images", "labels"  # as `gan sample` writes them
FORMS = (("x_{}", "y_{}"), ("{}_images", "{}_labels"), ("{}_x", "{}_y"), ("images_{}", "labels_{}"),
         ("{}", "{}_labels"))  # Keras' files first, then MedMNIST's


@dataclass(frozen=True)
class Pair:
    """An array of images with that of its labels."""

    images: str
    labels: str | None


def find_parts(names: Iterable[str]) -> dict[str, Pair]:
    """Return the parts (train, val, test) that arrays are by their names, x_train beside y_train; none without train."""
    names = list(names)
    lower = {name.lower(): name for name in names}
    for images, labels in FORMS:
        found = {part: Pair(lower[images.format(word)], lower.get(labels.format(word)))
                 for word, part in PARTS.items() if images.format(word) in lower}
        if "train" in found:
            return {part: found[part] for part in ("train", "val", "test") if part in found}
    return {}


def labels_beside(images: str, names: Iterable[str]) -> str | None:
    """Return the array of labels that belongs to one of images by its name, if it is there."""
    names = list(names)
    if images == IMAGES:
        return LABELS if LABELS in names else None
    lower = {name.lower(): name for name in names}
    for form, labels in FORMS:
        for word in PARTS:
            if form.format(word) == images.lower():
                return lower.get(labels.format(word))
    return next((lower[name] for name in (LABELS, "label", "y") if name in lower and lower[name] != images), None)
