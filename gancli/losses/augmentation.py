"""The place between the players where images are changed before a discriminator sees them.

An augmentation is set as `objective.augment`.  Real and generated images pass through it on both players' turns and for
the penalties, whose gradient is taken with respect to the image before it; gradients flow through it to the generator.
"""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Augmentation(nn.Module, ABC):
    """What images pass through; its state is buffers, equal on every rank, and travels in the checkpoint."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Return images [N, C, H, W] changed, each by a draw of its own (gancli.ranks.shards)."""

    def observe(self, real_logits: Tensor) -> None:
        """Note what the discriminator says of this rank's real images on its turn, detached, without waiting for it."""

    def after_round(self, images: int) -> None:
        """Adapt after a round that showed so many images, on the device."""
