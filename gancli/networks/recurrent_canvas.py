"""The recurrent generator of Im 2016 and its discriminator, as the authors' code has them (jiwoongim/GRAN).

Layers: recGenI28.py (two doublings from 7x7), recGenI32.py and recGenI64.py (three and four from 4x4), convnet_cuda28.py and
convnet_cuda32.py.  Kernels are 5x5; convolutions start as N(0, 0.01), dense layers as Glorot 2010, biases at 0.

Legend: N batch, C channels, H height, W width, Z latent size, T steps, F features.
"""

from functools import reduce
from itertools import accumulate, pairwise
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from gancli.networks.convolution import Doubling, Halving
from gancli.networks.dcgan import halvings
from gancli.networks.layers import norm_layer

KERNEL = 5
CONV_STD = 0.01
MULTIPLES = (8, 4, 2, 1)  # of the base width, from the smallest map up in the generator, from the image down in the other
DEEP = 3  # layers from which on the encoder's last has no norm


def canvas_widths(width: int, layers: int) -> list[int]:
    """Return channels by layer: 8, 4, 2 and 1 times `width`, and `width` from then on."""
    return [width * (MULTIPLES[layer] if layer < len(MULTIPLES) else 1) for layer in range(layers)]


def canvas_init(module: nn.Module) -> None:
    """Convolutions N(0, 0.01), dense layers uniform with variance 2 / (inputs + outputs), biases 0."""
    for part in module.modules():
        if isinstance(part, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(part.weight, 0.0, CONV_STD)
        elif isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight)
        else:
            continue
        if part.bias is not None:
            nn.init.zeros_(part.bias)


class StepNorm(nn.Module):
    """Batch norm with one gain and bias for all steps and statistics of each step's own.

    The authors' code takes the batch's statistics, when it samples, too; running ones, where each step has its own since the
    steps' inputs are unlike (Cooijmans 2017, 1603.09025, section 3), let an image not depend on the others of its batch.
    """

    def __init__(self, channels: int, steps: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(norm_layer("batch", channels, affine=False) for _ in range(steps))
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, step: int) -> Tensor:  # [N, F, ...] -> the same
        shape = (1, -1, *[1] * (x.dim() - 2))
        return self.norms[step](x) * self.weight.view(shape) + self.bias.view(shape)


class CanvasDecoder(nn.Module):
    """Noise and memory to what a step adds to the canvas; nothing bounds its output.

    Args:
        norm: of the maps between the first and the last: batch, or none as in the authors' code.
    """

    def __init__(self, inputs: int, shape: tuple[int, int, int], width: int, steps: int, norm: str = "none") -> None:
        super().__init__()
        channels, *size = shape
        sizes = halvings(*size)[::-1]
        widths = [*canvas_widths(width, len(sizes) - 1), channels]
        self.start = (widths[0], *sizes[0])
        self.dense = nn.Linear(inputs, prod(self.start), bias=False)
        self.norm = StepNorm(prod(self.start), steps)
        normed = [norm == "batch"] * (len(sizes) - 2) + [False]
        self.layers = nn.ModuleList(
            Doubling(before, after, not has_norm, (large[0] - 2 * small[0], large[1] - 2 * small[1]), KERNEL)
            for (before, after), (small, large), has_norm in zip(pairwise(widths), pairwise(sizes), normed, strict=True))
        self.norms = nn.ModuleList(StepNorm(layer.out_channels, steps) for layer in self.layers if layer.bias is None)

    def forward(self, x: Tensor, step: int) -> Tensor:  # [N, 2 Z] -> [N, C, H, W]
        x = self.norm(self.dense(x), step).unflatten(1, self.start)
        for number, layer in enumerate(self.layers):
            x = layer(relu(x))
            if number < len(self.norms):
                x = self.norms[number](x, step)
        return x


class CanvasEncoder(nn.Module):
    """What a step added to the canvas to the memory that the next one has; in deep ones the last layer has no norm."""

    def __init__(self, shape: tuple[int, int, int], width: int, latent_size: int, steps: int) -> None:
        super().__init__()
        channels, *size = shape
        sizes = halvings(*size)
        layers = len(sizes) - 1
        widths = [channels, *reversed(canvas_widths(width, layers))]
        normed = [layers < DEEP or number < layers - 1 for number in range(layers)]
        self.layers = nn.ModuleList(Halving(before, after, not norm, KERNEL)
                                    for (before, after), norm in zip(pairwise(widths), normed, strict=True))
        self.norms = nn.ModuleList(StepNorm(after, steps) if norm else nn.Identity()
                                   for after, norm in zip(widths[1:], normed, strict=True))
        self.dense = nn.Linear(widths[-1] * prod(sizes[-1]), latent_size, bias=False)
        self.norm = StepNorm(latent_size, steps)

    def forward(self, x: Tensor, step: int) -> Tensor:  # [N, C, H, W] -> [N, Z]
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = layer(x)
            x = relu(norm(x, step) if isinstance(norm, StepNorm) else x)
        return self.norm(self.dense(x.flatten(1)), step).tanh()


class CanvasGenerator(nn.Module):
    """T steps with the same weights: noise and a memory of the last addition make the next addition (Im 2016, section 4).

    h_z = tanh(BN(W z)); dC_t = decoder(h_z, h_c); h_c = tanh(BN(W' encoder(dC_t))), zero at first.
    """

    def __init__(self, latent_size: int, shape: tuple[int, int, int], width: int, steps: int, norm: str = "none") -> None:
        super().__init__()
        self.latent_size, self.steps = latent_size, steps
        self.dense, self.norm = nn.Linear(latent_size, latent_size, bias=False), norm_layer("batch", latent_size)
        self.decoder = CanvasDecoder(2 * latent_size, shape, width, steps, norm)
        self.encoder = CanvasEncoder(shape, width, latent_size, steps - 1) if steps > 1 else None
        canvas_init(self)

    def additions(self, z: Tensor) -> list[Tensor]:
        """Return dC_1 ... dC_T [N, C, H, W] of latents [N, Z]."""
        noise = self.norm(self.dense(z)).tanh()
        memory, added = torch.zeros_like(noise), []
        for step in range(self.steps):
            added.append(self.decoder(torch.cat((noise, memory), 1), step))
            if self.encoder is not None and step < self.steps - 1:
                memory = self.encoder(added[-1], step)
        return added

    def canvases(self, z: Tensor) -> list[Tensor]:
        """Return the canvas after every step, as an image [N, C, H, W] in [-1, 1] each."""
        return [canvas_image(canvas) for canvas in accumulate(self.additions(z), torch.add)]

    def forward(self, z: Tensor) -> Tensor:  # [N, Z] -> [N, C, H, W] in [-1, 1]
        return canvas_image(reduce(torch.add, self.additions(z)))


def canvas_image(canvas: Tensor) -> Tensor:
    """Return the image in [-1, 1] of a canvas, whose sigmoid is in [0, 1]."""
    return canvas.float().sigmoid() * 2 - 1


class CanvasDiscriminator(nn.Module):
    """Strided convolutions, widest first, with a norm and ReLU; a tanh layer, and one output without a bias."""

    def __init__(self, shape: tuple[int, int, int], width: int, units: int, norm: str) -> None:
        super().__init__()
        channels, *size = shape
        sizes = halvings(*size)
        widths = [channels, *canvas_widths(width, len(sizes) - 1)]
        self.layers = nn.ModuleList(Halving(before, after, norm == "none", KERNEL) for before, after in pairwise(widths))
        self.norms = nn.ModuleList(norm_layer(norm, after) for after in widths[1:])
        self.dense = nn.Linear(widths[-1] * prod(sizes[-1]), units)
        self.head = nn.Linear(units, 1, bias=False)
        canvas_init(self)

    def forward(self, x: Tensor) -> Tensor:  # [N, C, H, W] in [-1, 1] -> [N]
        x = (x + 1) / 2
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = relu(norm(layer(x)))
        return self.head(self.dense(x.flatten(1)).tanh()).flatten()
