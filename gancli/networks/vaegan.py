"""The networks of VAE/GAN (Larsen 2016), for images of any size from 8 up.

Read from the authors' code (github.com/andersbll/autoencoding_beyond_pixels, architectures.py): 5x5 convolutions, batch
norm and ReLU; `width` is the 64 channels of the encoder's first maps there.

Legend: N batch, C channels, H height, W width, F feature channels, Z latent size.
"""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import relu

from gancli.networks.convolution import Doubling, Halving
from gancli.networks.layers import norm_layer
from gancli.networks.second_order import Convolution

HALVINGS, KERNEL = 3, 5
LARGE = 48  # pixels of a side from which the networks are the authors' for 64x64 and not those for 32x32
LAYERS = 1 + HALVINGS  # convolutions of the discriminator


def sizes_of(height: int, width: int) -> list[tuple[int, int]]:
    """Return the sizes of the maps from the image down, halved three times (rounding down)."""
    sizes = [(height, width)]
    for _ in range(HALVINGS):
        sizes.append((sizes[-1][0] // 2, sizes[-1][1] // 2))
    return sizes


def middle_channels(shape: tuple[int, int, int], width: int) -> int:
    """Return the channels of the decoder's second maps and of the discriminator's third ones."""
    return (4 if min(shape[1:]) >= LARGE else 3) * width


class ConvGaussianEncoder(nn.Module):
    """Three halvings and a hidden layer to the mean and the log variance of the latent."""

    def __init__(self, shape: tuple[int, int, int], width: int, latent_size: int) -> None:
        super().__init__()
        (height, breadth), hidden = sizes_of(*shape[1:])[-1], 16 * width
        widths = [shape[0], width, 2 * width, 4 * width]
        self.maps = nn.Sequential(*[layer for inputs, outputs in pairwise(widths) for layer in
                                    (Halving(inputs, outputs, False, KERNEL), norm_layer("batch", outputs), nn.ReLU())])
        self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(widths[-1] * height * breadth, hidden, bias=False),
                                    norm_layer("batch", hidden), nn.ReLU())
        self.head = nn.Linear(hidden, 2 * latent_size)
        fan_in_init(self)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # [N, C, H, W] -> [N, Z], [N, Z]
        return self.head(self.hidden(self.maps(x))).chunk(2, dim=1)


class ConvDecoder(nn.Module):
    """A latent projected to a small map, doubled three times; tanh."""

    def __init__(self, latent_size: int, shape: tuple[int, int, int], width: int) -> None:
        super().__init__()
        sizes = sizes_of(*shape[1:])[::-1]
        widths = [4 * width, middle_channels(shape, width), 2 * width, max(width // 2, 1)]
        self.start = (widths[0], *sizes[0])
        self.project = nn.Linear(latent_size, widths[0] * sizes[0][0] * sizes[0][1], bias=False)
        self.project_norm = norm_layer("batch", widths[0] * sizes[0][0] * sizes[0][1])
        layers: list[nn.Module] = []
        for (inputs, outputs), (small, large) in zip(pairwise(widths), pairwise(sizes), strict=True):
            odd = (large[0] - 2 * small[0], large[1] - 2 * small[1])
            layers += [Doubling(inputs, outputs, False, odd, KERNEL), norm_layer("batch", outputs), nn.ReLU()]
        self.maps = nn.Sequential(*layers, Convolution(widths[-1], shape[0], KERNEL, padding=KERNEL // 2), nn.Tanh())
        fan_in_init(self)

    def forward(self, z: Tensor) -> Tensor:  # [N, Z] -> [N, C, H, W]
        return self.maps(relu(self.project_norm(self.project(z))).unflatten(1, self.start))


class FeatureDiscriminator(nn.Module):
    """One convolution at full size, three halvings and a hidden layer to one logit.

    Features are a convolution's outputs before its norm, as in the authors' code; layer 0 is the image itself.
    """

    def __init__(self, shape: tuple[int, int, int], width: int, norm: str, feature_layer: int) -> None:
        super().__init__()
        self.feature_layer = feature_layer
        (height, breadth), hidden = sizes_of(*shape[1:])[-1], 8 * width
        widths = [max(width // 2, 1), 2 * width, middle_channels(shape, width), 4 * width]
        halvings = [Halving(inputs, outputs, norm == "none", KERNEL) for inputs, outputs in pairwise(widths)]
        self.layers = nn.ModuleList([Convolution(shape[0], widths[0], KERNEL, padding=KERNEL // 2), *halvings])
        self.norms = nn.ModuleList(norm_layer(kind, outputs)
                                   for kind, outputs in zip(["none", *[norm] * HALVINGS], widths, strict=True))
        self.hidden = nn.Linear(widths[-1] * height * breadth, hidden, bias=norm == "none")
        self.hidden_norm = norm_layer("none" if norm == "instance" else norm, hidden)  # a vector has no map to normalize over
        self.head = nn.Linear(hidden, 1)
        fan_in_init(self)

    def forward(self, x: Tensor) -> Tensor:  # [N, C, H, W] -> [N]
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = relu(norm(layer(x)))
        return self.head(relu(self.hidden_norm(self.hidden(x.flatten(1))))).flatten()

    def features(self, x: Tensor) -> Tensor:  # [N, C, H, W] -> [N, F, h, w]
        """Return the features alone; the layers behind them are not computed."""
        for number, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            if number == self.feature_layer:
                return x
            maps = layer(x)
            x = maps if number + 1 == self.feature_layer else relu(norm(maps))
        return x


def fan_in_init(module: nn.Module) -> None:
    """Weights uniform with variance 1 / (9 inputs), biases 0: bounds of 1 / sqrt(3 inputs) (the authors' AutoFiller)."""
    for part in module.modules():
        if isinstance(part, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            bound = (3 * part.weight[0].numel()) ** -0.5
            nn.init.uniform_(part.weight, -bound, bound)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
