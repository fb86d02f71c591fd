"""The U-Net of pix2pix: halvings down to one pixel, doublings back, and skips between equal sizes (Isola 2017, appendix 6.1).

Any size goes in and comes out: a doubling is told the size that its halving started from.

Legend: N batch, C channels, H height, W width.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, relu

from gancli.networks.initialization import normal_init
from gancli.networks.layers import Dropout, norm_layer

DEEPEST = 8  # halvings of a 256x256 image
WIDEST = 8
DROPPED = 3  # decoder blocks behind the bottleneck with dropout


def unet_depth(height: int, width: int) -> int:
    """Return the halvings until one side is a single pixel, at most 8."""
    return min(DEEPEST, min(height, width).bit_length() - 1)


class UNet(nn.Module):
    """[N, inputs, H, W] -> [N, outputs, H, W] in [-1, 1]: C64-C128-C256-C512-... and back.

    In the authors' code a LeakyReLU of 0.2 stands before each convolution from the second on, in place, so that skips carry
    its output, of which the decoder's ReLU keeps what is positive: both read the same numbers here without being in place.
    The first convolution and the bottleneck have no norm, and no bias either (the code sets it to 0 at every step).
    """

    def __init__(self, inputs: int, outputs: int, depth: int, width: int, norm: str, dropout: float) -> None:
        super().__init__()
        widths = [width * min(2**level, WIDEST) for level in range(depth)]
        self.downs, self.ups, self.down_norms, self.up_norms = (nn.ModuleList() for _ in range(4))
        for level, (before, after) in enumerate(zip([inputs, *widths[:-1]], widths, strict=True)):
            kind = norm if 0 < level < depth - 1 else "none"
            self.downs.append(nn.Conv2d(before, after, 4, stride=2, padding=1, bias=norm == "none"))
            self.down_norms.append(norm_layer(kind, after))
        for level in reversed(range(depth)):
            before = widths[level] * (1 if level == depth - 1 else 2)  # beside the skip
            after, kind = (widths[level - 1], norm) if level else (outputs, "none")
            self.ups.append(nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=kind == "none"))
            self.up_norms.append(norm_layer(kind, after))
        self.dropout = Dropout(dropout)
        normal_init(self)

    def forward(self, x: Tensor) -> Tensor:
        sizes, skips = [], []
        for level, (down, norm) in enumerate(zip(self.downs, self.down_norms, strict=True)):
            sizes.append(x.shape[2:])
            x = norm(down(leaky_relu(x, 0.2) if level else x))
            skips.append(x)
        y = skips.pop()
        for number, (up, norm) in enumerate(zip(self.ups, self.up_norms, strict=True)):
            y = norm(up(relu(y), output_size=sizes.pop()))
            if not skips:
                return y.tanh()
            if number < DROPPED:
                y = self.dropout(y)
            y = torch.cat((y, skips.pop()), 1)
        raise AssertionError("the last doubling has no skip")
