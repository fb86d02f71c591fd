"""Layers that several backbones share: normalisations by name, maxout, and what mixes the examples of a batch."""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gancli.gradients import halves_apart

NORMS = ("batch", "layer", "instance", "none")


def norm_layer(kind: str, channels: int, affine: bool = True) -> nn.Module:
    """Return the normalisation `kind` for [N, C, H, W] or [N, C].

    layer is GroupNorm with one group, which normalises each example over (C, H, W) and is what Gulrajani 2017
    (section 4) puts in place of batch norm; instance normalises each channel of each example (Ulyanov 2016).
    """
    match kind:
        case "batch":
            return _BatchNormAnyDim(channels, affine=affine)
        case "layer":
            return nn.GroupNorm(1, channels, affine=affine)
        case "instance":
            return nn.InstanceNorm2d(channels, affine=affine)
        case "none":
            return nn.Identity()
    raise ValueError(f"there is no norm called {kind}; there is {', '.join(NORMS)}")


class _BatchNormAnyDim(_BatchNorm):
    """Batch norm over everything but dimension 1 (Ioffe & Szegedy 2015)."""

    halves_apart = True  # obeys the switch of that name

    def forward(self, x: Tensor) -> Tensor:
        if not (halves_apart.on and self.training):
            return super().forward(x)
        return torch.cat([super(_BatchNormAnyDim, self).forward(half) for half in x.chunk(2)])

    def _check_input_dim(self, x: Tensor) -> None:
        if x.dim() < 2:
            raise ValueError(f"batch norm needs [N, C, ...], not {tuple(x.shape)}")


class Maxout(nn.Module):
    """The largest of `pieces` linear functions, [N, inputs] -> [N, units] (Goodfellow 2013, 1302.4389, eq. 1)."""

    def __init__(self, inputs: int, units: int, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces
        self.linear = nn.Linear(inputs, units * pieces)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).unflatten(1, (self.pieces, -1)).amax(1)


def mixes_examples(module: nn.Module) -> bool:
    """Whether an example's output depends on the rest of its batch (batch norm, minibatch layers).

    A layer of another kind says so by an attribute `mixes_examples = True`.
    """
    return any(map(_mixes, module.modules()))


def mixes_halves(module: nn.Module) -> bool:
    """Whether real and fake images must not share a forward pass, even with gancli.gradients.halves_apart.

    A layer that mixes examples, but then of each half of the batch alone, has an attribute `halves_apart = True`.
    """
    return any(_mixes(part) and not getattr(part, "halves_apart", False) for part in module.modules())


def _mixes(part: nn.Module) -> bool:
    return isinstance(part, _BatchNorm) or getattr(part, "mixes_examples", False)


def label_weights(labels: Tensor, classes: int) -> Tensor:
    """Return labels as weights over the classes, [N, classes] float32.

    Indices, [N] int64, become one-hot vectors, without waiting for the device; weights that already are floating
    (labels blended for an interpolation) are returned as they are.
    """
    if labels.is_floating_point():
        return labels
    return (labels[:, None] == torch.arange(classes, device=labels.device)).float()
