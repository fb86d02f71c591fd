"""Convolutions that are fast to differentiate twice on a CPU, for penalties on gradients.

The library's second derivative of a convolution is a convolution by a kernel as large as the map, for each group apart,
after copies of all maps: most of a round with R1, R2 or WGAN-GP.  But the three sums that a convolution and its gradients are,
over taps, over outputs and over places, are each other's gradients, however often one differentiates.  The numbers are the
library's up to rounding.  Together with channels innermost (maps.py) and the filters of resampling.py they took R3GAN at 32x32
from 18 to 42 images a CPU second, and StyleGAN2 from 75 to 147 (conf/model's widths, bf16, one thread).

Legend: N batch, C channels and H, W sides of the larger maps, F channels and h, w of the smaller ones, K the kernel's side.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional

from gancli.gradients import inputs_only, library_kernels
from gancli.networks.maps import as_computed, channels_last


class _Law(NamedTuple):
    """What a convolution is beside its weights."""

    stride: int
    padding: int
    groups: int


class Convolution(nn.Conv2d):
    """nn.Conv2d with one stride and one padding for both sides."""

    def forward(self, x: Tensor) -> Tensor:
        return convolved(x, self.weight, self.bias, self.stride[0], int(self.padding[0]), self.groups)


def convolved(x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int = 1, padding: int = 0,
              groups: int = 1) -> Tensor:
    """Return what conv2d returns: x [N, C, H, W] and weight [F, C / groups, K, K] to [N, F, h, w]."""
    if _plain(x):
        return functional.conv2d(x, weight, bias, stride, padding, groups=groups)
    bias = None if bias is None else as_computed(bias)
    return _Convolve.apply(channels_last(as_computed(x)), as_computed(weight), bias, _Law(stride, padding, groups))


def transposed(x: Tensor, weight: Tensor, stride: int = 2, padding: int = 0) -> Tensor:
    """Return what conv_transpose2d returns: x [N, F, h, w], weight [F, C, K, K] to [N, C, H, W] without more padding."""
    if _plain(x):
        return functional.conv_transpose2d(x, weight, None, stride, padding)
    kernel = weight.shape[-1]
    height, width = ((side - 1) * stride - 2 * padding + kernel for side in x.shape[2:])
    return _Spread.apply(channels_last(as_computed(x)), as_computed(weight), (height, width), _Law(stride, padding, 1))


def _plain(x: Tensor) -> bool:
    return x.device.type != "cpu" or library_kernels.on


def _gradients(outputs: Tensor, inputs: Tensor, weight: Tensor, law: _Law, wanted: tuple[bool, bool]) -> Tensor:
    """Return the library's gradient of the inputs, or of the weight."""
    ways = [*wanted, False]
    found = torch.ops.aten.convolution_backward(outputs, inputs, weight, None, [law.stride] * 2, [law.padding] * 2, [1, 1],
                                                False, [0, 0], law.groups, ways)
    return found[ways.index(True)]


class _Convolve(Function):
    """The sum over taps: x [N, C, H, W], weight -> [N, F, h, w].

    Maps come with their channels innermost: through one that is converted in here and then saved nothing is differentiated.
    """

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None, law: _Law) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.law = law
        return functional.conv2d(x, weight, bias, law.stride, law.padding, groups=law.groups)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        x, weight = ctx.saved_tensors
        gradient = channels_last(gradient)
        wants_x, wants_weight, wants_bias, _ = ctx.needs_input_grad
        weights = not inputs_only.on
        return (_Spread.apply(gradient, weight, tuple(x.shape[2:]), ctx.law) if wants_x else None,
                _Weigh.apply(x, gradient, weight.shape, ctx.law) if wants_weight and weights else None,
                gradient.sum((0, 2, 3)) if wants_bias and weights else None, None)


class _Spread(Function):
    """The sum over outputs, that of a transposed convolution: y [N, F, h, w], weight -> [N, C, H, W]."""

    @staticmethod
    def forward(ctx, y: Tensor, weight: Tensor, size: tuple[int, int], law: _Law) -> Tensor:
        ctx.save_for_backward(y, weight)
        ctx.law = law
        shape = (len(y), weight.shape[1] * law.groups, *size)
        like = torch.empty(shape, dtype=y.dtype, device=y.device, memory_format=torch.channels_last)  # for its shape alone
        return _gradients(y, like, weight, law, (True, False))

    @staticmethod
    def backward(ctx, gradient: Tensor):
        y, weight = ctx.saved_tensors
        gradient = channels_last(gradient)
        wants_y, wants_weight, *_ = ctx.needs_input_grad
        return (_Convolve.apply(gradient, weight, None, ctx.law) if wants_y else None,
                _Weigh.apply(gradient, y, weight.shape, ctx.law) if wants_weight and not inputs_only.on else None, None, None)


class _Weigh(Function):
    """The sum over examples and places: x [N, C, H, W], y [N, F, h, w] -> [F, C / groups, K, K]."""

    @staticmethod
    def forward(ctx, x: Tensor, y: Tensor, shape: torch.Size, law: _Law) -> Tensor:
        ctx.save_for_backward(x, y)
        ctx.law = law
        return _gradients(y, x, y.new_empty(shape), law, (False, True))

    @staticmethod
    def backward(ctx, gradient: Tensor):
        x, y = ctx.saved_tensors
        wants_x, wants_y, *_ = ctx.needs_input_grad
        return (_Spread.apply(y, gradient, tuple(x.shape[2:]), ctx.law) if wants_x else None,
                _Convolve.apply(x, gradient, None, ctx.law) if wants_y else None, None, None)
