"""SRGAN's generator, a residual network at low resolution with shuffled pixels at its end, and its discriminator.

Ledig 2017 (1609.04802), figure 4.  Of weights' first values the paper says nothing: they are torch's, and a parametric ReLU
has a slope for each channel, 0.25 at first (He 2015, 1502.01852).

Legend: N batch, C channels, H height, W width.
"""

from torch import Tensor, nn

from gancli.networks.layers import norm_layer

SMALLEST_MAP = 4  # pixels that halving leaves of the shorter side before the dense layers; the paper's 96 become 6
WIDEST = 8
HIDDEN = 16  # units of the dense layer for each of `width`: 1024 in the paper


class ResidualBlock(nn.Module):
    """C3, norm, PReLU, C3, norm, and the input added."""

    def __init__(self, width: int, norm: str) -> None:
        super().__init__()
        self.layers = nn.Sequential(_conv(width, width, norm), norm_layer(norm, width), nn.PReLU(width),
                                    _conv(width, width, norm), norm_layer(norm, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class SRResNet(nn.Module):
    """Images [N, C, H, W] to [N, C, factor H, factor W]: C9, B blocks, C3 and a skip over them, doublings, C9."""

    def __init__(self, channels: int, width: int, blocks: int, factor: int, norm: str) -> None:
        super().__init__()
        self.doublings = factor.bit_length() - 1
        self.blocks = blocks
        self.head = nn.Sequential(nn.Conv2d(channels, width, 9, padding=4), nn.PReLU(width))
        self.body = nn.Sequential(*(ResidualBlock(width, norm) for _ in range(blocks)), _conv(width, width, norm),
                                  norm_layer(norm, width))
        self.tail = nn.Sequential(
            *(layer for _ in range(self.doublings)
              for layer in (nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2), nn.PReLU(width))),
            nn.Conv2d(width, channels, 9, padding=4))

    @property
    def reach(self) -> int:
        """The pixels of the input to each side on which those of an output's place depend (in evaluation)."""
        reach = 4  # of the last convolution, at the output's size
        for _ in range(self.doublings):
            reach = -(-reach // 2) + 1
        return reach + 1 + 2 * self.blocks + 4

    def forward(self, x: Tensor) -> Tensor:
        """Return images, in no bounds, of images in [-1, 1], which the network sees in [0, 1] (section 3.2)."""
        x = self.head((x + 1) / 2)
        return self.tail(x + self.body(x))


class SRDiscriminator(nn.Module):
    """Images [N, C, H, W] to logits [N]: pairs of C3, of which the second halves; two dense layers.

    The paper's eight convolutions are for 96x96; of other sizes as many pairs are taken as leave 4 pixels of the shorter
    side (8x8: one, 32x32: three, 96x96: the paper's four, 128x128: five).
    """

    def __init__(self, shape: tuple[int, ...], width: int, norm: str) -> None:
        super().__init__()
        channels, height, width_ = shape
        parts, inputs = [], channels
        for level in range(halvings(height, width_)):
            outputs = width * min(2**level, WIDEST)
            for stride in (1, 2):
                kind = norm if parts else "none"
                parts += [nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=kind == "none"),
                          norm_layer(kind, outputs), nn.LeakyReLU(0.2)]
                inputs = outputs
            height, width_ = (height + 1) // 2, (width_ + 1) // 2
        self.layers = nn.Sequential(*parts, nn.Flatten(), nn.Linear(inputs * height * width_, HIDDEN * width),
                                    nn.LeakyReLU(0.2), nn.Linear(HIDDEN * width, 1), nn.Flatten(0))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def halvings(height: int, width: int) -> int:
    """Return how often the discriminator halves, once at least."""
    side, count = min(height, width), 1
    while (side + 1) // 2 // 2 >= SMALLEST_MAP:
        side, count = (side + 1) // 2, count + 1
    return count


def _conv(inputs: int, outputs: int, norm: str) -> nn.Conv2d:
    """Return a 3x3 convolution, without a bias where a norm follows that would take it away."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=norm == "none")
