"""Examples that are crops of larger images, taken anywhere (dataset.crops): numbered, and cut out when they are shown.

Legend: N batch, D images, H, W their sides, h, w sides of a crop, C channels, P places in an image.
"""

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from gancli.data.spec import DataSpec
from gancli.errors import UserError

MOST = 1 << 16  # crops that count as the data set: for passes through it, and for what is measured on all of it
GOLDEN = (math.sqrt(5) - 1) / 2


def cropped(spec: DataSpec, options: Any) -> DataSpec:
    """Return the spec of the examples of images that `spec` describes, as the options of a data set say.

    Raises:
        UserError: crops are larger than the images.
    """
    size = getattr(options, "crops", None)
    if size is None or not spec.is_image:
        return spec
    channels, height, width = spec.shape
    if size[0] > height or size[1] > width:
        side = min(height, width)
        larger = _shown(max(size[0], height), max(size[1], width))
        raise UserError(f"dataset.crops={_shown(*size)} is larger than the images of {height}x{width}: give "
                        f"dataset.crops={side} or less, or dataset.size={larger} to enlarge them.")
    step = max(1, spec.reduction)
    if any(side % step for side in size):
        raise UserError(f"dataset.crops={_shown(*size)} is not whole pixels of images {step} times smaller: give sides that "
                        f"are multiples of {step}.")
    crops = Crops(spec.count, (height, width), size, step)
    return replace(spec, shape=(channels, *size), count=min(crops.total, MOST), stored=spec.stored_bytes)


class Crops:
    """The crops of D images of one size by number: images take turns, and the places of any first few are spread out."""

    def __init__(self, images: int, whole: tuple[int, int], size: tuple[int, int], grid: int = 1) -> None:
        """Number the crops.

        Args:
            grid: pixels from one place to the next, in both directions.
        """
        self.images, self.size, self.grid = images, size, grid
        self.columns = (whole[1] - size[1]) // grid + 1
        self.places = ((whole[0] - size[0]) // grid + 1) * self.columns
        self.total = images * self.places
        step = max(1, round(GOLDEN * self.places))
        while math.gcd(step, self.places) > 1:
            step += 1
        self._step = step

    @property
    def count(self) -> int:
        """The crops that count as the data set."""
        return min(self.total, MOST)

    def image_of(self, numbers: Tensor) -> Tensor:
        """Return which image the crops [N] are of, [N]."""
        return numbers % self.images

    def at_some_place(self, images: Tensor, seed: int) -> Tensor:
        """Return a crop [N] of each of these images [N], on the CPU, at a random place."""
        generator = torch.Generator().manual_seed(seed)
        return images + self.images * torch.randint(self.places, (len(images),), generator=generator)

    def corners(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Return the top and the left pixel [N] of crops [N]."""
        place = numbers // self.images * self._step % self.places
        return self.grid * (place // self.columns), self.grid * (place % self.columns)

    def cut(self, images: Tensor, numbers: Tensor) -> Tensor:
        """Return the crops [N, h, w, C] of images [D, H, W, C], both numbers [N] and images on one device."""
        top, left = self.corners(numbers)
        rows = top[:, None] + torch.arange(self.size[0], device=numbers.device)
        columns = left[:, None] + torch.arange(self.size[1], device=numbers.device)
        return images[self.image_of(numbers)[:, None, None], rows[:, :, None], columns[:, None, :]]


def told(spec: DataSpec, whole: DataSpec) -> tuple[str, ...]:
    """Return a sentence for the run's log where examples are crops."""
    if spec.shape == whole.shape and spec.count == whole.count:
        return ()
    images = "one image" if whole.count == 1 else f"{whole.count:,} images"
    return (f"Examples are crops of {_shown(*spec.shape[1:])} pixels of {images} of {whole.shape[1]}x{whole.shape[2]}, taken "
            f"anywhere; {spec.count:,} of them count as one pass.",)


def _shown(height: int, width: int) -> str:
    return f"{height}" if height == width else f"[{height},{width}]"
