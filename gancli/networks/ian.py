"""The networks of introspective adversarial networks (Brock 2017, 1609.07093), for images of any size from 8 up.

Read from the authors' code (github.com/ajbrock/Neural-Photo-Editor, IAN.py, layers.py), whose widths for 64x64 images are
those of width=128: 5x5 strided convolutions, batch norm, LeakyReLU 0.2, and dilated blocks between the decoder's doublings.

Legend: N batch, C channels, H height, W width, F channels of a map, Z latent size, S dilations.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, leaky_relu, relu

from gancli.networks.convolution import Doubling, Halving
from gancli.networks.dcgan import WEIGHT_STD, feature_widths, halvings
from gancli.networks.initialization import normal_init
from gancli.networks.layers import norm_layer
from gancli.networks.minibatch import MinibatchDiscrimination
from gancli.precision import in_full

KERNEL, SLOPE = 5, 0.2
FIRST_DILATIONS, DILATIONS, LAST_DILATIONS = (0, 2), (0, 2, 3), (2, 3, 4)  # of the first block, the others, the image
KERNEL_SIZE, VERDICTS = 5, 3  # numbers that a minibatch kernel compares; real, reconstructed, generated


class Trunk(nn.Module):
    """The convolutions that discriminator and encoder share; the outputs of all are what is compared."""

    def __init__(self, shape: tuple[int, int, int], width: int) -> None:
        super().__init__()
        sizes = halvings(*shape[1:])
        outputs = feature_widths(width, len(sizes) - 1)
        self.layers = nn.ModuleList(Halving(a, b, number == 0, KERNEL)
                                    for number, (a, b) in enumerate(pairwise((shape[0], *outputs))))
        self.norms = nn.ModuleList(norm_layer("batch" if number else "none", each) for number, each in enumerate(outputs))
        self.top = (outputs[-1], *sizes[-1])
        normal_init(self, WEIGHT_STD)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:  # [N, C, H, W] -> [N, F, h, w] of every layer, F and h, w its own
        maps = []
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = leaky_relu(norm(layer(x)), SLOPE)
            maps.append(x)
        return tuple(maps)


class Verdict(nn.Module):
    """The means of the top map, compared within the minibatch, to three logits: real, reconstructed, generated."""

    def __init__(self, features: int, kernels: int) -> None:
        super().__init__()
        self.compare = MinibatchDiscrimination(features, kernels, KERNEL_SIZE)
        self.head = nn.Linear(features + kernels, VERDICTS, bias=False)
        normal_init(self.head, WEIGHT_STD)

    def forward(self, top: Tensor) -> Tensor:  # [N, F, h, w] -> [N, 3]
        return self.head(self.compare(top.mean((2, 3))))


class LatentHeads(nn.Module):
    """The top map through a hidden layer to mean and log deviation of the latent, normalized as all else."""

    def __init__(self, top: tuple[int, int, int], units: int, latent_size: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(top[0] * top[1] * top[2], units, bias=False)
        self.hidden_norm = norm_layer("batch", units)
        self.heads = nn.ModuleList(nn.Linear(units, latent_size, bias=False) for _ in range(2))
        self.norms = nn.ModuleList(norm_layer("batch", latent_size) for _ in range(2))
        normal_init(self, WEIGHT_STD)
        for head in self.heads:
            nn.init.xavier_uniform_(head.weight)

    def forward(self, top: Tensor) -> tuple[Tensor, Tensor]:  # [N, F, h, w] -> [N, Z], [N, Z]
        x = relu(self.hidden_norm(self.hidden(top.flatten(1))))
        mean, log_std = (norm(head(x)) for head, norm in zip(self.heads, self.norms, strict=True))
        return mean, log_std

    def squared_weights(self) -> Tensor:
        """Return the sum of the squared weights of the linear layers."""
        return torch.stack([layer.weight.square().sum() for layer in (self.hidden, *self.heads)]).sum()


class DilatedConvolution(nn.Module):
    """One 3x3 filter bank at several dilations at once, [N, C, h, w] -> [N, F, h, w] (the paper's MDC).

    Each output is a sum over the dilations 1 and `dilations`, with a coefficient for every filter, all alike at the
    start; 0 stands for a 1x1 convolution with the means of the filters.
    """

    def __init__(self, inputs: int, outputs: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.dilations = (1, *dilations)
        self.weight = nn.Parameter(WEIGHT_STD * torch.randn(outputs, inputs, 3, 3))
        self.coefficients = nn.Parameter(torch.full((len(self.dilations), outputs), 1 / len(self.dilations)))

    def forward(self, x: Tensor) -> Tensor:
        parts = []
        for dilation, each in zip(self.dilations, self.coefficients, strict=True):
            weight = self.weight if dilation else self.weight.mean((2, 3), keepdim=True)
            parts.append(conv2d(x, weight * each[:, None, None, None], padding=dilation, dilation=max(dilation, 1)))
        return torch.stack(parts).sum(0)


class DilatedBlock(nn.Module):
    """A residual block of two dilated convolutions, normalized before each and behind the sum."""

    def __init__(self, channels: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.norms = nn.ModuleList(norm_layer("batch", channels) for _ in range(3))
        self.layers = nn.ModuleList(DilatedConvolution(channels, channels, dilations) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:  # [N, F, h, w] -> the same
        y = x
        for norm, layer in zip(self.norms, self.layers, strict=False):
            y = layer(leaky_relu(norm(y), SLOPE))
        return leaky_relu(self.norms[-1](x + y), SLOPE)


class ChainedChannels(nn.Module):
    """A map to an image, channel by channel, each seeing those before it (the paper's autoregressive RGB-beta).

    A channel is two numbers a, b in (0, 1), the parameters of a beta law, and its value the law's mean, in [-1, 1].
    """

    def __init__(self, features: int, channels: int) -> None:
        super().__init__()
        self.of_map = nn.ModuleList(DilatedConvolution(features, 2, LAST_DILATIONS) for _ in range(channels))
        self.of_earlier = nn.ModuleList(DilatedConvolution(2 * number, 2, LAST_DILATIONS) for number in range(1, channels))

    def forward(self, x: Tensor) -> Tensor:  # [N, F, H, W] -> [N, C, H, W]
        pairs: list[Tensor] = []
        for number, layer in enumerate(self.of_map):
            logits = layer(x)
            if number:
                logits = logits + self.of_earlier[number - 1](torch.cat(pairs, 1))
            pairs.append(logits.sigmoid())
        a, b = torch.stack(pairs, 1).float().unbind(2)  # [N, C, H, W] each
        return 2 * a / (a + b + 1e-8) - 1


class IANDecoder(nn.Module):
    """A latent projected to a small map, doubled with dilated blocks in between, and an image channel by channel."""

    def __init__(self, latent_size: int, shape: tuple[int, int, int], width: int) -> None:
        super().__init__()
        sizes = halvings(*shape[1:])[::-1]
        count = len(sizes) - 1
        outputs = [width * min(2 ** max(i - 1, 0), 4) for i in range(count)][::-1]  # 4, 2, 1, 1 times width for 64x64
        self.start = (4 * width, *sizes[0])
        self.project = nn.Linear(latent_size, 4 * width * sizes[0][0] * sizes[0][1])
        self.layers = nn.ModuleList()
        for (inputs, each), (small, large) in zip(pairwise((4 * width, *outputs)), pairwise(sizes), strict=True):
            odd = (large[0] - 2 * small[0], large[1] - 2 * small[1])
            self.layers.append(Doubling(inputs, each, False, odd, KERNEL))
        self.norms = nn.ModuleList(norm_layer("batch", each) for each in outputs)
        self.blocks = nn.ModuleList(DilatedBlock(each, DILATIONS if number else FIRST_DILATIONS)
                                    for number, each in enumerate(outputs[:-1]))
        self.image = ChainedChannels(outputs[-1], shape[0])
        normal_init(self, WEIGHT_STD)

    def forward(self, z: Tensor) -> Tensor:  # [N, Z] -> [N, C, H, W] in [-1, 1]
        x = leaky_relu(self.project(z), SLOPE).unflatten(1, self.start)
        for layer, norm, block in zip(self.layers, self.norms, self.blocks, strict=False):
            x = block(norm(layer(x)))
        return self.image(leaky_relu(self.norms[-1](self.layers[-1](x)), SLOPE))


def filter_banks(network: nn.Module) -> Iterator[Tensor]:
    """Yield the weights of all convolutions, [F, C, k, k] each."""
    for part in network.modules():
        if isinstance(part, (nn.Conv2d, nn.ConvTranspose2d, DilatedConvolution)):
            yield part.weight


def distance_from_orthogonal(network: nn.Module) -> Tensor:
    """Return sum |W W^T - I| over every filter W of the network's convolutions, a matrix of k rows of k C numbers.

    So the authors' code, for which its weight 1e-3 was chosen; the paper writes the same of a whole filter bank.
    """
    total = []
    for weight in filter_banks(network):
        with in_full(weight.device):
            products = torch.einsum("fciw,fcjw->fij", weight, weight)
        total.append((products - torch.eye(weight.shape[2], device=weight.device)).abs().sum())
    return torch.stack(total).sum()
