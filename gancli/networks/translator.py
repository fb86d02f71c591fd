"""The image translator of Johnson 2016 as CycleGAN uses it: two halvings, residual blocks, two doublings.

In the paper's notation (Zhu 2017, section 7.2): c7s1-64, d128, d256, R256 x blocks, u128, u64, c7s1-C; instance norm
and ReLU after every layer but the last, reflection padding around the stride-1 convolutions.  Any image size goes in
and comes out: a doubling is told the size that its halving started from.
"""

from torch import Tensor, nn
from torch.nn.functional import relu

from gancli.networks.initialization import normal_init
from gancli.networks.layers import norm_layer

NORM = "instance"


def _norm(channels: int) -> nn.Module:
    return norm_layer(NORM, channels, affine=False)


def _same(inputs: int, outputs: int, kernel: int, bias: bool = False) -> nn.Conv2d:
    """Return a convolution that keeps the size, reflecting at the border."""
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, padding_mode="reflect", bias=bias)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a skip around them and no ReLU after the sum (Zhu 2017, section 7.2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(_same(channels, channels, 3), _norm(channels), nn.ReLU(),
                                    _same(channels, channels, 3), _norm(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class ResNetTranslator(nn.Module):
    """[N, inputs, H, W] -> [N, outputs, H, W], both in [-1, 1]."""

    def __init__(self, inputs: int, outputs: int, width: int, blocks: int) -> None:
        super().__init__()
        self.enter = nn.Sequential(_same(inputs, width, 7), _norm(width), nn.ReLU())
        self.down1, self.down2 = (nn.Conv2d(width * i, width * i * 2, 3, stride=2, padding=1, bias=False)
                                  for i in (1, 2))
        self.blocks = nn.Sequential(*[ResidualBlock(width * 4) for _ in range(blocks)])
        self.up1, self.up2 = (nn.ConvTranspose2d(width * i * 2, width * i, 3, stride=2, padding=1, bias=False)
                              for i in (2, 1))
        self.norm_down1, self.norm_down2 = _norm(width * 2), _norm(width * 4)
        self.norm_up1, self.norm_up2 = _norm(width * 2), _norm(width)
        self.leave = _same(width, outputs, 7, bias=True)
        normal_init(self)

    def forward(self, x: Tensor) -> Tensor:
        full = self.enter(x)
        half = relu(self.norm_down1(self.down1(full)))
        small = self.blocks(relu(self.norm_down2(self.down2(half))))
        y = relu(self.norm_up1(self.up1(small, output_size=half.shape[2:])))
        y = relu(self.norm_up2(self.up2(y, output_size=full.shape[2:])))
        return self.leave(y).tanh()
