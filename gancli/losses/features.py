"""Feature matching: the generator's examples are to have the features of real ones on average (Salimans 2016, section 3.1).

Legend: N batch, F features (C, H, W of maps).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from gancli.ranks import shards


class Watch:
    """Notes what a layer of the discriminator takes, or gives, while a judge is asked."""

    def __init__(self) -> None:
        self._noted: list[Tensor] | None = None

    def inputs_of(self, layer: nn.Module) -> None:
        """Note what the layer takes."""
        layer.register_forward_pre_hook(self._before)

    def outputs_of(self, layer: nn.Module) -> None:
        """Note what the layer gives."""
        layer.register_forward_hook(self._after)

    @contextmanager
    def noting(self) -> Iterator[list[Tensor]]:
        """Yield the list to which everything is added that passes in a block."""
        before, self._noted = self._noted, []
        try:
            yield self._noted
        finally:
            self._noted = before

    def _before(self, layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        if self._noted is not None:
            self._noted.append(inputs[0])

    def _after(self, layer: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        if self._noted is not None:
            self._noted.append(output)


def feature_distance(real: Sequence[Tensor], fake: Sequence[Tensor], distance: str) -> Tensor:
    """Return how far the mean features of generated examples are from those of real ones, a scalar float32 (or 64).

    The paper prints |E f(x) - E f(G(z))|^2 (`squared`); the authors' code takes the mean of the squares over the features
    for MNIST (`mean_squared`), and of the absolute values for CIFAR-10 and SVHN (`mean_absolute`).

    Args:
        real, fake: features [N, ...] of one or several layers, whose distances are added; of this rank's examples,
            and means are those over all ranks'.
        distance: one of losses.options.DISTANCES.
    """
    gaps = [_mean(x) - _mean(g) for x, g in zip(real, fake, strict=True)]
    match distance:
        case "squared":
            parts = [gap.square().sum() for gap in gaps]
        case "mean_squared":
            parts = [gap.square().mean() for gap in gaps]
        case "mean_absolute":
            parts = [gap.abs().mean() for gap in gaps]
        case _:
            raise ValueError(f"there is no distance called {distance}")
    return torch.stack(parts).sum()


def _mean(features: Tensor) -> Tensor:
    """Return the mean over the whole batch, [F]."""
    exact = features if features.dtype == torch.float64 else features.float()
    return shards.stacked(exact.mean(0)).mean(0)
