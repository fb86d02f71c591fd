"""Layers that several backbones share: normalizations by name, maxout, dropout, and what mixes the examples of a batch."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gancli.errors import UserError
from gancli.gradients import halves_apart
from gancli.ranks import shards

NORMS = ("batch", "layer", "instance", "none")


def norm_layer(kind: str, channels: int, affine: bool = True) -> nn.Module:
    """Return the normalization `kind` for [N, C, H, W] or [N, C].

    layer is GroupNorm with one group, which normalizes each example over (C, H, W) and is what Gulrajani 2017
    (section 4) puts in place of batch norm; instance normalizes each channel of each example (Ulyanov 2016).
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
    """Batch norm over everything but dimension 1 (Ioffe & Szegedy 2015), of this rank's examples or of all ranks'."""

    synchronized = False
    halves_apart = True  # obeys the switch of that name

    def forward(self, x: Tensor) -> Tensor:
        normalized = self._over_ranks if self.synchronized and self.training and shards.world() > 1 else super().forward
        if not (halves_apart.on and self.training):
            return normalized(x)
        return torch.cat([normalized(half) for half in x.chunk(2)])

    def _check_input_dim(self, x: Tensor) -> None:
        if x.dim() < 2:
            raise ValueError(f"batch norm needs [N, C, ...], not {tuple(x.shape)}")

    def _over_ranks(self, x: Tensor) -> Tensor:
        self._check_input_dim(x)
        mean, variance = self._statistics(x.float())
        scale = (variance + self.eps).rsqrt() if self.weight is None else self.weight * (variance + self.eps).rsqrt()
        shift = -mean * scale if self.bias is None else self.bias - mean * scale
        wide = (1, -1, *[1] * (x.dim() - 2))
        return (x * scale.view(wide) + shift.view(wide)).to(x.dtype)

    def _statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return each channel's mean and variance over all ranks' examples [C], and move the running ones.

        Every rank has as many examples, so that the mean of the means is the mean; one exchange, of 2 C numbers.
        """
        rest = [0, *range(2, x.dim())]
        means, variances = shards.stacked(torch.stack((x.mean(rest), x.var(rest, correction=0)))).unbind(1)  # [W, C] each
        mean = means.mean(0)
        variance = variances.mean(0) + (means - mean).square().mean(0)
        if self.track_running_stats:
            count = shards.world() * x.numel() // x.shape[1]
            with torch.no_grad():
                self.num_batches_tracked.add_(1)
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        return mean, variance


def synchronize_batch_norm(module: nn.Module) -> None:
    """Let every batch norm take its statistics over all ranks' examples; a UserError for a kind that cannot."""
    for name, part in module.named_modules():
        if isinstance(part, _BatchNormAnyDim):
            part.synchronized = True
        elif isinstance(part, _BatchNorm) and not isinstance(part, nn.SyncBatchNorm):
            raise UserError(f"trainer.sync_batch_norm=true: {name} is a {type(part).__name__} of torch, which cannot be "
                            "synchronized: build it by gancli.networks.layers.norm_layer, or leave the setting false.")


class Dropout(nn.Dropout):
    """Dropout whose mask is this rank's slice of the whole batch's."""

    def forward(self, x: Tensor) -> Tensor:
        return shards.dropout(x, self.p, self.training)


class GaussianNoise(nn.Module):
    """Noise of a standard deviation on every value while training; this rank's slice of the whole batch's."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        return x + self.std * shards.randn_like(x) if self.training and self.std else x


@contextmanager
def statistics_kept(module: nn.Module) -> Iterator[None]:
    """Let batch norms normalize by their batch as ever and leave their running statistics as they are."""
    norms = [part for part in module.modules() if isinstance(part, _BatchNorm)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, before, strict=True):
            norm.momentum = momentum


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
