"""Feature extractors by name: what `features=` chooses, ready on a device.

Every extractor takes images with values from 0 to 255, as a PNG of them would hold: the evaluator rounds generated images,
so that real and generated ones come in the same form; only path lengths, which compare tiny steps, give values between.
Grays are repeated, opacity is composited over white, for networks that take three channels.

Legend: N batch, C channels, H height, W width, D features, K classes of the logits.
"""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gancli.blank import blank
from gancli.data.dataset import Data
from gancli.data.spec import DataSpec
from gancli.errors import UserError
from gancli.features import classifier
from gancli.features.cache import Cache, checksum
from gancli.features.efficientnet_lite import EfficientNetLite0
from gancli.features.linear import Linear, read_linear
from gancli.features.weights import EXTRACTORS, LAYERED, digest, is_script, require_weights

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of pixels / 255 (torchvision)
IMAGENET_SIDE = 224
LEAST_SIDE = 32  # of images whose layers are looked at: below it the deep ones of AlexNet have no place left
ALEXNET_LAYERS, VGG16_LAYERS = (1, 4, 7, 9, 11), (3, 8, 15, 22, 29)  # the rectified maps of Zhang 2018's code
MOBILENET_LAYERS = (1, 3, 6, 13, 17)  # the last map of each resolution
CLASSIFIER_SEED = 0  # fixed: runs with other seeds are judged by the same network


@dataclass
class Features:
    """What an extractor sees in images."""

    vectors: Tensor  # [N, D] float32
    logits: Tensor | None  # [N, K] float32


class Extractor(ABC):
    """A network that turns images into features; `facts` describe it in protocols."""

    def __init__(self, name: str, network: nn.Module, sha256: str, resize: str, normalization: str,
                 facts: dict[str, Any] | None = None) -> None:
        self.name, self.network, self.sha256 = name, network, sha256
        self.facts = {"extractor": name, "weights_sha256": sha256, "resize": resize, "normalization": normalization,
                      **(facts or {})}
        self.linear = Linear(None, "uniform")  # how much each channel of the layers counts in perceptual distances

    @torch.no_grad()
    def __call__(self, pixels: Tensor) -> Features:
        """Return the features of images [N, C, H, W], 0 to 255, uint8 or float, on the extractor's device."""
        vectors, logits = self.see(pixels)
        return Features(vectors.float(), None if logits is None else logits.float())

    @torch.no_grad()
    def layers(self, pixels: Tensor) -> list[Tensor]:
        """Return the maps [N, F, h, w] float32 of several layers, of images [N, C, H, W], 0 to 255, at their own size.

        Raises:
            UserError: this extractor shows no layers.
        """
        return [maps.float() for maps in self.maps(pixels)]

    def maps(self, pixels: Tensor) -> list[Tensor]:
        """Return the layers' maps in any precision."""
        raise UserError(f"features={self.name} shows no layers: give features={', '.join(LAYERED)}.")

    @abstractmethod
    def see(self, pixels: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return features [N, D] and logits [N, K] (or None) of images [N, C, H, W], 0 to 255."""


class ClassifierExtractor(Extractor):
    """The small network trained on the data set's labels (see classifier.py)."""

    def see(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        x = pixels.float().mul(1 / 127.5).sub_(1).contiguous(memory_format=torch.channels_last)
        return self.network(classifier.shrunk(x))

    def maps(self, pixels: Tensor) -> list[Tensor]:
        return self.network.layers(classifier.shrunk(pixels.float().mul(1 / 127.5).sub_(1)))


class Inception(Extractor):
    """TensorFlow's Inception v3 through torch-fidelity, which resizes and normalizes as the original FID did."""

    def see(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        vectors, logits = self.network(rgb(pixels).to(torch.uint8))
        return vectors, logits


class ImageNet(Extractor):
    """A network for 224x224 ImageNet photographs."""

    def __init__(self, *arguments: Any, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__(*arguments)
        self.mean, self.std = mean, std  # of pixels from 0 to 255

    def see(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        x = functional.interpolate(rgb(pixels).float(), (IMAGENET_SIDE, IMAGENET_SIDE), mode="bilinear", antialias=True)
        return self.network(self.normalized(x))

    def maps(self, pixels: Tensor) -> list[Tensor]:
        x = rgb(pixels).float()
        if min(x.shape[2:]) < LEAST_SIDE:
            scale = LEAST_SIDE / min(x.shape[2:])
            x = functional.interpolate(x, [round(side * scale) for side in x.shape[2:]], mode="bilinear")
        return self.network.layers(self.normalized(x))

    def normalized(self, x: Tensor) -> Tensor:
        """Return colors [N, 3, H, W], 0 to 255, as the network was trained on them."""
        mean, std = (x.new_tensor(values)[:, None, None] for values in (self.mean, self.std))
        return ((x - mean) / std).contiguous(memory_format=torch.channels_last)


class Script(Extractor):
    """The user's own network, called with three channels in [-1, 1] at the images' own size."""

    def see(self, pixels: Tensor) -> tuple[Tensor, Tensor | None]:
        answer = self.network(rgb(pixels).float() / 127.5 - 1)
        vectors, logits = (answer, None) if isinstance(answer, Tensor) else (*answer, None)[:2]
        if vectors.dim() != 2 or len(vectors) != len(pixels):
            raise UserError(f"{self.name} gave a tensor of shape {tuple(vectors.shape)} for {len(pixels)} images: it must "
                            "return features [N, D], or features and logits.")
        return vectors, logits


class PooledMobileNet(nn.Module):
    """torchvision's MobileNetV2 (Sandler 2018), with the 1280 pooled features beside its logits."""

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import mobilenet_v2

        self.network = mobilenet_v2(weights=None)

    def layers(self, x: Tensor) -> list[Tensor]:
        """Return the maps of MOBILENET_LAYERS."""
        return _tapped(self.network.features, x, MOBILENET_LAYERS)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.network.features(x).mean((2, 3))
        return features, self.network.classifier(features)


class Convolutions(nn.Module):
    """torchvision's AlexNet or VGG16, with the 4096 activations before its logits beside them."""

    def __init__(self, name: str, taps: tuple[int, ...]) -> None:
        super().__init__()
        import torchvision.models

        self.network, self.taps = getattr(torchvision.models, name)(weights=None), taps

    def layers(self, x: Tensor) -> list[Tensor]:
        """Return the maps of the taps."""
        return _tapped(self.network.features, x, self.taps)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.network.classifier[:-1](self.network.avgpool(self.network.features(x)).flatten(1))
        return features, self.network.classifier[-1](features)


def _tapped(layers: nn.Sequential, x: Tensor, taps: tuple[int, ...]) -> list[Tensor]:
    """Return what some layers give, the last of which is the last tap."""
    maps = []
    for number, layer in enumerate(layers[:taps[-1] + 1]):
        x = layer(x)
        maps += [x] if number in taps else []
    return maps


def open_extractor(features: str, weights: str | None, data: Data, data_dir: Path, cache: Cache,
                   progress: Callable[[int, int], None] = lambda done, total: None) -> Extractor:
    """Return the extractor that `features=` names, on the data's device; trains or fetches it where it must.

    Args:
        features: a name of EXTRACTORS, or a TorchScript file.  Loading TorchScript runs the code that it holds: give
            only files that you trust.
        weights: the file of a published extractor's weights.
        progress: told (done, total) images while `classifier` is trained.

    Raises:
        UserError: weights that cannot be had or are others, labels that are missing, a file that does not load.
    """
    if features != "classifier":
        return open_published(features, weights, data_dir, data.device)
    opened = _classifier(data, cache, progress)
    opened.network.to(data.device).eval()
    return _weighted(opened, data_dir)


def open_published(features: str, weights: str | None, data_dir: Path, device: torch.device) -> Extractor:
    """Return an extractor that needs no data, all but `classifier`; arguments and errors are those of `open_extractor`."""
    if is_script(features):
        opened = _script(features, device)
    else:
        path, sha256 = require_weights(features, weights, data_dir)
        builders = {"inception": _inception, "mobilenet_v2": _mobilenet, "efficientnet_lite0": _efficientnet,
                    "alexnet": _convolutions("alexnet", ALEXNET_LAYERS), "vgg16": _convolutions("vgg16", VGG16_LAYERS)}
        opened = builders[features](path, sha256)
    opened.network.to(device).eval()
    return _weighted(opened, data_dir)


def _weighted(extractor: Extractor, data_dir: Path) -> Extractor:
    """Give an extractor that shows layers the linear weights that lie in the data folder."""
    if extractor.name in LAYERED:
        extractor.linear = read_linear(extractor.name, EXTRACTORS[extractor.name].layers, data_dir)
    return extractor


def rgb(pixels: Tensor) -> Tensor:
    """Return images with three channels: gray repeated, opacity (the second or fourth channel) over white."""
    channels = pixels.shape[1]
    if channels in (2, 4):
        opacity = pixels[:, -1:].float() / 255
        pixels = pixels[:, :-1] * opacity + 255 * (1 - opacity)
    return pixels.expand(-1, 3, -1, -1) if pixels.shape[1] == 1 else pixels[:, :3]


def kept_classifier(data: Data, cache: Cache) -> Extractor | None:
    """Return the extractor `classifier` where it was trained on these data before; nothing is trained."""
    kept = cache.get("classifier", _described(data))
    return None if kept is None else _on_device(_of_tensors(data.spec, *kept), data)


def untrained_classifier(data: Data) -> Extractor:
    """Return an extractor that costs as much as `classifier`, to time it."""
    network = classifier.build(data.spec).to(data.device, memory_format=torch.channels_last).eval().requires_grad_(False)
    return ClassifierExtractor("classifier", network, "", "none", "[-1, 1]")


def _on_device(extractor: Extractor, data: Data) -> Extractor:
    extractor.network.to(data.device).eval()
    return extractor


def _described(data: Data) -> dict[str, Any]:
    return {"data": data.fingerprint, "seed": CLASSIFIER_SEED, "version": classifier.VERSION}


def _classifier(data: Data, cache: Cache, progress: Callable[[int, int], None]) -> Extractor:
    kept = cache.get("classifier", _described(data))
    if kept is None:
        trained = classifier.train(data, CLASSIFIER_SEED, progress)
        facts = {"accuracy": trained.accuracy, "held_out": trained.held_out, "images": trained.images}
        cache.put("classifier", _described(data), trained.network.state_dict(), facts)
        kept = cache.get("classifier", _described(data))
    return _of_tensors(data.spec, *kept)


def _of_tensors(spec: DataSpec, tensors: dict[str, Tensor], facts: dict[str, Any]) -> Extractor:
    """Return the extractor of a network's tensors."""
    with blank():  # built without a draw from the caller's random stream
        network = classifier.build(spec)
    network.load_state_dict(tensors, assign=True)
    network.to(memory_format=torch.channels_last)
    side = max(spec.shape[1:])
    resize = "none" if side <= classifier.SIDE else f"{side} to {classifier.SIDE}, antialiased bilinear"
    return ClassifierExtractor("classifier", network, checksum(tensors), resize, "[-1, 1]",
                               {"classifier": {**facts, "seed": CLASSIFIER_SEED, "version": classifier.VERSION}})


def _inception(path: Path, sha256: str) -> Extractor:
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError:
        raise UserError("features=inception needs torch-fidelity: pip install 'gancli[inception]'.") from None
    network = FeatureExtractorInceptionV3("inception", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(path))
    return Inception("inception", network, sha256, EXTRACTORS["inception"].resize, "(pixels - 128) / 128")


def _mobilenet(path: Path, sha256: str) -> Extractor:
    with blank():
        network = PooledMobileNet()
    network.network.load_state_dict(_state(path), assign=True)
    return ImageNet("mobilenet_v2", network.to(memory_format=torch.channels_last), sha256,
                    EXTRACTORS["mobilenet_v2"].resize, "ImageNet mean and standard deviation",
                    mean=tuple(255 * value for value in IMAGENET_MEAN), std=tuple(255 * value for value in IMAGENET_STD))


def _convolutions(name: str, taps: tuple[int, ...]) -> Callable[[Path, str], Extractor]:
    def build(path: Path, sha256: str) -> Extractor:
        with torch.device("meta"):
            network = Convolutions(name, taps)
        network.network.load_state_dict(_state(path), assign=True)
        return ImageNet(name, network.to(memory_format=torch.channels_last), sha256, EXTRACTORS[name].resize,
                        "ImageNet mean and standard deviation", mean=tuple(255 * value for value in IMAGENET_MEAN),
                        std=tuple(255 * value for value in IMAGENET_STD))
    return build


def _efficientnet(path: Path, sha256: str) -> Extractor:
    with blank():
        network = EfficientNetLite0()
    network.load_state_dict(_state(path), assign=True)
    return ImageNet("efficientnet_lite0", network.to(memory_format=torch.channels_last), sha256,
                    EXTRACTORS["efficientnet_lite0"].resize, "(pixels - 127) / 128", mean=(127.0,) * 3, std=(128.0,) * 3)


def _script(file: str, device: torch.device) -> Extractor:
    path = Path(file).expanduser()
    if not path.is_file():
        raise UserError(f"There is no file {path}: features= takes {', '.join(EXTRACTORS)}, or a TorchScript file.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TorchScript is deprecated, and still the form that such files have
            network = torch.jit.load(str(path), map_location=device)
    except RuntimeError:
        raise UserError(f"{path} is no TorchScript file: make one with torch.jit.script(network).save(...).") from None
    return Script(path.name, network, digest(path), "none", "[-1, 1], three channels")


def _state(path: Path) -> dict[str, Tensor]:
    return torch.load(path, map_location="cpu", weights_only=True)
