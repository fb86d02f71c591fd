"""The strided convolutions of Radford 2016 (4x4, stride 2, padding 1), with faster gradients on a CPU.

Halving and Doubling are nn.Conv2d and nn.ConvTranspose2d: the same parameters, the same numbers up to rounding.  Two
of the library's kernels are slow where GANs are small: a transposed convolution to one or three channels (a generator's
last layer, and the image gradient of a discriminator's first), and the weight gradient of wide layers over small maps.
The first becomes a 2x2 convolution to all four pixels of a cell at once, the second one matrix product.  scripts/bench
times both against the library's kernels.

Legend: N batch, C channels, H height, W width of the larger map; h = H / 2, w = W / 2; F channels of the smaller map.
"""

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional

from gancli.gradients import inputs_only, library_kernels

KERNEL, STRIDE, PADDING = 4, 2, 1
FEW_CHANNELS = 8  # of the larger map, up to which the 2x2 convolution is faster
SMALL_MAP, MANY_CHANNELS = 64, 64  # pixels h w at most and channels C at least where, in bf16, the matrix product is faster


class Halving(nn.Conv2d):
    """4x4 convolution with stride 2 and padding 1: [N, C, H, W] -> [N, F, H/2, W/2] (rounded down)."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, KERNEL, STRIDE, PADDING, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        if _plain(x) or x.shape[2] % 2 or x.shape[3] % 2:
            return super().forward(x)
        return _Halve.apply(_cast(x), _cast(self.weight), None if self.bias is None else _cast(self.bias))


class Doubling(nn.ConvTranspose2d):
    """4x4 transposed convolution with stride 2 and padding 1: [N, F, h, w] -> [N, C, 2h + odd, 2w + odd].

    Args:
        odd: 1 where the larger map's height, or width, is odd.
    """

    def __init__(self, inputs: int, outputs: int, bias: bool = True, odd: tuple[int, int] = (0, 0)) -> None:
        super().__init__(inputs, outputs, KERNEL, STRIDE, PADDING, output_padding=odd, bias=bias)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        if _plain(x) or output_size is not None or any(self.output_padding):
            return super().forward(x, output_size)
        return _Double.apply(_cast(x), _cast(self.weight), None if self.bias is None else _cast(self.bias))


class _Halve(Function):
    """A convolution whose gradients are computed by the functions below; differentiable as often as one likes."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        x = _channels_last(x)
        ctx.save_for_backward(x, weight)
        return functional.conv2d(x, weight, bias, STRIDE, PADDING)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        x, weight = ctx.saved_tensors
        wants_x, wants_weight, wants_bias = _wanted(ctx)
        return (_Double.apply(gradient, weight, None) if wants_x else None,
                weight_gradient(x, gradient, weight) if wants_weight else None,
                gradient.sum((0, 2, 3)) if wants_bias else None)


class _Double(Function):
    """The transpose of _Halve."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        if weight.shape[1] <= FEW_CHANNELS:
            return doubled(x, weight, bias)
        return functional.conv_transpose2d(x, weight, bias, STRIDE, PADDING)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        x, weight = ctx.saved_tensors
        wants_x, wants_weight, wants_bias = _wanted(ctx)
        return (_Halve.apply(gradient, weight, None) if wants_x else None,
                weight_gradient(gradient, x, weight) if wants_weight else None,
                gradient.sum((0, 2, 3)) if wants_bias else None)


def doubled(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return the transposed convolution of x [N, F, h, w] with weight [F, C, 4, 4]: [N, C, 2h, 2w].

    The output pixel 2k + p - 1 is reached by the taps p (from input pixel k) and p + 2 (from k - 1), k = 0 ... h: a 2x2
    convolution gives the four pixels (p, q) of every cell of a grid that is shifted by one, and its border is cut off.
    """
    n, features, h, w = x.shape
    channels = weight.shape[1]
    taps = weight.view(features, channels, 2, 2, 2, 2).flip(2, 4)  # [F, C, from k - 1 or k, p, the same, q]
    taps = taps.permute(3, 5, 1, 0, 2, 4).reshape(4 * channels, features, 2, 2)  # [(p, q, C), F, 2, 2]
    bias = None if bias is None else bias.repeat(4)
    cells = functional.conv2d(_channels_last(x), taps.contiguous(memory_format=torch.channels_last), bias, padding=1)
    cells = cells.permute(0, 2, 3, 1).reshape(n, h + 1, w + 1, 2, 2, channels)
    pixels = cells.transpose(2, 3).reshape(n, 2 * h + 2, 2 * w + 2, channels)
    return _channels_last(pixels[:, 1:-1, 1:-1].permute(0, 3, 1, 2))


def weight_gradient(larger: Tensor, smaller: Tensor, weight: Tensor) -> Tensor:
    """Return sum over examples and places of smaller [N, F, h, w] times the 4x4 windows of larger [N, C, 2h, 2w].

    It is the gradient of both layers' weights [F, C, 4, 4].
    """
    channels, features, h, w = larger.shape[1], *smaller.shape[1:]
    if larger.dtype != torch.bfloat16 or h * w > SMALL_MAP or channels < MANY_CHANNELS:
        return torch.ops.aten.convolution_backward(smaller, larger, weight, None, [STRIDE] * 2, [PADDING] * 2, [1, 1],
                                                   False, [0, 0], 1, [False, True, False])[1]
    padded = functional.pad(larger.permute(0, 2, 3, 1), (0, 0, PADDING, PADDING, PADDING, PADDING))  # [N, H+2, W+2, C]
    step = padded.stride()
    windows = padded.as_strided((len(padded), h, w, KERNEL, KERNEL, channels),
                                (step[0], STRIDE * step[1], STRIDE * step[2], step[1], step[2], step[3]))
    columns = windows.reshape(-1, KERNEL * KERNEL * channels)  # [N h w, 16 C]
    rows = smaller.permute(0, 2, 3, 1).reshape(-1, features)  # [N h w, F]
    return (rows.t() @ columns).view(features, KERNEL, KERNEL, channels).permute(0, 3, 1, 2)


def _plain(x: Tensor) -> bool:
    return x.device.type != "cpu" or library_kernels.on


def _wanted(ctx) -> tuple[bool, bool, bool]:
    """Return whether the gradients of input, weight and bias are wanted."""
    x, weight, bias = ctx.needs_input_grad
    weights = not inputs_only.on
    return x, weight and weights, bias and weights


def _cast(tensor: Tensor) -> Tensor:
    """Do what autocast does for a convolution; it does not look into a Function."""
    device = tensor.device.type
    return tensor.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else tensor


def _channels_last(x: Tensor) -> Tensor:
    """Return x with the channels innermost in memory; one channel is that in any case and only has to say so."""
    if x.shape[1] == 1 and x.is_contiguous():
        return x.as_strided(x.shape, (x.shape[2] * x.shape[3], 1, x.shape[3], 1))
    return x.contiguous(memory_format=torch.channels_last)
