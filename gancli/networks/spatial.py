"""Fully convolutional networks from maps of noise to textures of any size, and back to maps of verdicts (Jetchev 2016).

Kernels are 5x5 with stride 2, as in the authors' code (zalandoresearch/spatial_gan): a map of n cells becomes a texture of
(n - 1) 2^L + 1 pixels, L the number of layers.  Weights N(0, 0.02), gains N(1, 0.02).

Legend: N batch, C channels, h, w cells, Z channels of noise, L layers.
"""

from torch import Tensor, nn
from torch.nn.functional import leaky_relu, relu

from gancli.networks.convolution import Doubling
from gancli.networks.initialization import normal_init
from gancli.networks.layers import norm_layer

KERNEL, SLOPE = 5, 0.2
Size = tuple[int, int]


def reach(layers: int) -> int:
    """Return the pixels on either side of a cell's own that the cell's noise changes: 2^(L + 1) - 2."""
    return 2 ** (layers + 1) - 2


def field(layers: int) -> int:
    """Return the side of what one verdict sees, and of what one cell's noise changes: 5, 13, 29, 61, 125 pixels."""
    return 2 * reach(layers) + 1


def cells_for(size: Size, layers: int) -> Size:
    """Return the cells of the smallest map whose texture is as large as `size`."""
    height, width = (-(-(side - 1) // 2**layers) + 1 for side in size)
    return height, width


def widths_of(width: int, layers: int) -> list[int]:
    """Return the channels of the maps inside, from the largest map on: width, 2 width, 4 width, ..., L - 1 of them."""
    return [width * 2**layer for layer in range(layers - 1)]


class SpatialGenerator(nn.Module):
    """Transposed convolutions with batch norm and ReLU; tanh at the end."""

    def __init__(self, noise: int, channels: int, width: int, layers: int) -> None:
        super().__init__()
        widths = [noise, *reversed(widths_of(width, layers)), channels]
        self.layers = nn.ModuleList(Doubling(widths[i], widths[i + 1], i == layers - 1, kernel=KERNEL) for i in range(layers))
        self.norms = nn.ModuleList(norm_layer("batch", inner) for inner in widths[1:-1])
        normal_init(self)

    def forward(self, z: Tensor) -> Tensor:  # [N, Z, h, w] -> [N, C, (h - 1) 2^L + 1, (w - 1) 2^L + 1] in [-1, 1]
        for layer, norm in zip(self.layers, self.norms, strict=False):
            z = relu(norm(_doubled(layer, z)))
        return _doubled(self.layers[-1], z).tanh()


class SpatialDiscriminator(nn.Module):
    """Convolutions with LeakyReLU 0.2, normalized but for the first, to a map of verdicts."""

    def __init__(self, channels: int, width: int, layers: int, norm: str) -> None:
        super().__init__()
        widths = [channels, *widths_of(width, layers), 1]
        kinds = ["none", *[norm] * (layers - 2)][:layers - 1]
        biases = [kind == "none" for kind in kinds] + [True]
        self.layers = nn.ModuleList(nn.Conv2d(widths[i], widths[i + 1], KERNEL, 2, KERNEL // 2, bias=biases[i])
                                    for i in range(layers))
        self.norms = nn.ModuleList(norm_layer(kind, inner) for kind, inner in zip(kinds, widths[1:-1], strict=True))
        normal_init(self)

    def forward(self, x: Tensor) -> Tensor:  # [N, C, H, W] -> [N, 1, h, w]
        for layer, norm in zip(self.layers, self.norms, strict=False):
            x = leaky_relu(norm(layer(x)), SLOPE)
        return self.layers[-1](x)


def _doubled(layer: Doubling, x: Tensor) -> Tensor:
    """Return [N, F, 2h - 1, 2w - 1]: the last row and column of the doubled map are those of windows beyond the last cell."""
    return layer(x)[:, :, :-1, :-1]
