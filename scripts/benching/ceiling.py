"""What the hardware can do, measured here and now, and what a step needs of it."""

import time
from collections.abc import Callable, Sequence
from itertools import product
from math import prod

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

SIDE = {"cpu": 2048, "cuda": 8192}
COPIED_BYTES = {"cpu": 1 << 28, "cuda": 1 << 31}
VIEWS = ("view", "reshape", "permute", "transpose", "t.", "expand", "split", "chunk", "slice", "select", "detach", "alias",
         "as_strided", "unsqueeze", "squeeze", "unflatten", "unbind")


def synchronize(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def best_s(work: Callable[[], object], device: torch.device, repeats: int = 10) -> float:
    """Return the shortest of several timings in seconds, after a warm-up."""
    seconds = []
    for i in range(repeats + 2):
        synchronize(device)
        start = time.perf_counter()
        work()
        synchronize(device)
        seconds += [time.perf_counter() - start] if i > 1 else []
    return min(seconds)


def ceilings(device: torch.device, precision: str) -> tuple[float, float, float]:
    """Return what a second of the hardware has: operations of a large matrix product, useful ones of the best of some wide
    convolutions, and bytes of a large copy.
    """
    side, kind = SIDE[device.type], torch.bfloat16 if precision == "bf16" else torch.float32
    matrix = torch.randn(side, side, device=device, dtype=kind)
    multiplied = 2 * side**3 / best_s(lambda: matrix @ matrix, device)
    convolved = max(_convolution(device, kind, *shape) for shape in product((256, 512), (3, 5), (16, 32)))
    source = torch.empty(COPIED_BYTES[device.type], dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return multiplied, convolved, 2 * len(source) / best_s(lambda: target.copy_(source), device)  # read and written


@torch.no_grad()
def _convolution(device: torch.device, kind: torch.dtype, channels: int, kernel: int, side: int) -> float:
    """Return the useful operations a second of a convolution that keeps its sides."""
    images = torch.randn(64, channels, side, side, device=device, dtype=kind).contiguous(memory_format=torch.channels_last)
    layer = torch.nn.Conv2d(channels, channels, kernel, padding=kernel // 2, bias=False, device=device, dtype=kind)
    layer = layer.to(memory_format=torch.channels_last)
    shown = useful((side, side), (side, side), (kernel, kernel), (1, 1), (kernel // 2,) * 2, (1, 1))
    return 2 * len(images) * channels**2 * kernel**2 * side**2 * shown / best_s(lambda: layer(images), device, 3)


def useful(small: Sequence[int], large: Sequence[int], kernel: Sequence[int], stride: Sequence[int],
           padding: Sequence[int], dilation: Sequence[int]) -> float:
    """Return the share of a convolution's multiplications that is not with padding.

    Args:
        small: the sides at which the kernel stands: a convolution's output, a transposed one's input.
        large: the sides that it covers there: the input, of a transposed one the output.
    """
    taps = [sum(0 <= place * step - pad + tap * spread < side for place in range(places) for tap in range(size))
            for places, side, size, step, pad, spread in zip(small, large, kernel, stride, padding, dilation, strict=True)]
    return prod(taps) / (prod(small) * prod(kernel))


def _useful(packet: object, args: tuple, result: object) -> float:
    """Return the share of an operator's operations that is not with padding: 1 for all but convolutions."""
    if packet is torch.ops.aten.convolution:
        x, weight, _, stride, padding, dilation, transposed = args[:7]
        made = result
    elif packet is torch.ops.aten.convolution_backward:
        made, x, weight, _, stride, padding, dilation, transposed = args[:8]
    else:
        return 1.0
    sides = x.shape[2:], made.shape[2:]  # type: ignore[attr-defined]
    small, large = sides if transposed else sides[::-1]
    return useful(small, large, weight.shape[2:], stride, padding, dilation)


class Needs(TorchDispatchMode):
    """Counts operations, without those on padding too, and the bytes that operators move as if nothing stayed in a cache."""

    flops = useful = traffic = 0.0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if func._overloadpacket in flop_registry:
            flops = flop_registry[func._overloadpacket](*args, **(kwargs or {}), out_val=result)
            self.flops += flops
            self.useful += flops * _useful(func._overloadpacket, args, result)
        if not any(view in str(func) for view in VIEWS):
            tensors = [leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, torch.Tensor)]
            self.traffic += sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        return result


def needs(step: Callable[[], object]) -> Needs:
    """Return what one step needs, counted operator by operator."""
    with Needs() as counted:
        step()
    return counted
