"""The device that is really used, its precision, and settings of the process that make it fast."""

import ctypes
import os
import platform
import sys

import torch

from gancli.capacity import ALLOCATED, cores
from gancli.errors import UserError, near

DEVICES = ("auto", "cpu", "cuda", "mps")
KEEP_BYTES = 1 << 30  # freed memory that the C library keeps for the next allocation
OLD_KEEP_BYTES = 1 << 25


def _available() -> list[str]:
    names = ["cpu"]
    if torch.cuda.is_available():
        names = [*(f"cuda:{i}" for i in range(torch.cuda.device_count())), "cuda", *names]
    if torch.backends.mps.is_available():
        names.insert(0, "mps")
    return names


def pick_device(name: str) -> torch.device:
    """Return the device called `name`; auto takes a GPU if there is one.

    Raises:
        UserError: the device does not exist here; there is never a silent fallback.
    """
    available = _available()
    if name == "auto":
        return torch.device("cuda" if "cuda" in available else available[0])
    if name in available:
        return torch.device(name)
    if name.split(":")[0] not in DEVICES:
        raise UserError(f"device={name} is not a device; {near(name, DEVICES)}")
    raise UserError(f"device={name} is not available here (there is {', '.join(available)}): use device=auto.")


def describe_device(device: torch.device) -> str:
    """Return the device in words for the screen and the record."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    if device.type == "cpu":
        return f"cpu ({torch.get_num_threads()} threads)"
    return str(device)


def has_native_bf16(device: torch.device) -> bool:
    """Whether the hardware multiplies bfloat16 itself (and does not emulate it)."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu" and platform.machine() in ("x86_64", "AMD64"):
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return False


def pick_precision(name: str, device: torch.device) -> str:
    """Return fp32 or bf16 for auto, fp32 or bf16."""
    if name == "auto":
        return "bf16" if has_native_bf16(device) else "fp32"
    return name


def keep_freed_memory() -> None:
    """Stop glibc from giving each freed activation back to the kernel, whose page faults dominate small CPU networks."""
    try:
        library = ctypes.CDLL("libc.so.6")
        mmap_threshold, trim_threshold = -3, -1
        if not library.mallopt(mmap_threshold, KEEP_BYTES):  # older versions take at most half a heap
            library.mallopt(mmap_threshold, OLD_KEEP_BYTES)
        library.mallopt(trim_threshold, KEEP_BYTES)
    except (OSError, AttributeError):
        return  # another C library: nothing to set


def start_quickly() -> None:
    """Keep torch's optimizers from importing its compiler, which this process does not use, at their first call.

    They are wrapped so that the compiler leaves them alone, and the wrapper imports it (1 to 2 s) to find out how.
    """
    if "torch._dynamo" in sys.modules:
        return
    for method in vars(torch.optim.Optimizer).values():
        wrapped = getattr(method, "__wrapped__", None)
        if wrapped is not None and getattr(method, "__module__", "").startswith("torch."):
            wrapped.__dynamo_disable = wrapped


def count_ranks(devices: str, device: torch.device, named: str) -> int:
    """Return how many ranks `devices` (a number, or all) means: one a GPU; on the CPU, where ranks share the cores, all is 1.

    Args:
        device: what `device=` stands for here.
        named: what it says, for messages.

    Raises:
        UserError: there are not so many.
    """
    kind = {"cuda": "GPU", "cpu": "core"}.get(device.type, device.type)
    there = {"cuda": torch.cuda.device_count, "cpu": cores}.get(device.type, lambda: 1)()
    if devices == "all":
        return there if device.type == "cuda" and device.index is None else 1
    ranks = int(devices)
    if ranks > 1 and device.index is not None:
        raise UserError(f"device={named} is one device and devices={ranks} needs more: give device={device.type}.")
    if ranks > there:
        less = f"devices={there} or less" if there > 1 else "devices=1"
        whose = "that Slurm has given this job" if ALLOCATED in os.environ else "of this machine"
        raise UserError(f"devices={ranks} is more than the {there} {kind}{'' if there == 1 else 's'} {whose}: give {less}.")
    return ranks


def share_cores(ranks: int) -> None:
    """Give each of so many processes of this machine its part of the cores, unless the environment says how many threads."""
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, cores() // ranks))
