"""Virtual batch normalization: each example is normalized beside a fixed batch of others (Salimans 2016, section 3.5).

Legend: N batch, R reference examples, C channels.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

EPSILON = 1e-5
REFERENCE = "reference{}"  # buffers of a network: the inputs that its own examples stand behind, kept in the checkpoint


class VirtualBatchNorm(nn.Module):
    """Statistics of an example are those of the reference batch and itself, R + 1 examples in which all weigh alike.

    The first R rows of what it takes are the reference batch, whose own statistics those rows are normalized by; of maps an
    example's statistics are those of its pixels.  Deviations are sqrt(1e-5 + E x^2 - (E x)^2), as in the authors' code
    (openai/improved-gan, imagenet/ops.py).
    """

    def __init__(self, norm: _BatchNorm, references: int) -> None:
        """Take the place of a batch norm, with its gain and bias."""
        super().__init__()
        self.references = references
        self.weight, self.bias = norm.weight, norm.bias

    def forward(self, x: Tensor) -> Tensor:  # [R + N, C, ...]
        exact = x if x.dtype == torch.float64 else x.float()
        pixels = exact.reshape(*exact.shape[:2], -1)
        own = torch.stack((pixels.mean(2), pixels.square().mean(2)))  # [2, R + N, C]
        n = self.references
        reference = own[:, :n].mean(1, keepdim=True)
        mean, square = torch.cat((reference.expand(-1, n, -1), (own[:, n:] + n * reference) / (n + 1)), 1)
        scale = (EPSILON + (square - mean.square()).clamp_min(0)).rsqrt()
        if self.weight is not None:
            scale = self.weight * scale
        shift = -mean * scale if self.bias is None else self.bias - mean * scale
        wide = (*scale.shape, *[1] * (x.dim() - 2))
        return (exact * scale.view(wide) + shift.view(wide)).to(x.dtype)


def virtually_normalize(network: nn.Module, inputs: Sequence[Tensor], references: int) -> None:
    """Put virtual batch norms in place of all batch norms of a network, which then takes its reference batch along.

    Args:
        inputs: such as the network takes, [m, ...] each.
    """
    for part in list(network.modules()):
        for name, child in list(part.named_children()):
            if isinstance(child, _BatchNorm):
                setattr(part, name, VirtualBatchNorm(child, references))
    for i, x in enumerate(inputs):
        network.register_buffer(REFERENCE.format(i), x.new_zeros(references, *x.shape[1:]))
    network.register_forward_pre_hook(_with_reference)
    network.register_forward_hook(_without_reference)


def has_batch_norm(network: nn.Module) -> bool:
    """Whether a network has a batch norm that a virtual one could take the place of."""
    return any(isinstance(part, _BatchNorm) for part in network.modules())


def reference_of(network: nn.Module) -> list[Tensor]:
    """Return a network's reference batch, one tensor [R, ...] an input; none if it has none."""
    found: list[Tensor] = []
    while isinstance(buffer := getattr(network, REFERENCE.format(len(found)), None), Tensor):
        found.append(buffer)
    return found


def _with_reference(network: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    reference = iter(reference_of(network))
    return tuple(torch.cat((next(reference).to(x.dtype), x)) if isinstance(x, Tensor) else x for x in inputs)


def _without_reference(network: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
    n = len(reference_of(network)[0])
    return output[n:] if isinstance(output, Tensor) else tuple(part[n:] for part in output)
