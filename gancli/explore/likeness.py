"""How far images are from others: in their pixels and, if wanted, in the features of a named extractor.

Legend: N images, M others, C channels, H height, W width, F features.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from gancli.data.dataset import load_data, open_source
from gancli.data.store import FOLDER
from gancli.errors import UserError
from gancli.explore.dataset import DatasetPlace, check_shape, run_dataset
from gancli.explore.loaded import Loaded
from gancli.explore.stages import Stages
from gancli.features.cache import Cache
from gancli.features.extractors import Extractor, open_extractor, open_published

Features = Callable[[Tensor], Tensor]  # of images [N, C, H, W] in [-1, 1], [N, F]; gradients flow


class Likeness:
    """Mean squared difference of pixels in [-1, 1], plus a weight times that of features.

    The features' is relative, |f(x) - f(y)|^2 / |f(y)|^2, so that one weight suits extractors of any scale; Zhu 2016 adds
    0.002 times the squared difference of AlexNet's fourth layer.
    """

    def __init__(self, features: Features | None = None, weight: float = 0.0) -> None:
        self.features, self.weight = features if weight else None, weight

    def to(self, targets: Tensor) -> Callable[[Tensor], Tensor]:
        """Return the function from images [N, C, H, W] to the distances [N] from each one's own target [N, C, H, W]."""
        if self.features is None:
            return lambda images: (images - targets).square().flatten(1).mean(1)
        features = self.features
        wanted = self._seen(targets)
        lengths = wanted.square().sum(1).clamp_min(1e-12)

        def distance(images: Tensor) -> Tensor:
            apart = (features(images) - wanted).square().sum(1) / lengths
            return (images - targets).square().flatten(1).mean(1) + self.weight * apart
        return distance

    def between(self, targets: Tensor, images: Tensor) -> Tensor:
        """Return the distance of every image [M, C, H, W] from every target [N, C, H, W], [N, M]; no gradients."""
        x, y = targets.flatten(1).double(), images.flatten(1).double()
        table = (x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.t()).clamp_min(0) / x.shape[1]
        if self.features is None:
            return table
        f, g = self._seen(targets).double(), self._seen(images).double()
        squares = f.square().sum(1)[:, None]
        apart = (squares + g.square().sum(1) - 2 * f @ g.t()).clamp_min(0)
        return table + self.weight * apart / squares.clamp_min(1e-12)

    def _seen(self, images: Tensor) -> Tensor:
        assert self.features is not None  # who asks has looked
        with torch.no_grad():
            return self.features(images)


def open_likeness(loaded: Loaded, features: str | None, weight: float, weights: str | None, data_dir: Path,
                  place: DatasetPlace, stages: Stages) -> Likeness:
    """Return the distance that `features=` and `features_weight=` describe; trains or finds an extractor where one is named.

    Raises:
        UserError: an extractor that cannot be had, or that no gradient passes through.
    """
    if features is None or weight == 0:
        return Likeness()
    if features == "inception":
        raise UserError("features=inception sees whole pixel values, through which no gradient passes: give "
                        "features=mobilenet_v2, efficientnet_lite0, classifier or a TorchScript file.")
    extractor = _extractor(loaded, features, weights, data_dir, place, stages)
    for parameter in extractor.network.parameters():  # of TorchScript, too, which has no requires_grad_ of its own
        parameter.requires_grad_(False)
    return Likeness(lambda images: extractor.see((images + 1) * 127.5)[0].float(), weight)


def _extractor(loaded: Loaded, features: str, weights: str | None, data_dir: Path, place: DatasetPlace,
               stages: Stages) -> Extractor:
    if features != "classifier":
        return open_published(features, weights, data_dir, loaded.device)
    if weights is not None:
        raise UserError("features=classifier takes no features_weights=: leave that out.")
    dataset = run_dataset(loaded, place)
    spec = open_source(dataset, data_dir).inspect()
    check_shape(loaded, spec)
    if not spec.classes:
        raise UserError("features=classifier is trained on labels and this data set has none: give features=mobilenet_v2.")
    data = load_data(dataset, data_dir, loaded.device, 0, stages.decoding)
    return open_extractor(features, None, data, data_dir, Cache(data_dir / FOLDER),
                          lambda done, total: stages.told("training the classifier", done, total))
