"""The translator and the critic of StarGAN, at any size (Choi 2018, 1711.09020, tables 4 and 5).

Legend: N batch, C channels, H height, W width, K numbers of a target (one a domain, or one an attribute).
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from gancli.networks.layers import norm_layer
from gancli.networks.second_order import Convolution

NORM = "instance"
LAST_SIDE = 2  # of the critic's last map, as 128 pixels and six halvings leave it
SLOPE = 0.01


def halvings(height: int, width: int) -> int:
    """Return how often the critic halves images: until their shorter side is 2 pixels, as the paper's 128 after six times."""
    side, count = min(height, width), 0
    while side // 2 >= LAST_SIDE:
        side, count = side // 2, count + 1
    return count


def _norm(channels: int) -> nn.Module:
    return norm_layer(NORM, channels, affine=True)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a skip around them and no ReLU after the sum; zeros around maps, and gains behind norms."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), _norm(channels), nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), _norm(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class StarTranslator(nn.Module):
    """Images and a target for each to images, [N, C, H, W] and [N, K] to [N, C, H, W] in [-1, 1].

    The target's numbers stand beside the image as constant planes.  Instance norm takes any constant away; what keeps a
    target visible is the border of zeros, where the planes are none: so the authors' comment against reflected borders.
    """

    def __init__(self, channels: int, targets: int, width: int, blocks: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(channels + targets, width, 7, padding=3, bias=False)
        self.down1, self.down2 = (nn.Conv2d(width * i, width * i * 2, 4, stride=2, padding=1, bias=False) for i in (1, 2))
        self.blocks = nn.Sequential(*[ResidualBlock(width * 4) for _ in range(blocks)])
        self.up1, self.up2 = (nn.ConvTranspose2d(width * i * 2, width * i, 4, stride=2, padding=1, bias=False)
                              for i in (2, 1))
        self.norm_enter, self.norm_down1, self.norm_down2 = _norm(width), _norm(width * 2), _norm(width * 4)
        self.norm_up1, self.norm_up2 = _norm(width * 2), _norm(width)
        self.leave = nn.Conv2d(width, channels, 7, padding=3, bias=False)

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        planes = target.to(x.dtype)[:, :, None, None].expand(-1, -1, *x.shape[2:])
        full = relu(self.norm_enter(self.enter(torch.cat((x, planes), 1))))
        half = relu(self.norm_down1(self.down1(full)))
        small = self.blocks(relu(self.norm_down2(self.down2(half))))
        y = relu(self.norm_up1(self.up1(small, output_size=half.shape[2:])))
        y = relu(self.norm_up2(self.up2(y, output_size=full.shape[2:])))
        return self.leave(y).tanh()


class StarCritic(nn.Module):
    """Convolutions of stride 2 without a norm (`body`), and one output a patch (`head`): [N, C, H, W] to [N, 1, h, w].

    A second head on the body's maps, which tells domains, is a network of its own (`DomainHead`).
    """

    def __init__(self, channels: int, size: tuple[int, int], width: int) -> None:
        super().__init__()
        depth, (height, across) = halvings(*size), size
        parts: list[nn.Module] = []
        for i in range(depth):
            parts += [Convolution(channels if i == 0 else width * 2 ** (i - 1), width * 2**i, 4, stride=2, padding=1),
                      nn.LeakyReLU(SLOPE)]
        self.body = nn.Sequential(*parts)
        self.features = width * 2 ** (depth - 1)  # channels of the body's maps, and
        self.map = height // 2**depth, across // 2**depth  # their size
        self.head = Convolution(self.features, 1, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


class DomainHead(Convolution):
    """The body's maps to logits of domains or attributes [N, K], by a convolution as large as the map."""

    def __init__(self, critic: StarCritic, targets: int) -> None:
        super().__init__(critic.features, targets, critic.map, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).flatten(1)
