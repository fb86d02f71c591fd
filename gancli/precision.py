"""Computing in float32 where a run's networks compute in bfloat16."""

from contextlib import AbstractContextManager, nullcontext

import torch


def in_full(device: torch.device) -> AbstractContextManager:
    """Return a context without autocast, whose products must not be rounded (the meta device has none)."""
    return nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)
