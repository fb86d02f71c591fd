"""Computing in float32 where a run's networks compute in bfloat16, and the other way round."""

from contextlib import AbstractContextManager, nullcontext

import torch

COMPUTED = ("fp32", "bf16", "run")  # in what a trained model computes; run: as it was trained


def computing(precision: str, device: torch.device) -> AbstractContextManager:
    """Return a context in which networks compute in fp32 or bf16; weights and what comes out stay as they are."""
    return nullcontext() if precision == "fp32" else torch.autocast(device.type, torch.bfloat16)


def in_full(device: torch.device) -> AbstractContextManager:
    """Return a context without autocast, whose products must not be rounded (the meta device has none)."""
    return nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)
