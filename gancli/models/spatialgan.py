"""Spatial GAN: textures of any size from maps of noise, without a fully connected layer (Jetchev 2016).

It learns from crops: `dataset=folder dataset.path=FOLDER dataset.crops=129`, where one image will do.  Both networks' losses
are means over examples and over the places of the discriminator's map.  Crops of another side than (n - 1) 2^L + 1, the
textures' own, are compared with textures that are cut at the right and at the bottom.

Differs from the authors' code (github.com/zalandoresearch/spatial_gan): its penalty 1e-5 |W|^2 on weights and gains is
optimizer.weight_decay=2e-5, which counts biases, too; transposed convolutions and first and last layers have biases
where no norm follows; narrower and, by one layer, shallower networks and a smaller batch are the default, as the YAML says;
samples are drawn from an average of the generator's weights (trainer.ema_kimg=null).

Legend: N batch, C channels, H, W sides of an image, h, w cells of a map, Z channels of noise, L layers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from gancli.data.spec import Batch, DataSpec
from gancli.errors import UserError, check_choice, check_range
from gancli.game.pair import PairModel
from gancli.game.prior import Grid
from gancli.losses.objective import Objective
from gancli.networks.layers import NORMS
from gancli.networks.spatial import Size, SpatialDiscriminator, SpatialGenerator, cells_for, field
from gancli.options import Recipe
from gancli.registry import models

MARGIN = 2  # cells beside a block on which its pixels depend: reach(L) is less than two cells
BLOCK = 256  # pixels of a side that are made at once, or one cell


@dataclass
class SpatialGANOptions:
    """Depth and widths of both networks."""

    name: str
    noise: int  # channels of the maps of noise
    layers: int  # L: a cell is 2^L pixels large
    width: int  # channels of the largest maps of both networks, doubled in every layer
    discriminator_norm: str  # batch (the paper), layer, instance or none
    recipe: Recipe

    def __post_init__(self) -> None:
        check_range("model.noise", self.noise, 1)
        check_range("model.layers", self.layers, 1, 8)
        check_range("model.width", self.width, 1)
        check_choice("model.discriminator_norm", self.discriminator_norm, NORMS)


@models.register("spatialgan", options=SpatialGANOptions)
class SpatialGAN(PairModel):
    """DCGAN's networks rolled out over a plane; noise uniform in [-1, 1] at every cell."""

    small: ClassVar = {"noise": 4, "layers": 1, "width": 4}

    def __init__(self, options: SpatialGANOptions, spec: DataSpec, objective: Objective) -> None:
        channels, *size = spec.shape
        self.layers = options.layers
        super().__init__(spec, objective, SpatialGenerator(options.noise, channels, options.width, options.layers),
                         SpatialDiscriminator(channels, options.width, options.layers, options.discriminator_norm),
                         Grid(options.noise, *cells_for((size[0], size[1]), options.layers), low=-1.0, high=1.0))

    @classmethod
    def check_data(cls, options: Any, spec: DataSpec) -> None:
        super().check_data(options, spec)
        side, sees = min(spec.shape[1:]), field(options.layers)
        if side < sees:
            fits = max((layers for layers in range(1, options.layers) if field(layers) <= side), default=0)
            fewer = f", or model.layers={fits}" if fits else ""
            raise UserError(f"model={options.name} with model.layers={options.layers} looks at {sees}x{sees} pixels at once, "
                            f"and these examples are {spec.shape[1]}x{spec.shape[2]}: give dataset.crops={sees} or more of "
                            f"larger images{fewer}.")

    def prepare(self, batch: Batch) -> None:
        """Let each turn draw its own noise, as in the authors' code."""

    def generate(self, z: Tensor) -> Tensor:
        """Return textures of the examples' size of maps of noise [N, Z, h, w]."""
        return self.generator(z)[:, :, :self.spec.shape[1], :self.spec.shape[2]]

    # Any size

    @property
    def cell(self) -> int:
        """The pixels of a cell's side, 2^L: the sides of a seamless tile are multiples of it."""
        return 2**self.layers

    def draw_map(self, size: Size, generator: torch.Generator, tile: bool = False) -> Tensor:
        """Return a map of noise [Z, h, w] on the CPU for a texture of that size in pixels.

        Args:
            tile: the texture is to go on at its opposite side; both sides are multiples of `cell`.
        """
        height, width = (size[0] // self.cell, size[1] // self.cell) if tile else cells_for(size, self.layers)
        return self.prior.of(height, width).draw(1, generator)[0]

    def paint(self, noise: Tensor, size: Size, tile: bool = False) -> Iterator[tuple[int, int, Tensor]]:
        """Yield a texture in blocks, (top, left, pixels [C, H', W'] in [-1, 1]); memory does not grow with the size.

        A block is made of its own cells and those around them that its pixels depend on (in evaluation, where batch norm
        has running statistics), so that it is what the whole map at once would give.

        Args:
            noise: [Z, h, w] as draw_map gave it for this size.
            tile: cells beyond the map's sides are those of the opposite side; else there are none.
        """
        cell, block = self.cell, max(1, BLOCK // self.cell)
        device = next(self.generator.parameters()).device
        for top in range(0, size[0], block * cell):
            rows, first_row = _cells_of(top // cell, block, noise.shape[1], tile)
            for left in range(0, size[1], block * cell):
                columns, first_column = _cells_of(left // cell, block, noise.shape[2], tile)
                made = self.generator(noise[:, rows][:, :, columns][None].to(device))[0]
                y, x = top - first_row * cell, left - first_column * cell
                height, width = min(block * cell, size[0] - top), min(block * cell, size[1] - left)
                yield top, left, made[:, y:y + height, x:x + width]


def _cells_of(start: int, block: int, count: int, tile: bool) -> tuple[Tensor, int]:
    """Return which of a map's rows (or columns) a block from number `start` on depends on, and the first one's number."""
    first, last = start - MARGIN, start + block + MARGIN
    if not tile:
        first, last = max(0, first), min(count, last)
    return torch.arange(first, last) % count, first
