"""What the hardware can do, measured here and now, and what a step needs of it."""

import time
from collections.abc import Callable

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


def ceilings(device: torch.device, precision: str) -> tuple[float, float]:
    """Return (floating-point operations a second of a large matrix product, bytes a second of a large copy)."""
    side = SIDE[device.type]
    matrix = torch.randn(side, side, device=device, dtype=torch.bfloat16 if precision == "bf16" else torch.float32)
    product = 2 * side**3 / best_s(lambda: matrix @ matrix, device)
    source = torch.empty(COPIED_BYTES[device.type], dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return product, 2 * len(source) / best_s(lambda: target.copy_(source), device)  # read and written


class Needs(TorchDispatchMode):
    """Counts operations, and the bytes that operators read and write as if nothing stayed in a cache."""

    flops = traffic = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if func._overloadpacket in flop_registry:
            self.flops += flop_registry[func._overloadpacket](*args, **(kwargs or {}), out_val=result)
        if not any(view in str(func) for view in VIEWS):
            tensors = [leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, torch.Tensor)]
            self.traffic += sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        return result


def needs(step: Callable[[], object]) -> tuple[int, int]:
    """Return (floating-point operations, bytes) of one step, counted operator by operator."""
    with Needs() as counted:
        step()
    return counted.flops, counted.traffic
