"""The strided convolutions of DCGAN (stride 2), with faster gradients on a CPU.

Kernels are 5x5 as in figure 1 and the code of Radford 2016, or 4x4 as in its port to Torch (soumith/dcgan.torch), which
most later code follows.

Halving and Doubling are nn.Conv2d and nn.ConvTranspose2d: the same parameters, the same numbers up to rounding.  Two
of the library's kernels are slow where GANs are small: a transposed convolution to one or three channels (a generator's
last layer, and the image gradient of a discriminator's first), and the weight gradient of wide layers over small maps.
The first becomes a 2x2 or 3x3 convolution to all four pixels of a cell at once, the second one matrix product.
scripts/bench times both against the library's kernels.

Legend: N batch, C channels, H height, W width of the larger map; h = H / 2, w = W / 2; F channels of the smaller map;
K the kernel's side.
"""

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional

from gancli.gradients import inputs_only, library_kernels
from gancli.networks.maps import as_computed, channels_last

KERNELS, STRIDE = (4, 5), 2
FEW_CHANNELS = 8  # of the larger map, up to which the convolution to whole cells is faster
SMALL_MAP, MANY_CHANNELS = 64, 64  # pixels h w at most and channels C at least where, in bf16, the matrix product is faster


def check_kernel(key: str, kernel: int) -> None:
    """Raise a ValueError naming `key` unless there are such kernels."""
    if kernel not in KERNELS:
        raise ValueError(f"{key} must be {' or '.join(map(str, KERNELS))}, not {kernel}")


def padding_of(kernel: int) -> int:
    """Return the padding that lets a window of that side halve a map: 1 for 4x4, 2 for 5x5."""
    return (kernel - 1) // 2


class Halving(nn.Conv2d):
    """Convolution with stride 2: [N, C, H, W] -> [N, F, H/2, W/2] (rounded down)."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True, kernel: int = 4) -> None:
        super().__init__(inputs, outputs, kernel, STRIDE, padding_of(kernel), bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        h, w = x.shape[2] // 2, x.shape[3] // 2
        if _plain(x) or x.shape[2] % 2 or x.shape[3] % 2:
            return super().forward(x)[:, :, :h, :w]  # over an odd map 5x5 windows fit once more
        bias = None if self.bias is None else as_computed(self.bias)
        return _Halve.apply(channels_last(as_computed(x)), as_computed(self.weight), bias)


class Doubling(nn.ConvTranspose2d):
    """Transposed convolution with stride 2: [N, F, h, w] -> [N, C, 2h + odd, 2w + odd], the transpose of Halving.

    Args:
        odd: 1 where the larger map's height, or width, is odd.
    """

    def __init__(self, inputs: int, outputs: int, bias: bool = True, odd: tuple[int, int] = (0, 0), kernel: int = 4) -> None:
        super().__init__(inputs, outputs, kernel, STRIDE, padding_of(kernel), _more(kernel, odd), bias=bias)
        self.odd = odd

    def forward(self, x: Tensor) -> Tensor:
        if _plain(x) or any(self.odd):
            return _transposed(x, self.weight, self.bias, self.odd)
        return _Double.apply(as_computed(x), as_computed(self.weight), None if self.bias is None else as_computed(self.bias))


def _more(kernel: int, odd: tuple[int, int]) -> tuple[int, int]:
    """Return the rows and columns that the padded windows do not reach from the last pixel of the smaller map."""
    return odd[0] + kernel % 2, odd[1] + kernel % 2


def _transposed(x: Tensor, weight: Tensor, bias: Tensor | None, odd: tuple[int, int] = (0, 0)) -> Tensor:
    """Return the library's transposed convolution of x [N, F, h, w] with weight [F, C, K, K]: [N, C, 2h + odd, 2w + odd]."""
    kernel = weight.shape[-1]
    padding, more = padding_of(kernel), _more(kernel, odd)
    if max(more) < STRIDE:  # all that the library allows
        return functional.conv_transpose2d(x, weight, bias, STRIDE, padding, more)
    h, w = (STRIDE * size + side for size, side in zip(x.shape[2:], odd, strict=True))
    return functional.conv_transpose2d(x, weight, bias, STRIDE)[:, :, padding:padding + h, padding:padding + w]


class _Halve(Function):
    """A convolution whose gradients are computed by the functions below; differentiable as often as one likes."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)  # what is saved is what came in, else nothing could be differentiated through it
        return functional.conv2d(x, weight, bias, STRIDE, padding_of(weight.shape[-1]))

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
        return _transposed(x, weight, bias)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        x, weight = ctx.saved_tensors
        wants_x, wants_weight, wants_bias = _wanted(ctx)
        return (_Halve.apply(channels_last(gradient), weight, None) if wants_x else None,
                weight_gradient(gradient, x, weight) if wants_weight else None,
                gradient.sum((0, 2, 3)) if wants_bias else None)


def doubled(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return the transposed convolution of x [N, F, h, w] with weight [F, C, K, K]: [N, C, 2h, 2w].

    One convolution gives the four pixels (p, q) of every cell.  With 5x5 taps the output pixel 2k + p is reached by the
    taps p (from input pixel k + 1), p + 2 (from k) and p + 4 (from k - 1; there is no fifth), k = 0 ... h - 1.  With 4x4
    taps the pixel 2k + p - 1 is reached by p (from k) and p + 2 (from k - 1), k = 0 ... h: the grid of cells is shifted by
    one, and its border is cut off.
    """
    n, features, h, w = x.shape
    channels, kernel = weight.shape[1:3]
    reach, shift = (kernel + 1) // 2, 1 - kernel % 2  # input pixels a side that reach a cell
    taps = functional.pad(weight, (0, kernel % 2, 0, kernel % 2))
    taps = taps.view(features, channels, reach, 2, reach, 2).flip(2, 4)  # [F, C, from the first to the last, p, the same, q]
    taps = taps.permute(3, 5, 1, 0, 2, 4).reshape(4 * channels, features, reach, reach)  # [(p, q, C), F, reach, reach]
    bias = None if bias is None else bias.repeat(4)
    cells = functional.conv2d(channels_last(x), taps.contiguous(memory_format=torch.channels_last), bias, padding=1)
    cells = cells.permute(0, 2, 3, 1).reshape(n, h + shift, w + shift, 2, 2, channels)
    pixels = cells.transpose(2, 3).reshape(n, 2 * (h + shift), 2 * (w + shift), channels)
    return channels_last(pixels[:, shift:shift + 2 * h, shift:shift + 2 * w].permute(0, 3, 1, 2))


def weight_gradient(larger: Tensor, smaller: Tensor, weight: Tensor) -> Tensor:
    """Return sum over examples and places of smaller [N, F, h, w] times the KxK windows of larger [N, C, 2h, 2w].

    It is the gradient of both layers' weights [F, C, K, K].
    """
    channels, features, h, w = larger.shape[1], *smaller.shape[1:]
    kernel = weight.shape[-1]
    padding = padding_of(kernel)
    if larger.dtype != torch.bfloat16 or h * w > SMALL_MAP or channels < MANY_CHANNELS:
        return torch.ops.aten.convolution_backward(smaller, larger, weight, None, [STRIDE] * 2, [padding] * 2, [1, 1],
                                                   False, [0, 0], 1, [False, True, False])[1]
    padded = functional.pad(larger.permute(0, 2, 3, 1), (0, 0, padding, 1, padding, 1))  # [N, H+K-2, W+K-2, C]
    step = padded.stride()
    windows = padded.as_strided((len(padded), h, w, kernel, kernel, channels),
                                (step[0], STRIDE * step[1], STRIDE * step[2], step[1], step[2], step[3]))
    columns = windows.reshape(-1, kernel * kernel * channels)  # [N h w, K K C]
    rows = smaller.permute(0, 2, 3, 1).reshape(-1, features)  # [N h w, F]
    return (rows.t() @ columns).view(features, kernel, kernel, channels).permute(0, 3, 1, 2)


def _plain(x: Tensor) -> bool:
    return x.device.type != "cpu" or library_kernels.on


def _wanted(ctx) -> tuple[bool, bool, bool]:
    """Return whether the gradients of input, weight and bias are wanted."""
    x, weight, bias = ctx.needs_input_grad
    weights = not inputs_only.on
    return x, weight and weights, bias and weights

