"""PatchGAN: a convolutional discriminator that judges overlapping patches (Isola 2017, section 3.2.2; Zhu 2017).

Legend: N batch, C channels, H height, W width, h x w map of patches.
"""

from torch import Tensor, nn

from gancli.networks.initialization import normal_init
from gancli.networks.layers import norm_layer
from gancli.networks.second_order import Convolution

LARGEST_DEPTH = 3  # halvings of the 70x70 discriminator
SMALLEST_MAP = 4  # judged patches a side
WIDEST = 8


def patch_depth(height: int, width: int) -> int:
    """Return the halvings, 3 (70x70 patches) or as many as leave a map of at least 4x4 patches."""
    side, depth = min(height, width), 0
    while depth < LARGEST_DEPTH and side // 2 - 2 >= SMALLEST_MAP:  # the two stride-1 layers take one each
        side, depth = side // 2, depth + 1
    return depth


class PixelDiscriminator(nn.Module):
    """C64-C128 and one output a pixel, all of 1x1 convolutions (Isola 2017, appendix 6.1.2)."""

    def __init__(self, channels: int, width: int, norm: str) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Convolution(channels, width, 1), nn.LeakyReLU(0.2),
            Convolution(width, 2 * width, 1, bias=norm == "none"), norm_layer(norm, 2 * width, affine=norm != "instance"),
            nn.LeakyReLU(0.2), Convolution(2 * width, 1, 1))
        normal_init(self)

    def forward(self, x: Tensor) -> Tensor:  # [N, C, H, W] -> [N, 1, H, W]
        return self.layers(x)


class PatchDiscriminator(nn.Module):
    """C64-C128-C256-C512 and one output a patch; no norm in the first layer, LeakyReLU 0.2 (Zhu 2017, section 7.2)."""

    def __init__(self, channels: int, width: int, depth: int, norm: str) -> None:
        super().__init__()
        parts, inputs = [], channels
        for i in range(depth + 1):
            kind = norm if i else "none"
            outputs = width * min(2**i, WIDEST)
            parts += [Convolution(inputs, outputs, 4, stride=2 if i < depth else 1, padding=1, bias=kind == "none"),
                      norm_layer(kind, outputs, affine=kind != "instance"), nn.LeakyReLU(0.2)]
            inputs = outputs
        self.layers = nn.Sequential(*parts, Convolution(inputs, 1, 4, padding=1))
        normal_init(self)

    def forward(self, x: Tensor) -> Tensor:  # [N, C, H, W] -> [N, 1, h, w]
        return self.layers(x)
