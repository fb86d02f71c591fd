"""Looking at a model without leaving a trace: whatever a look computes, training goes on as if there had been none."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Put every buffer (batch statistics, power iterations, pools, averages) back to what it was before the block."""
    before = [(buffer, buffer.clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in before:
                buffer.copy_(value)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Switch a model to evaluation and each of its modules back to what it was; its buffers stay untouched."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with untouched(model):
            yield
    finally:
        for module in training:
            module.training = True
