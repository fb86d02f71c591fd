"""Images reduced and enlarged bicubically, as Pillow does it: a = -1/2, and antialiased where pixels become fewer.

Values are Pillow's within one step of 8 bits; Pillow also rounds, and cuts off what overshoots, between its two directions.
MATLAB's imresize, by which published super-resolution sets were reduced, has the same kernel and differs at the border
alone, which it mirrors; without antialiasing (OpenCV, torch's own default) figures come out several tenths of a dB off.

Legend: N images, C channels, H height, W width.
"""

from torch import Tensor
from torch.nn.functional import interpolate


def reduced(x: Tensor, factor: int) -> Tensor:
    """Return images [N, C, H, W] in [-1, 1] as [N, C, H / factor, W / factor], in steps of 8 bits, as a file holds them."""
    return _resized(x, x.shape[2] // factor, x.shape[3] // factor)


def enlarged(x: Tensor, factor: int) -> Tensor:
    """Return images [N, C, H, W] in [-1, 1] as [N, C, factor H, factor W], in steps of 8 bits."""
    return _resized(x, factor * x.shape[2], factor * x.shape[3])


def _resized(x: Tensor, height: int, width: int) -> Tensor:
    found = interpolate(x.float(), (height, width), mode="bicubic", align_corners=False, antialias=True)
    return found.add(1).mul(127.5).round().clamp(0, 255).div(127.5).sub(1)
