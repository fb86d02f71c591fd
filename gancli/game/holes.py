"""Where images have holes: the law of a mask as one object, as priors are of latents.

A mask is 1 in the hole and 0 outside.

Legend: N masks, C channels, H height, W width, h, w sides of a hole, K uniform numbers that a mask is made of.
"""

from abc import ABC, abstractmethod
from math import ceil
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from gancli.errors import check_choice
from gancli.ranks import shards

CELLS = 7.68  # of the random field, along the shorter side: 128 pixels times the 0.06 of Pathak 2016's code
MARGIN = 2  # cells around an image: at a field's border, where cells are missing, holes would be more frequent
LEAST, MOST = 0.2, 0.3  # of the image that a random hole covers, as there


class Box(NamedTuple):
    """A rectangle of pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def area(self) -> tuple[slice, slice]:
        """The rows and the columns."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    def shrunk(self, rim: int) -> "Box":
        """Return the box without so many pixels at each of its sides."""
        return Box(self.top + rim, self.left + rim, self.height - 2 * rim, self.width - 2 * rim)


class Holes(ABC):
    """The law of masks for images of one size."""

    numbers = 0  # K

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width

    @abstractmethod
    def of(self, u: Tensor) -> Tensor:
        """Return the masks [N, 1, H, W] that uniform numbers [N, K] in [0, 1) stand for."""

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Return n masks on the CPU, so that a seed means the same on every device."""
        return self.of(torch.rand(n, self.numbers, generator=generator))

    def like(self, x: Tensor) -> Tensor:
        """Return a mask for each of this rank's images x [N, C, H, W], from the global generator of their device."""
        return self.of(shards.rand(len(x), self.numbers, device=x.device))


class Boxed(Holes):
    """One rectangle for all images."""

    def __init__(self, height: int, width: int, box: Box) -> None:
        super().__init__(height, width)
        self.box = box

    def of(self, u: Tensor) -> Tensor:
        mask = u.new_zeros(len(u), 1, self.height, self.width)
        mask[(..., *self.box.area)] = 1
        return mask


class Squares(Holes):
    """A rectangle of half the sides anywhere in the image (Li 2017, section 4.1)."""

    numbers = 2

    def of(self, u: Tensor) -> Tensor:
        h, w = self.height // 2, self.width // 2
        top, left = (u[:, 0] * (self.height - h + 1)).floor(), (u[:, 1] * (self.width - w + 1)).floor()
        rows, columns = (_between(torch.arange(side, device=u.device), start[:, None], size)
                         for side, start, size in ((self.height, top, h), (self.width, left, w)))
        return (rows[:, None, :, None] & columns[:, None, None, :]).to(u.dtype)


class Blobs(Holes):
    """Smooth random shapes that cover a fifth to three tenths of the image (Pathak 2016, section 4.1.1).

    As in the authors' code they are where a field of uniform noise, enlarged with bicubic interpolation, is low.  There one
    field of 10,000x10,000 pixels is made for the run, a window of it is tried until the share is right, and all images of a
    batch have it; here each image has a field of its own, of which as many pixels as a drawn share says are the hole.
    """

    def __init__(self, height: int, width: int) -> None:
        super().__init__(height, width)
        self.cell = max(1, round(min(height, width) / CELLS))  # pixels of a side
        self.grid = ceil(height / self.cell) + 1 + 2 * MARGIN, ceil(width / self.cell) + 1 + 2 * MARGIN
        self.numbers = self.grid[0] * self.grid[1] + 3

    def of(self, u: Tensor) -> Tensor:
        cells = u[:, 3:].unflatten(1, (1, *self.grid))
        field = interpolate(cells, size=[side * self.cell for side in self.grid], mode="bicubic", align_corners=False)
        offsets = MARGIN * self.cell + (u[:, :2] * self.cell).floor().long()
        field = crop(field, offsets, self.height, self.width).flatten(1)
        count = ((LEAST + (MOST - LEAST) * u[:, 2]) * field.shape[1]).round()
        return (field.argsort(1).argsort(1) < count[:, None]).to(u.dtype).unflatten(1, (1, self.height, self.width))


KINDS = ("center", "random", "square")


def holes_of(kind: str, height: int, width: int, rim: int = 0) -> Holes:
    """Return a law by its name.

    Args:
        kind: center (half the sides, in the middle), random (blobs) or square (half the sides, anywhere).
        rim: pixels by which the center's box is smaller at each side.
    """
    check_choice("mask", kind, KINDS)
    if kind == "center":
        return Boxed(height, width, middle(height, width).shrunk(rim))
    return (Blobs if kind == "random" else Squares)(height, width)


def middle(height: int, width: int) -> Box:
    """Return the box of half the sides (rounded down) in the middle of an image."""
    h, w = height // 2, width // 2
    return Box((height - h) // 2, (width - w) // 2, h, w)


def corners(mask: Tensor) -> Tensor:
    """Return the upper left corner [N, 2] int64 of the smallest box around each hole [N, 1, H, W]."""
    return torch.stack((mask.amax(3).argmax(2), mask.amax(2).argmax(2)), 2)[:, 0]


def crop(x: Tensor, corner: Tensor, height: int, width: int) -> Tensor:
    """Return the part [N, C, height, width] of each image x [N, C, H, W] from its corner [N, 2] on."""
    rows = corner[:, :1] + torch.arange(height, device=x.device)
    columns = corner[:, 1:] + torch.arange(width, device=x.device)
    x = x.gather(2, rows[:, None, :, None].expand(-1, x.shape[1], -1, x.shape[3]))
    return x.gather(3, columns[:, None, None, :].expand(-1, x.shape[1], height, -1))


def _between(places: Tensor, start: Tensor, size: int) -> Tensor:
    return (places >= start) & (places < start + size)
