"""Maps doubled, halved and blurred by the binomial filters of style-based networks, from the library's operators alone.

A map is zero beyond its border, as in the authors' code (upfirdn2d of github.com/NVlabs/stylegan2-ada-pytorch).  The filter
1, 3, 3, 1 is that of Karras 2020 and, as 1, 2, 1 applied to pixels seen twice, of Huang 2024.

Doubling and halving are each other's transposes, up to a factor of 4.  On a CPU the library's transposed convolution of
channel by channel is slow in bf16, forward and as the gradient of the halving one (64 examples, 32 channels, 16x16 to 32x32
on one thread: 126 ms; pixels seen twice and filtered by 1, 2, 1: 1.8 ms), so that each is the other's gradient there.

Legend: N batch, C channels, H height, W width.
"""

from functools import cache

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import conv_transpose2d, interpolate

from gancli.gradients import library_kernels
from gancli.networks.maps import as_computed, channels_last
from gancli.networks.second_order import convolved

SMOOTH = (1, 3, 3, 1)
BLUR = (1, 2, 1)  # of Karras 2019


def smoothly_doubled(x: Tensor) -> Tensor:
    """Return [N, C, 2H, 2W]: zeros between the pixels, then the filter 1, 3, 3, 1 (bilinear but at the border)."""
    x = as_computed(x)
    return _Double.apply(x) if _slow(x) else conv_transpose2d(x, _kernel(SMOOTH, 4, x), stride=2, padding=1, groups=x.shape[1])


def smoothly_halved(x: Tensor) -> Tensor:
    """Return [N, C, H/2, W/2]: the filter 1, 3, 3, 1, then every second pixel."""
    x = as_computed(x)
    even = not (x.shape[2] % 2 or x.shape[3] % 2)
    return _Halve.apply(x) if _slow(x) and even else _halved(x)


def _slow(x: Tensor) -> bool:
    """Whether the library's transposed convolution is slow for x."""
    return x.device.type == "cpu" and x.dtype == torch.bfloat16 and not library_kernels.on


def _halved(x: Tensor) -> Tensor:
    return convolved(x, _kernel(SMOOTH, 1, x), stride=2, padding=1, groups=x.shape[1])


class _Halve(Function):
    """smoothly_halved of even sides; differentiable as often as one likes."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return _halved(x)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return _Double.apply(gradient) * 0.25


class _Double(Function):
    """smoothly_doubled, the transpose of _Halve times 4."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return blurred(interpolate(channels_last(x), scale_factor=2, mode="nearest"))

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return _Halve.apply(gradient) * 4


def smoothed(x: Tensor, padding: int, gain: float = 1) -> Tensor:
    """Return [N, C, H + 2 padding - 3, W + 2 padding - 3], filtered by 1, 3, 3, 1 and multiplied."""
    return convolved(x, _kernel(SMOOTH, gain, x), padding=padding, groups=x.shape[1])


def blurred(x: Tensor) -> Tensor:
    """Return [N, C, H, W] filtered by 1, 2, 1 (Karras 2019, appendix C)."""
    return convolved(x, _kernel(BLUR, 1, x), padding=1, groups=x.shape[1])


def _kernel(taps: tuple[int, ...], gain: float, x: Tensor) -> Tensor:
    """Return a filter for each channel of x, [C, 1, K, K] in all, of sum `gain` each."""
    return _square(taps, gain, x.device, x.dtype).expand(x.shape[1], 1, -1, -1)


@cache
def _square(taps: tuple[int, ...], gain: float, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return the filter [K, K]; it is made once, so that no turn waits for its copy to a device."""
    with torch.inference_mode(False):
        line = torch.tensor(taps, dtype=torch.float64)
        return (torch.outer(line, line) * (gain / line.sum() ** 2)).to(device, dtype)
