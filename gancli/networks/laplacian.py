"""Pyramids of images and the networks of their levels (Denton 2015; the authors' code, facebook/eyescream, cifar/scripts).

Networks take and give standardized images.  Weights start as torch's defaults, which are those of Torch 7, but for the
coarsest discriminator without labels, N(0, 0.005) and biases 0 as in the authors' script.

Legend: N batch, C channels, H height, W width of a level, Y label classes, Z latent size.
"""

from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, relu

from gancli.networks.initialization import normal_init
from gancli.networks.layers import Dropout
from gancli.networks.second_order import Convolution

Shape = tuple[int, int, int]
COARSE_STD = 0.005


def down(x: Tensor) -> Tensor:
    """Return images [N, C, 2h, 2w] at half their size: the means of 2x2 pixels, as Torch's image.scale takes them."""
    return avg_pool2d(x, 2)


def up(x: Tensor) -> Tensor:
    """Return images [N, C, h, w] at twice their size: linear between pixels, corners on corners, as Torch's image.scale."""
    return interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)


def gaussian_pyramid(x: Tensor, levels: int) -> list[Tensor]:
    """Return images at every level, from the coarsest to the images [N, C, H, W] themselves."""
    images = [x]
    for _ in range(levels - 1):
        images.insert(0, down(images[0]))
    return images


class CoarseGenerator(nn.Module):
    """Two ReLU layers from a latent, and a label beside it, to the smallest images; nothing bounds its output."""

    def __init__(self, latent_size: int, shape: Shape, units: int, classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(latent_size + classes, units), nn.ReLU(), nn.Linear(units, units), nn.ReLU(),
                                    nn.Linear(units, prod(shape)), nn.Unflatten(1, shape))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:  # [N, Z], [N, Y] -> [N, C, H, W]
        return self.layers(z if labels is None else torch.cat((z, labels), 1))


class CoarseDiscriminator(nn.Module):
    """Two ReLU layers with dropout over the smallest images, and a label beside them."""

    def __init__(self, shape: Shape, units: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(prod(shape) + classes, units), nn.ReLU(), Dropout(dropout),
                                    nn.Linear(units, units), nn.ReLU(), Dropout(dropout), nn.Linear(units, 1))
        if not classes:
            normal_init(self, COARSE_STD)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:  # [N, C, H, W], [N, Y] -> [N]
        x = x.flatten(1)
        return self.layers(x if labels is None else torch.cat((x, labels), 1)).flatten()


class LabelMap(nn.Module):
    """A label as one more map: a linear layer and a ReLU."""

    def __init__(self, classes: int, height: int, width: int) -> None:
        super().__init__()
        self.size = (1, height, width)
        self.layer = nn.Linear(classes, height * width)

    def forward(self, labels: Tensor) -> Tensor:  # [N, Y] -> [N, 1, H, W]
        return relu(self.layer(labels)).unflatten(1, self.size)


class ResidualGenerator(nn.Module):
    """Noise and a blurred image, side by side as maps, to what the image lacks; nothing bounds its output."""

    def __init__(self, shape: Shape, width: int, classes: int) -> None:
        super().__init__()
        channels, *size = shape
        self.label = LabelMap(classes, *size) if classes else None
        self.layers = nn.Sequential(Convolution(channels + 1 + bool(classes), width, 7, padding=3), nn.ReLU(),
                                    Convolution(width, width, 7, padding=3), nn.ReLU(),
                                    Convolution(width, channels, 5, padding=2))

    def forward(self, noise: Tensor, blurred: Tensor, labels: Tensor | None = None) -> Tensor:
        # [N, 1, H, W], [N, C, H, W], [N, Y] -> [N, C, H, W]
        maps = (noise, blurred) if self.label is None else (noise, self.label(labels), blurred)
        return self.layers(torch.cat(maps, 1))


class ResidualDiscriminator(nn.Module):
    """Two convolutions without padding over a level's whole images, dropout, and one output."""

    def __init__(self, shape: Shape, width: int, classes: int, dropout: float) -> None:
        super().__init__()
        channels, *size = shape
        kernel = min(5, (min(size) + 1) // 2)  # the authors' 5, unless images are so small that two of them do not fit
        cells = prod((side - kernel + 1 - kernel) // 2 + 1 for side in size)
        self.label = LabelMap(classes, *size) if classes else None
        self.layers = nn.Sequential(Convolution(channels + bool(classes), width, kernel), nn.ReLU(),
                                    Convolution(width, width, kernel, 2), nn.ReLU(), nn.Flatten(), Dropout(dropout),
                                    nn.Linear(width * cells, 1))

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:  # [N, C, H, W], [N, Y] -> [N]
        return self.layers(x if self.label is None else torch.cat((x, self.label(labels)), 1)).flatten()
