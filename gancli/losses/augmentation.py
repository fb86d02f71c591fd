"""The place between the players where examples are changed before a discriminator sees them (group `augment`).

An augmentation is set as `objective.augment`.  Real and generated examples pass through it on both players' turns and for
the penalties, whose gradient is taken with respect to the example before it; gradients flow through it to the generator.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from gancli.errors import UsageError, check_choice
from gancli.losses.options import LossOptions
from gancli.losses.output import Inputs
from gancli.options import typed
from gancli.precision import in_full
from gancli.registry import augmentations

NONE = {"name": "none"}  # what runs have that were planned before there were augmentations
Draw = dict[str, Tensor]  # random numbers by name, [N, ...] each


def augment_options(values: Mapping[str, Any]) -> Any:
    """Return the typed options of the augmentation that the values name; a UsageError if anything is wrong."""
    name = values.get("name")
    if not name:
        raise UsageError("augment.name has no value: give augment=NAME.")
    return typed(augmentations.get(name).options, values, "augment")


def augmentation_of(options: Any, shape: tuple[int, ...]) -> "Augmentation | None":
    """Return the augmentation that the options describe, None for none.

    Args:
        shape: of an example: (C, H, W) of an image, (P,) of a point.
    """
    return augmentations.get(options.name).build(options, shape)


def check_policy(policy: list[str], known: tuple[str, ...]) -> None:
    """Raise a ValueError unless the policy names some changes that there are, none twice."""
    for name in policy:
        check_choice("augment.policy", name, known)
    if not policy or len(set(policy)) < len(policy):
        raise ValueError(f"augment.policy={policy} must name some of {', '.join(known)}, each once")


class Augmentation(nn.Module, ABC):
    """What a discriminator's inputs pass through; its state is buffers, equal on every rank between rounds."""

    kinds: ClassVar[tuple[str, ...]] = ("images",)  # of examples that it can change

    @abstractmethod
    def forward(self, inputs: Inputs) -> Inputs:
        """Return a judge's inputs with the examples among them changed, each by a draw of its own (gancli.ranks.shards)."""

    @abstractmethod
    def describe(self) -> str:
        """Return in words what it does, for `gan validate`."""

    def check(self, loss: LossOptions) -> None:
        """Raise a UsageError if it cannot be used with such a loss, or on such examples."""

    def scalars(self) -> dict[str, Tensor]:
        """Return what is recorded of its state."""
        return {}

    def observe(self, real_logits: Tensor) -> None:
        """Note what the discriminator says of this rank's real examples on its turn, without waiting for it.

        Args:
            real_logits: detached, and 0 where it is undecided.
        """

    def after_round(self, images: int) -> None:
        """Adapt after a round that showed so many images, on the device."""


class ImageAugmentation(Augmentation):
    """Changes images; those of one size that are judged together (a picture and its outline) are changed alike."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels  # of the data: images with another number (a mask) keep their colors

    @abstractmethod
    def draw(self, n: int, height: int, width: int, device: torch.device) -> Draw:
        """Return the random numbers for n images of this rank."""

    @abstractmethod
    def change(self, x: Tensor, draw: Draw) -> Tensor:
        """Return images [N, C, H, W] changed as the numbers say."""

    def forward(self, inputs: Inputs) -> Inputs:
        draws: dict[torch.Size, Draw] = {}
        changed = []
        for x in inputs:
            if x.dim() == 4:
                height, width = x.shape[2:]
                if x.shape[2:] not in draws:
                    draws[x.shape[2:]] = self.draw(len(x), height, width, x.device)
                with in_full(x.device):
                    x = self.change(x if x.dtype == torch.float64 else x.float(), draws[x.shape[2:]])
            changed.append(x)
        return tuple(changed)
