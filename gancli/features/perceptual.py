"""Frozen networks whose inner maps tell how images differ to the eye: VGG19 and the extractors at hand, by name.

A map's distance is the mean of its squared differences times `scale`, which brings it to the size of the images' own mean
squared error: for VGG19 the paper's 1 / 12.75^2 (Ledig 2017, section 3.2), for the others the nearest power of two to what
does so for photographs enlarged bicubically by 4 (of 20 images of BSD100: 0.134 for mobilenet_v2, 0.00097 for
efficientnet_lite0).

Legend: N batch, C channels, H height, W width, F feature channels, h, w sides of a map.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import relu6

from gancli.blank import blank
from gancli.errors import UserError
from gancli.features.efficientnet_lite import EfficientNetLite0
from gancli.features.extractors import IMAGENET_MEAN, IMAGENET_STD, rgb
from gancli.features.weights import EXTRACTORS, FOLDER, find_weights, require_weights

VGG19_FILE = "vgg19-dcbb9e9d.pth"
VGG19_PAGE = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth (548 MiB)"
VGG_MAPS = {"vgg22": 9, "vgg54": 36}  # layers up to the rectified map before the second and before the fifth pooling
MOBILENET_LAYERS = 14  # up to the last map of 1/16 of the sides
EFFICIENTNET_BLOCKS = 11  # likewise


class Maps(nn.Module):
    """Images [N, C, H, W] in [-1, 1] to maps [N, F, h, w] of a network that takes normalized red, green and blue."""

    mean: Tensor
    std: Tensor

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers
        self.register_buffer("mean", torch.empty(3, 1, 1))
        self.register_buffer("std", torch.empty(3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        pixels = rgb((x.float() + 1) * 127.5)
        return self.layers((pixels - self.mean) / self.std)


class EfficientNetMaps(nn.Module):
    """The first blocks of EfficientNet-Lite0, under the names of the whole network."""

    def __init__(self) -> None:
        super().__init__()
        whole = EfficientNetLite0()
        self._conv_stem, self._bn0, self._blocks = whole._conv_stem, whole._bn0, whole._blocks[:EFFICIENTNET_BLOCKS]

    def forward(self, x: Tensor) -> Tensor:
        x = relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        return x


@dataclass(frozen=True)
class Perception:
    """One choice of a perceptual loss."""

    layers: Callable[[], nn.Module]
    prefix: str  # of these layers' weights in the file
    mean: tuple[float, ...]  # of pixels from 0 to 255
    std: tuple[float, ...]
    scale: float
    extractor: str | None = None  # whose published file it is; None: torchvision's VGG19


def _vgg(depth: int) -> Callable[[], nn.Module]:
    def layers() -> nn.Module:
        from torchvision.models import vgg19

        return vgg19(weights=None).features[:depth]
    return layers


def _mobilenet() -> nn.Module:
    from torchvision.models import mobilenet_v2

    return mobilenet_v2(weights=None).features[:MOBILENET_LAYERS]


_IMAGENET = (tuple(255 * value for value in IMAGENET_MEAN), tuple(255 * value for value in IMAGENET_STD))
PERCEPTIONS = {
    **{name: Perception(_vgg(depth), "features.", *_IMAGENET, 1 / 12.75**2) for name, depth in VGG_MAPS.items()},
    "mobilenet_v2": Perception(_mobilenet, "features.", *_IMAGENET, 2**-3, "mobilenet_v2"),
    "efficientnet_lite0": Perception(EfficientNetMaps, "", (127.0,) * 3, (128.0,) * 3, 2**-10, "efficientnet_lite0"),
}


def build_maps(name: str) -> Maps:
    """Return the network of a name of PERCEPTIONS on the meta device: its weights are in `read_maps`."""
    with blank():
        return Maps(PERCEPTIONS[name].layers())


def find_maps(name: str, given: str | None, data_dir: Path) -> Path | None:
    """Return the file of the weights, None where a published one has yet to be fetched; nothing is read.

    Args:
        given: the user's file; None: the published file's name in data_dir/weights.

    Raises:
        UserError: there is none.
    """
    extractor = PERCEPTIONS[name].extractor
    if extractor is not None:
        return find_weights(extractor, given, data_dir)
    path = data_dir / FOLDER / VGG19_FILE if given is None else Path(given).expanduser()
    if path.is_file():
        return path
    place = f"{VGG19_FILE} in {path.parent}" if given is None else f"file {path}"
    raise UserError(f"{name} needs torchvision's weights of VGG19, and there is no {place}: get it from {VGG19_PAGE}.")


def read_maps(name: str, given: str | None, data_dir: Path) -> dict[str, Tensor]:
    """Return the state of `build_maps(name)` from a file, checked tensor by tensor.

    Raises:
        UserError: there is no such file, or it holds other weights.
    """
    perception = PERCEPTIONS[name]
    path = find_maps(name, given, data_dir)
    if perception.extractor is not None:
        path, _ = require_weights(perception.extractor, given, data_dir)
    assert path is not None  # only published extractors are fetched
    stored, state = _stored(path), {}
    for key, expected in build_maps(name).layers.state_dict().items():
        tensor = stored.get(f"{perception.prefix}{key}")
        if not isinstance(tensor, Tensor) or tensor.shape != expected.shape or tensor.dtype != expected.dtype:
            found = f"{list(tensor.shape)}" if isinstance(tensor, Tensor) else "nothing"
            raise UserError(f"{path} holds other weights than those of {_network(perception)}: {perception.prefix}{key} "
                            f"should be {list(expected.shape)} and there is {found}.")
        if not bool(torch.isfinite(tensor).all()):
            raise UserError(f"{path} holds numbers in {perception.prefix}{key} that are not finite: get the file anew.")
        state[f"layers.{key}"] = tensor
    return state | {"mean": torch.tensor(perception.mean)[:, None, None], "std": torch.tensor(perception.std)[:, None, None]}


def _network(perception: Perception) -> str:
    return "VGG19 in torchvision's format" if perception.extractor is None else EXTRACTORS[perception.extractor].name


def _stored(path: Path) -> dict[str, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of formats that torch has left behind
            stored = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # pickles of strangers fail in many ways, and torch's advice is to trust them
        raise UserError(f"{path} is no file of weights, of tensors and nothing else, that torch can read.") from None
    if not isinstance(stored, dict):
        raise UserError(f"{path} holds no weights by name: give a state dict.")
    return stored
