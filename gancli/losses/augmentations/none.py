"""No augmentation: a discriminator sees examples as they are."""

from dataclasses import dataclass

from gancli.registry import augmentations


@dataclass
class NoOptions:
    """There is nothing to set."""

    name: str


@augmentations.register("none", options=NoOptions)
def none(options: NoOptions, shape: tuple[int, ...]) -> None:
    """Return None, in place of an augmentation."""
