"""Layers by which a discriminator sees a batch as a whole, and how they are put before a layer of a finished network.

Legend: N batch, A features, B kernels, C numbers that a kernel compares, h, w sides of a map.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from gancli.gradients import halves_apart
from gancli.networks.equalized import MinibatchStddev
from gancli.precision import in_full
from gancli.ranks import shards

DIRECTION_STD, FIRST_BIAS = 0.05, -1.0  # of the authors' code


class MinibatchDiscrimination(nn.Module):
    """B features more: o_b(i) = sum over j of exp(-d_b(i, j)), how close example i is to the others (Salimans 2016, 3.2).

    d_b is the L1 distance of C linear features.  As in the authors' code (openai/improved-gan, mnist_svhn_cifar10/nn.py)
    an example is not compared with itself, the linear maps are directions of unit length times exp(scale), and each o_b has
    a bias; the paper's sum has j = i, a constant 1.  Left out is that code's initialization of scales and biases by a first
    batch.  Of maps, their means over the pixels are compared, and the features are planes.  The batch is the whole batch,
    however many ranks share it; real and generated examples are compared among themselves.
    """

    mixes_examples = True
    halves_apart = True

    def __init__(self, features: int, kernels: int, size: int) -> None:
        super().__init__()
        self.direction = nn.Parameter(DIRECTION_STD * torch.randn(features, kernels, size))
        self.scale = nn.Parameter(torch.zeros(kernels, size))
        self.bias = nn.Parameter(torch.full((kernels,), FIRST_BIAS))

    def forward(self, x: Tensor) -> Tensor:  # [N, A] -> [N, A + B], [N, A, h, w] -> [N, A + B, h, w]
        parts = x.chunk(2) if halves_apart.on else (x,)
        closeness = torch.cat([self.closeness(part.flatten(2).mean(2) if part.dim() > 2 else part) for part in parts])
        wide = closeness.to(x.dtype).view(*closeness.shape, *[1] * (x.dim() - 2))
        return torch.cat((x, wide.expand(-1, -1, *x.shape[2:])), 1)

    def closeness(self, x: Tensor) -> Tensor:
        """Return o + bias [N, B] of features [N, A], in float32 or more."""
        matrix = self.direction / self.direction.norm(dim=0) * self.scale.exp()
        with in_full(x.device):
            compared = (x.to(matrix.dtype) @ matrix.flatten(1)).view(-1, *matrix.shape[1:])  # [N, B, C]
        others = shards.stacked(compared).flatten(0, 1)  # all ranks'
        mine, theirs = compared.permute(2, 1, 0).contiguous(), others.permute(2, 1, 0).contiguous()  # pairs innermost: fast
        distances = (mine[..., None] - theirs[..., None, :]).abs().sum(0)  # [B, N, all]
        return (-distances).exp().sum(2).t() - 1 + self.bias  # without the example itself


def widened(layer: nn.Linear | nn.Conv2d, more: int) -> None:
    """Let a layer take so many features (maps) more, in place; their weights are drawn as widely as the others are spread."""
    weight = layer.weight.detach()
    new = torch.randn(len(weight), more, *weight.shape[2:]) * weight.std()
    layer.weight = nn.Parameter(torch.cat((weight, new), 1))
    if isinstance(layer, nn.Linear):
        layer.in_features += more
    else:
        layer.in_channels += more


def put_before(layer: nn.Linear | nn.Conv2d, name: str, part: nn.Module, more: int) -> None:
    """Let what a layer takes pass a part that adds so many features to it; the part is the layer's child of that name."""
    widened(layer, more)
    layer.add_module(name, part)
    layer.register_forward_pre_hook(_through_stddev if isinstance(part, MinibatchStddev) else _through_discrimination)


STDDEV, DISCRIMINATION = "minibatch_stddev", "minibatch_discrimination"


def _through_stddev(layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return layer.get_submodule(STDDEV)(inputs[0]), *inputs[1:]


def _through_discrimination(layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return layer.get_submodule(DISCRIMINATION)(inputs[0]), *inputs[1:]


def discriminate_minibatches(judge: nn.Module, kernels: int, size: int) -> None:
    """Put minibatch discrimination before the layer that gives a discriminator's logits, as Salimans 2016."""
    layer = logits_layer(judge)
    put_before(layer, DISCRIMINATION, MinibatchDiscrimination(layer.weight.shape[1], kernels, size), kernels)


def deviate_minibatches(judge: nn.Module, group: int) -> None:
    """Put the deviation within a minibatch before the last convolution, as Karras 2018, or else before the last layer."""
    convolutions = [layer for layer in _layers(judge) if isinstance(layer, nn.Conv2d)]
    layer = convolutions[-1] if len(convolutions) > 1 else logits_layer(judge)
    put_before(layer, STDDEV, MinibatchStddev(group), 1)


def logits_layer(judge: nn.Module) -> nn.Linear | nn.Conv2d:
    """Return the layer that gives a discriminator's logits: its last linear one or convolution.

    Raises:
        ValueError: it has none, or one that cannot be widened.
    """
    layers = list(_layers(judge))
    if not layers:
        raise ValueError(f"{type(judge).__name__} has no linear layer or convolution")
    return layers[-1]


def _layers(judge: nn.Module) -> Iterator[nn.Linear | nn.Conv2d]:
    for part in judge.modules():
        if isinstance(part, (nn.Linear, nn.Conv2d)) and not is_parametrized(part):
            yield part
