"""Maps doubled, halved and blurred by the binomial filters of style-based networks, from the library's operators alone.

A map is zero beyond its border, as in the authors' code (upfirdn2d of github.com/NVlabs/stylegan2-ada-pytorch).  The filter
1, 3, 3, 1 is that of Karras 2020 and, as 1, 2, 1 applied to pixels seen twice, of Huang 2024.

Legend: N batch, C channels, H height, W width.
"""

from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d

SMOOTH = (1, 3, 3, 1)
BLUR = (1, 2, 1)  # of Karras 2019


def smoothly_doubled(x: Tensor) -> Tensor:
    """Return [N, C, 2H, 2W]: zeros between the pixels, then the filter 1, 3, 3, 1 (bilinear but at the border)."""
    return conv_transpose2d(x, _kernel(SMOOTH, 4, x), stride=2, padding=1, groups=x.shape[1])


def smoothly_halved(x: Tensor) -> Tensor:
    """Return [N, C, H/2, W/2]: the filter 1, 3, 3, 1, then every second pixel."""
    return conv2d(x, _kernel(SMOOTH, 1, x), stride=2, padding=1, groups=x.shape[1])


def smoothed(x: Tensor, padding: int, gain: float = 1) -> Tensor:
    """Return [N, C, H + 2 padding - 3, W + 2 padding - 3], filtered by 1, 3, 3, 1 and multiplied."""
    return conv2d(x, _kernel(SMOOTH, gain, x), padding=padding, groups=x.shape[1])


def blurred(x: Tensor) -> Tensor:
    """Return [N, C, H, W] filtered by 1, 2, 1 (Karras 2019, appendix C)."""
    return conv2d(x, _kernel(BLUR, 1, x), padding=1, groups=x.shape[1])


def _kernel(taps: tuple[int, ...], gain: float, x: Tensor) -> Tensor:
    """Return a filter for each channel of x, [C, 1, K, K] in all, of sum `gain` each."""
    return _square(taps, gain, x.device, x.dtype).expand(x.shape[1], 1, -1, -1)


@cache
def _square(taps: tuple[int, ...], gain: float, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return the filter [K, K]; it is made once, so that no turn waits for its copy to a device."""
    with torch.inference_mode(False):
        line = torch.tensor(taps, dtype=torch.float64)
        return (torch.outer(line, line) * (gain / line.sum() ** 2)).to(device, dtype)
