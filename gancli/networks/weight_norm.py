"""Layers whose weights are a direction times a gain, started from the data (Salimans & Kingma 2016, 1602.07868).

An output is gain * (V x) / |V| + bias.  Gains and biases start so that each output has mean 0 and a given deviation over a
batch (section 3 there), layer by layer, by one pass inside of `initializing`.

Legend: N batch, C outputs (units or channels).
"""

import torch
from torch import Tensor, nn

from gancli.gradients import Switch

LEAST_DEVIATION = 1e-6  # an output that is the same for a whole batch is not divided by 0

initializing = Switch()  # this pass sets gains and biases


class WeightNorm(nn.Module):
    """A linear map or convolution without bias, its weights normalized for each output, then gain and bias."""

    gain: Tensor

    def __init__(self, layer: nn.Module, outputs: int, trained_gain: bool = False, spread: float | None = 1.0,
                 eps: float = 0.0) -> None:
        """Wrap a layer.

        Args:
            layer: nn.Linear, nn.Conv2d or nn.ConvTranspose2d; its weight is the direction V.
            trained_gain: whether the gain is learned, or stays as it starts.
            spread: the outputs' deviation over the batch that they start from; None: gain 1 and bias 0, whatever the data.
            eps: added to |V|^2.
        """
        super().__init__()
        self.layer, self.spread, self.eps = layer, spread, eps
        self.output_side = 1 if isinstance(layer, nn.ConvTranspose2d) else 0  # of the weight
        if trained_gain:
            self.gain = nn.Parameter(torch.ones(outputs))
        else:
            self.register_buffer("gain", torch.ones(outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:  # [N, ...] -> [N, C, ...]
        """Return the outputs; the multiplier is put on them, which are fewer than the weights."""
        y = self.layer(x)
        y = y * _wide(self.multiplier(), y)
        if initializing.on and self.spread is not None:
            self._start(y)
            return (y - _wide(y.mean(_rest(y)), y)) * _wide(self._factor(y), y)
        return y + _wide(self.bias, y)

    def multiplier(self) -> Tensor:
        """Return gain / |V| of each output, [C]."""
        weight = self.layer.weight
        sides = [side for side in range(weight.dim()) if side != self.output_side]
        return self.gain / (weight.square().sum(sides) + self.eps).sqrt()

    @torch.no_grad()
    def _start(self, y: Tensor) -> None:
        factor = self._factor(y)
        self.gain.mul_(factor)
        self.bias.copy_(-y.mean(_rest(y)) * factor)

    def _factor(self, y: Tensor) -> Tensor:
        assert self.spread is not None  # the caller has looked
        return self.spread / y.float().std(_rest(y), correction=0).clamp_min(LEAST_DEVIATION)


def _rest(y: Tensor) -> list[int]:
    return [side for side in range(y.dim()) if side != 1]


def _wide(values: Tensor, y: Tensor) -> Tensor:
    """Return a value for each output [C] so that it multiplies y [N, C, ...] in its precision."""
    return values.to(y.dtype).view(1, -1, *[1] * (y.dim() - 2))
