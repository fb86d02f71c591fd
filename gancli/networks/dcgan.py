"""The convolutional generator and discriminator of Radford 2016 (figure 1, section 3), for any image size from 8 up.

Legend: N batch, C channels, H height, W width, F feature channels, Z latent size, K condition size.
"""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import leaky_relu, relu

from gancli.networks.convolution import Doubling, Halving
from gancli.networks.initialization import normal_init
from gancli.networks.layers import norm_layer

WEIGHT_STD = 0.02  # Radford 2016, section 4
WIDEST = 8  # times `width`: the paper's 64x64 networks end at 8 times their first width


def halvings(height: int, width: int) -> list[tuple[int, int]]:
    """Return the map sizes from the image down: halved (rounding down) while the shorter side is at least 8.

    64x64 gives 64, 32, 16, 8, 4: the paper's four layers; 33x50 gives 33x50, 16x25, 8x12, 4x6.
    """
    sizes = [(height, width)]
    while min(sizes[-1]) >= 8:
        sizes.append((sizes[-1][0] // 2, sizes[-1][1] // 2))
    return sizes


def feature_widths(width: int, layers: int) -> list[int]:
    """Return the channels after each halving: width, 2 width, 4 width, then 8 width throughout."""
    return [width * min(2**i, WIDEST) for i in range(layers)]


class DCGANGenerator(nn.Module):
    """z projected to a small map, then transposed convolutions with batch norm and ReLU; tanh at the end."""

    def __init__(self, latent_size: int, shape: tuple[int, int, int], width: int, kernel: int = 4) -> None:
        super().__init__()
        channels, *size = shape
        sizes = halvings(*size)[::-1]  # from the smallest map up to the image
        widths = feature_widths(width, len(sizes) - 1)[::-1]
        self.start = (*sizes[0], widths[0])
        self.project = nn.Linear(latent_size, sizes[0][0] * sizes[0][1] * widths[0], bias=False)
        self.norms = nn.ModuleList(norm_layer("batch", features) for features in widths)
        self.layers = nn.ModuleList()
        for i, (small, large) in enumerate(pairwise(sizes)):
            last = i == len(widths) - 1
            odd = (large[0] - 2 * small[0], large[1] - 2 * small[1])
            self.layers.append(Doubling(widths[i], channels if last else widths[i + 1], last, odd, kernel))
        normal_init(self, WEIGHT_STD)

    def forward(self, z: Tensor) -> Tensor:  # [N, Z] -> [N, C, H, W] in [-1, 1]
        return self.unbounded(z).tanh()

    def unbounded(self, z: Tensor) -> Tensor:
        """Return what the tanh takes, [N, C, H, W]."""
        x = self.project(z).unflatten(1, self.start).permute(0, 3, 1, 2)  # channels_last without a copy
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x = layer(relu(norm(x), inplace=True))
        return x


class ConvFeatures(nn.Module):
    """Strided convolutions with LeakyReLU 0.2, normalized except after the first (Radford 2016).

    A condition (a one-hot label, a latent) joins every layer as a bias for each channel.  That is what planes
    filled with the condition and concatenated to the layer's input would add, except at the border.
    """

    def __init__(self, shape: tuple[int, int, int], width: int, norm: str, condition_size: int = 0, kernel: int = 4) -> None:
        super().__init__()
        channels, *size = shape
        sizes = halvings(*size)
        widths = feature_widths(width, len(sizes) - 1)
        kinds = ["none", *[norm] * (len(widths) - 1)]
        self.layers = nn.ModuleList(
            Halving(inputs, outputs, kind == "none", kernel)
            for inputs, outputs, kind in zip([channels, *widths], widths, kinds, strict=False))
        self.norms = nn.ModuleList(norm_layer(kind, outputs) for outputs, kind in zip(widths, kinds, strict=True))
        self.conditions = nn.ModuleList(
            nn.Linear(condition_size, outputs, bias=False) for outputs in (widths if condition_size else []))
        self.features = widths[-1] * sizes[-1][0] * sizes[-1][1]
        normal_init(self, WEIGHT_STD)
        for layer in self.conditions:  # a plane of ones sums a kernel's taps: `kernel` times their deviation
            nn.init.normal_(layer.weight, 0.0, WEIGHT_STD * kernel)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:  # [N, C, H, W], [N, K] -> [N, F]
        for i, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            x = layer(x)
            if self.conditions:
                x = x + self.conditions[i](condition)[:, :, None, None]
            x = leaky_relu(norm(x), 0.2, inplace=True)
        return x.permute(0, 2, 3, 1).flatten(1)  # as channels_last lies in memory


class DCGANDiscriminator(nn.Module):
    """Strided convolutions; the last map is flattened and fed to one output (Radford 2016, section 3)."""

    def __init__(self, shape: tuple[int, int, int], width: int, norm: str, condition_size: int = 0, kernel: int = 4) -> None:
        super().__init__()
        self.body = ConvFeatures(shape, width, norm, condition_size, kernel)
        self.head = nn.Linear(self.body.features, 1)
        normal_init(self.head, WEIGHT_STD)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:  # [N, C, H, W], [N, K] -> [N]
        return self.head(self.body(x, condition)).flatten()


class ConvEncoder(nn.Module):
    """The discriminator's body with a latent in [-1, 1] for its output (Donahue 2017, section 4.3)."""

    def __init__(self, shape: tuple[int, int, int], width: int, latent_size: int, kernel: int = 4) -> None:
        super().__init__()
        self.body = ConvFeatures(shape, width, "batch", kernel=kernel)
        self.head = nn.Linear(self.body.features, latent_size)
        normal_init(self.head, WEIGHT_STD)

    def forward(self, x: Tensor) -> Tensor:  # [N, C, H, W] -> [N, Z]
        return self.head(self.body(x)).sigmoid() * 2 - 1
