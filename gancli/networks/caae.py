"""The networks of the conditional adversarial autoencoder (Zhang 2017, 1702.08423), for images of any size from 8 up.

Read from the authors' code (github.com/ZZUTK/Face-Aging-CAAE, FaceAging.py, ops.py): 5x5 convolutions, ReLU, and norms in
the discriminators alone.  Labels are -1 and 1 there, not 0 and 1, and are repeated to about as many numbers as latents.

Legend: N batch, C channels, H height, W width, Z latent size, K classes.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, relu

from gancli.networks.convolution import Doubling, Halving
from gancli.networks.dcgan import halvings
from gancli.networks.layers import norm_layer
from gancli.networks.second_order import Convolution

KERNEL = 5
CODE_UNITS = (64, 32, 16)  # of the discriminator of codes
MOST_HALVINGS, HIDDEN = 4, 1024  # of the discriminator of images


class CAAEEncoder(nn.Module):
    """Convolutions that halve the image and double the channels down to a map of 4 to 7 pixels; tanh codes."""

    def __init__(self, shape: tuple[int, int, int], width: int, latent_size: int) -> None:
        super().__init__()
        sizes = halvings(*shape[1:])
        widths = [shape[0], *(width * 2**i for i in range(len(sizes) - 1))]
        self.layers = nn.ModuleList(Halving(inputs, outputs, True, KERNEL) for inputs, outputs in pairwise(widths))
        self.head = nn.Linear(widths[-1] * sizes[-1][0] * sizes[-1][1], latent_size)

    def forward(self, x: Tensor) -> Tensor:  # [N, C, H, W] -> [N, Z] in [-1, 1]
        for layer in self.layers:
            x = relu(layer(x))
        return self.head(x.flatten(1)).tanh()


class CAAEGenerator(nn.Module):
    """Codes and repeated labels to a small map that is doubled and thinned by halves, two convolutions more; tanh.

    Args:
        width: channels of the smallest map.
    """

    def __init__(self, latent_size: int, classes: int, shape: tuple[int, int, int], width: int) -> None:
        super().__init__()
        sizes = halvings(*shape[1:])[::-1]
        self.repeats = max(latent_size // classes, 1)
        self.start = (width, *sizes[0])
        self.project = nn.Linear(latent_size + self.repeats * classes, width * sizes[0][0] * sizes[0][1])
        widths = [max(width // 2**i, 1) for i in range(len(sizes) + 1)]
        self.layers = nn.ModuleList()
        for (inputs, outputs), (small, large) in zip(pairwise(widths[:-1]), pairwise(sizes), strict=True):
            odd = (large[0] - 2 * small[0], large[1] - 2 * small[1])
            self.layers.append(Doubling(inputs, outputs, True, odd, KERNEL))
        self.layers.append(Convolution(widths[-2], widths[-1], KERNEL, padding=KERNEL // 2))
        self.last = Convolution(widths[-1], shape[0], KERNEL, padding=KERNEL // 2)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:  # [N, Z], weights [N, K] -> [N, C, H, W] in [-1, 1]
        told = signed(labels).to(z.dtype).repeat(1, self.repeats)
        x = relu(self.project(torch.cat((z, told), 1))).unflatten(1, self.start)
        for layer in self.layers:
            x = relu(layer(x))
        return self.last(x).tanh()


class CAAECodeDiscriminator(nn.Module):
    """Tells codes from the prior's latents: three normalized ReLU layers."""

    def __init__(self, latent_size: int, norm: str) -> None:
        super().__init__()
        widths = [latent_size, *CODE_UNITS]
        norm = "none" if norm == "instance" else norm  # a vector has no map to normalize over
        self.body = nn.Sequential(*[part for inputs, outputs in pairwise(widths) for part in (
            nn.Linear(inputs, outputs, norm == "none"), norm_layer(norm, outputs), nn.ReLU())])
        self.head = nn.Linear(widths[-1], 1)

    def forward(self, z: Tensor) -> Tensor:  # [N, Z] -> [N]
        return self.head(self.body(z)).flatten()


class CAAEImageDiscriminator(nn.Module):
    """Four convolutions that halve the image, a hidden layer, one logit; the label is told in planes behind the first.

    Args:
        width: channels behind the first convolution, 16 in the authors' code; the others have 2, 4 and 8 times as many.
    """

    def __init__(self, shape: tuple[int, int, int], classes: int, width: int, norm: str) -> None:
        super().__init__()
        count = min(MOST_HALVINGS, min(shape[1:]).bit_length() - 1)
        outputs = [width * 2**i for i in range(count)]
        inputs = [shape[0], outputs[0] + classes, *outputs[1:]]
        self.layers = nn.ModuleList(Halving(a, b, norm == "none", KERNEL) for a, b in zip(inputs, outputs, strict=False))
        self.norms = nn.ModuleList(norm_layer(norm, each) for each in outputs)
        height, breadth = (side >> count for side in shape[1:])
        self.hidden = nn.Linear(outputs[-1] * height * breadth, HIDDEN)
        self.head = nn.Linear(HIDDEN, 1)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:  # [N, C, H, W], weights [N, K] -> [N]
        for number, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            x = relu(norm(layer(x)))
            if number == 0:
                planes = signed(labels).to(x.dtype)[:, :, None, None].expand(-1, -1, *x.shape[2:])
                x = torch.cat((x, planes), 1)
        return self.head(leaky_relu(self.hidden(x.flatten(1)), 0.2)).flatten()


def signed(weights: Tensor) -> Tensor:
    """Return weights of labels from 0 to 1 as numbers from -1 to 1."""
    return 2 * weights - 1
