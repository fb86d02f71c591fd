"""The layers of Karras 2018: weights that learn at one speed, pixel norm, and the deviation within a minibatch.

Legend: N batch, C channels, H height, W width.
"""

import math

import torch
from torch import Tensor, nn

from gancli.gradients import halves_apart
from gancli.networks.second_order import convolved
from gancli.ranks import shards

GAIN = math.sqrt(2)  # He 2015, for rectifiers
EPSILON = 1e-8


class EqualizedLinear(nn.Linear):
    """A linear layer that stores weights N(0, 1) and uses them times gain / sqrt(inputs) (Karras 2018, section 4.1).

    Optimizers that divide by the gradient's size, as Adam does, then change all layers alike.
    """

    def __init__(self, inputs: int, outputs: int, gain: float = GAIN, rate: float = 1.0, bias: float = 0.0) -> None:
        """Build the layer.

        Args:
            rate: the layer learns at this part of the others' speed (Karras 2019, appendix C): weights N(0, 1 / rate^2).
            bias: at the start.
        """
        self.rate, self.start = rate, bias
        super().__init__(inputs, outputs)
        self.scale = gain * rate / math.sqrt(inputs)  # initialization.spectral_norm sets it to 1

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, 0.0, 1 / self.rate)
        nn.init.constant_(self.bias, self.start / self.rate)

    def forward(self, x: Tensor) -> Tensor:
        bias = self.bias if self.rate == 1 else self.bias * self.rate
        return nn.functional.linear(x, self.weight * self.scale, bias)


class EqualizedConv2d(nn.Conv2d):
    """The same for a convolution that keeps the size of its maps."""

    def __init__(self, inputs: int, outputs: int, kernel: int, gain: float = GAIN) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2)
        self.scale = gain / math.sqrt(inputs * kernel**2)

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor, gain: float = 1.0) -> Tensor:
        """Return [N, F, H, W] times `gain`: multiplied into weights and bias, it costs no pass over the maps."""
        bias = self.bias if self.bias is None or gain == 1 else self.bias * gain
        return convolved(x, self.weight * (self.scale * gain), bias, padding=int(self.padding[0]))


def pixel_norm(x: Tensor) -> Tensor:
    """Return [N, C, ...] with every pixel's features (or every latent) scaled to a mean square of 1 (Karras 2018, 4.2)."""
    scale = (x.float().square().mean(1, keepdim=True) + EPSILON).rsqrt()
    return x * scale.to(x.dtype)


class MinibatchStddev(nn.Module):
    """One map or number more: features' standard deviation over a group, averaged (Karras 2018, section 3).

    A batch is dealt out to groups in turn, as the authors' code does, of `group` examples, or of the most below that by
    which the batch can be divided; with group 0 it is one group, as in the paper.  Groups are of the whole batch, however
    many ranks share it.
    """

    mixes_examples = True
    halves_apart = True

    def __init__(self, group: int) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: Tensor) -> Tensor:  # [N, C, H, W] -> [N, C + 1, H, W], [N, C] -> [N, C + 1]
        parts = x.chunk(2) if halves_apart.on else (x,)
        deviations = torch.cat([self._deviations(part) for part in parts]).to(x.dtype)
        return torch.cat((x, deviations.view(-1, *[1] * (x.dim() - 1)).expand(-1, 1, *x.shape[2:])), 1)

    def _deviations(self, x: Tensor) -> Tensor:
        """Return the mean deviation in each example's group, [N] float32."""
        whole = shards.stacked(x.float()).flatten(0, 1)  # all ranks'
        most = min(self.group or len(whole), len(whole))
        size = next(size for size in range(most, 0, -1) if len(whole) % size == 0)
        groups = whole.unflatten(0, (size, -1))  # the examples of a group stand in one column
        deviations = (groups.var(0, correction=0) + EPSILON).sqrt().flatten(1).mean(1)
        return shards.mine(deviations.repeat(size))
