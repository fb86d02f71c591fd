"""Images moved by flips, turns, scales and shifts: whole pixels copied, or resampled without aliasing (Karras 2020, app. B).

Parameters are given for each image and 0 where nothing happens.  All is linear in the images and can be differentiated any
number of times; nothing waits for the device.

Legend: N batch, C channels, H height, W width; a side's period is 2 (side - 1) pixels, in which its mirrored continuation
repeats.
"""

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

SYM6 = (0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633, 0.4910559419267466,
        0.787641141030194, 0.3379294217276218, -0.07263752278646252, -0.021060292512300564, 0.04472490177066578,
        0.0017677118642428036, -0.007800708325034148)  # the wavelet's low-pass filter, of unit norm
REACH = 5  # taps before the filter's middle
BLIT = ("flip", "quarters", "shift")  # keep pixels whole
GEOMETRY = ("scale", "turn", "stretch", "turn_again", "slide")


def moved(x: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
    """Return images [N, C, H, W] after BLIT and GEOMETRY, in this order and all in one step.

    Args:
        parameters: [N] or [N, 2] each, those that are missing are 0: flip 1 mirrors left and right; quarters of a turn;
            shift and slide to the right and down as shares of width and height, the first rounded to whole pixels; scale
            and stretch in powers of 2; turn and turn_again in radians.
    """
    parameters = {key: value.to(x.dtype) for key, value in parameters.items() if key in BLIT + GEOMETRY}
    if not parameters:
        return x
    matrix = inverse(parameters, x.shape[2], x.shape[3])
    y = copied(x, matrix)
    bends = [parameters[key].reshape(len(x), -1) for key in GEOMETRY if key in parameters]
    if not bends:
        return y
    return torch.where((torch.cat(bends, 1) != 0).any(1).view(-1, 1, 1, 1), warped(x, matrix), y)


def inverse(parameters: Mapping[str, Tensor], height: int, width: int) -> Tensor:
    """Return matrices [N, 3, 3] from places in the result to those in the image: pixels right and down from the middle, 1."""
    some = next(iter(parameters.values()))
    whole = torch.eye(3, dtype=some.dtype, device=some.device).repeat(len(some), 1, 1)
    for key in BLIT + GEOMETRY:  # what happens last is undone first: it stands at the right
        if key in parameters:
            whole = whole @ _undone(key, parameters[key], height, width)
    return whole


def _undone(key: str, value: Tensor, height: int, width: int) -> Tensor:
    matrix = torch.eye(3, dtype=value.dtype, device=value.device).repeat(len(value), 1, 1)
    match key:
        case "flip":
            matrix[:, 0, 0] = 1 - 2 * value
        case "scale":
            matrix[:, 0, 0] = matrix[:, 1, 1] = torch.exp2(-value)
        case "stretch":
            matrix[:, 0, 0], matrix[:, 1, 1] = torch.exp2(-value), torch.exp2(value)
        case "quarters" | "turn" | "turn_again":
            angle = math.pi / 2 * value if key == "quarters" else value
            matrix[:, 0, 0] = matrix[:, 1, 1] = angle.cos()
            matrix[:, 1, 0] = angle.sin()
            matrix[:, 0, 1] = -angle.sin()
        case "shift":
            matrix[:, 0, 2], matrix[:, 1, 2] = -(value[:, 0] * width).round(), -(value[:, 1] * height).round()
        case "slide":
            matrix[:, 0, 2], matrix[:, 1, 2] = -value[:, 0] * width, -value[:, 1] * height
    return matrix


def copied(x: Tensor, matrix: Tensor) -> Tensor:
    """Return x as the matrices [N, 3, 3] move it, each pixel that of the nearest place; outside the image is its mirror."""
    n, c, h, w = x.shape
    right, down = (_mirrored(place, side) for place, side in
                   zip(_places(matrix, torch.arange(w, device=x.device), torch.arange(h, device=x.device), w, h),
                       (w, h), strict=True))
    index = (down * w + right).view(n, 1, h * w).expand(-1, c, -1)
    return x.flatten(2).gather(2, index).view(n, c, h, w)


def warped(x: Tensor, matrix: Tensor) -> Tensor:
    """Return x as the matrices [N, 3, 3] move it, resampled: twice as fine, bilinearly there, and coarse again.

    The filter is that of the authors' code.  It reads whole periods of the image's mirrored continuation, where that code
    pads as far as this batch's matrices reach (and has to wait for the device to know).
    """
    h, w = x.shape[2:]
    fine = _finer(h, x.dtype, x.device) @ x @ _finer(w, x.dtype, x.device).mT  # [N, C, 4 (H - 1) + 1, 4 (W - 1) + 1]
    columns, rows = (torch.arange(-REACH, 2 * side + REACH, device=x.device) / 2 for side in (w, h))
    right, down = _places(matrix, columns, rows, w, h)  # [N, 2 H + 10, 2 W + 10]
    grid = torch.stack([torch.remainder(place, 2 * (side - 1)) / (side - 1) - 1
                        for place, side in ((right, w), (down, h))], -1)
    fine = _Sampled.apply(fine, grid)
    return _coarser(h, x.dtype, x.device) @ fine @ _coarser(w, x.dtype, x.device).mT


def _places(matrix: Tensor, right: Tensor, down: Tensor, width: int, height: int) -> tuple[Tensor, Tensor]:
    """Return where in the image pixels of the result at these columns [U] and rows [V] come from: columns, rows [N, V, U]."""
    right, down = right.to(matrix.dtype) - (width - 1) / 2, down.to(matrix.dtype) - (height - 1) / 2
    sources = [row[:, 0, None, None] * right[None, None, :] + row[:, 1, None, None] * down[None, :, None]
               + row[:, 2, None, None] for row in matrix[:, :2].unbind(1)]
    return sources[0] + (width - 1) / 2, sources[1] + (height - 1) / 2


def _mirrored(place: Tensor, side: int) -> Tensor:
    """Return the nearest pixel's number in the image, whose continuation is its mirror image (without the edge again)."""
    number = torch.remainder(place.round().long(), 2 * (side - 1))
    return torch.minimum(number, 2 * (side - 1) - number)


@lru_cache(maxsize=64)
def _finer(side: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the matrix [4 (side - 1) + 1, side] to twice as many samples of one period, the first one again at its end.

    Sample m of it lies at pixel m / 2, as in the authors' code (whose filter is a tenth of a sample off that).
    """
    period = 2 * (side - 1)
    matrix = torch.zeros(2 * period + 1, side, dtype=torch.float64, device="cpu")
    for m in range(2 * period + 1):
        for tap, weight in enumerate(SYM6):
            if (m + REACH - tap) % 2 == 0:
                k = (m + REACH - tap) // 2 % period
                matrix[m, min(k, period - k)] += math.sqrt(2) * weight
    return matrix.to(dtype).to(device)


@lru_cache(maxsize=64)
def _coarser(side: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the matrix [side, 2 side + 10] to every second sample, of samples that begin REACH before the first pixel."""
    matrix = torch.zeros(side, 2 * side + 2 * REACH, dtype=torch.float64, device="cpu")
    for tap, weight in enumerate(SYM6):
        matrix[:, tap:2 * side + tap:2].fill_diagonal_(weight / math.sqrt(2))
    return matrix.to(dtype).to(device)


class _Kept(Protocol):
    """What torch hands to these functions: FunctionCtx does not say that it has saved tensors and room for a shape."""

    saved_tensors: tuple[Tensor, ...]
    shape: torch.Size

    def save_for_backward(self, *tensors: Tensor) -> None: ...


class _Sampled(torch.autograd.Function):
    """Bilinear samples at fixed places; torch differentiates its own twice only from 2.12 on."""

    @staticmethod
    def forward(ctx: _Kept, x: Tensor, grid: Tensor) -> Tensor:
        ctx.save_for_backward(grid)
        ctx.shape = x.shape
        return grid_sample(x, grid, align_corners=True)

    @staticmethod
    def backward(ctx: _Kept, gradient: Tensor) -> tuple[Tensor, None]:
        return _Spread.apply(gradient, *ctx.saved_tensors, ctx.shape), None


class _Spread(torch.autograd.Function):
    """The transpose of _Sampled."""

    @staticmethod
    def forward(ctx: _Kept, y: Tensor, grid: Tensor, shape: torch.Size) -> Tensor:
        ctx.save_for_backward(grid)
        values = y.new_empty(shape)  # which only the gradient of the places would read
        return torch.ops.aten.grid_sampler_2d_backward(y, values, grid, 0, 0, True, [True, False])[0]

    @staticmethod
    def backward(ctx: _Kept, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _Sampled.apply(gradient, *ctx.saved_tensors), None, None
