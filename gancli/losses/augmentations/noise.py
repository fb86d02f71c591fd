"""Instance noise: what a discriminator sees is blurred, so that real and generated examples overlap.

Sonderby 2017 (1610.04490), section 2.3; Arjovsky & Bottou 2017 (1701.04862), section 3.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from gancli.errors import check_range
from gancli.losses.augmentation import Augmentation
from gancli.losses.output import Inputs
from gancli.ranks import shards
from gancli.registry import augmentations


@dataclass
class NoiseOptions:
    """How much noise, and for how long."""

    name: str
    std: float  # at the start, on the scale of the data: images are in [-1, 1], points as they are
    decay_kimg: float | None  # it falls linearly to 0 over so many thousand images; null: it stays

    def __post_init__(self) -> None:
        check_range("augment.std", self.std, 0, open_low=True)
        check_range("augment.decay_kimg", self.decay_kimg, 0, open_low=True)


@augmentations.register("noise", options=NoiseOptions)
class InstanceNoise(Augmentation):
    """x + e, e ~ N(0, s^2 I), drawn anew for every example that is judged; s falls linearly to 0.

    The two papers anneal the noise and give no schedule: the straight line is ours.
    """

    kinds = ("images", "points")
    images: Tensor  # shown so far

    def __init__(self, options: NoiseOptions, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.options = options
        self.shape = shape
        self.register_buffer("images", torch.zeros((), dtype=torch.int64))

    def forward(self, inputs: Inputs) -> Inputs:
        std = self.std()
        return tuple(x + std.to(x.dtype) * shards.randn_like(x) if self._is_example(x, place) else x
                     for place, x in enumerate(inputs))

    def std(self) -> Tensor:
        """Return the standard deviation at this point of the run."""
        left = torch.ones_like(self.images, dtype=torch.float32)
        if self.options.decay_kimg is not None:
            left = (1 - self.images / (1000 * self.options.decay_kimg)).clamp_min(0)
        return self.options.std * left

    def describe(self) -> str:
        fall = "" if self.options.decay_kimg is None else f", falling to 0 over {self.options.decay_kimg:g} kimg"
        return f"noise of std {self.options.std:g} on what discriminators see{fall}"

    def scalars(self) -> dict[str, Tensor]:
        return {"augment_std": self.std()}

    def after_round(self, images: int) -> None:
        self.images += images

    def _is_example(self, x: Tensor, place: int) -> bool:
        """Whether an input is an image, or the point that comes first (latents of a pair and labels are neither)."""
        return x.dim() == 4 or (place == 0 and x.shape[1:] == self.shape and x.is_floating_point())
