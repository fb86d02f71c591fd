"""Figures that a batch of generated examples gives beside real ones: distances, classes and silent units.

Distances are Euclidean, between points as they are and between images with sides of at most LONGEST_SIDE pixels.
They tell one failure from another at the price of a matrix product; how good the images are is for metrics to say.

Legend: N examples, M others, C channels, H height, W width, P coordinates, F values of an example.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, leaky_relu, relu
from torch.overrides import TorchFunctionMode

LONGEST_SIDE = 32
RELUS = (relu, torch.relu, Tensor.relu)


def flat(examples: Tensor) -> Tensor:
    """Return images [N, C, H, W], shrunk by averaging, or points [N, P] as values [N, F] in float32."""
    if examples.dim() == 4:
        height, width = (min(side, LONGEST_SIDE) for side in examples.shape[2:])
        if (height, width) != tuple(examples.shape[2:]):
            examples = adaptive_avg_pool2d(examples.float(), (height, width))
    return examples.float().flatten(1)


def mean_distance(x: Tensor) -> Tensor:
    """Return the mean distance [...] between two different ones of x [..., N, F]."""
    n = x.shape[-2]
    return torch.cdist(x, x).sum((-2, -1)) / (n * (n - 1))


def mean_distance_within(x: Tensor, labels: Tensor) -> Tensor:
    """Return the mean, over classes with two examples and more, of the mean distance within the class."""
    distances = [mean_distance(x[labels == label]) for label in labels.unique() if int((labels == label).sum()) > 1]
    return torch.stack(distances).mean() if distances else x.new_tensor(float("nan"))


def nearest(x: Tensor, others: Tensor, apart_from: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return the distance [N] from each of x [N, F] to the nearest of the others [M, F], and which it is [N].

    Args:
        apart_from: for each of x the number of the other that does not count, [N] (it is the same example).
    """
    distances = torch.cdist(x, others)
    if apart_from is not None:
        distances.scatter_(1, apart_from[:, None], float("inf"))
    return distances.min(1)


def two_sample_accuracy(real: Tensor, fake: Tensor) -> Tensor:
    """Return how often the nearest neighbor of an example is of its own kind: 1/2 where nothing tells them apart.

    The leave-one-out 1-NN two-sample test (Lopez-Paz & Oquab 2017, 1610.06545) on equally many of both.
    """
    n = min(len(real), len(fake))
    both = torch.cat((real[:n], fake[:n]))
    _, neighbors = nearest(both, both, torch.arange(2 * n, device=both.device))
    kinds = torch.arange(2 * n, device=both.device) < n
    return (kinds[neighbors] == kinds).float().mean()


def effective_classes(labels: Tensor, classes: int) -> Tensor:
    """Return exp(entropy) of the labels' histogram: k where k classes are equally frequent and others absent."""
    shares = torch.bincount(labels, minlength=classes) / len(labels)
    return torch.special.entr(shares).sum().exp()


class ReluWatch(TorchFunctionMode):
    """Counts, for each player, the ReLU units that are zero on a whole batch, while it is entered.

    It sees every call of relu, that of nn.ReLU included, and of leaky_relu with slope 0; other leaky units cannot die.
    A unit is a channel (dimension 1), silent if it is zero at every position of every example.
    """

    def __init__(self, players: Mapping[str, Sequence[nn.Module]]) -> None:
        super().__init__()
        self._players = players
        self._playing: list[str] = []
        self._hooks: list = []
        self._silent: dict[str, list[Tensor]] = {}

    def __enter__(self):
        for name, modules in self._players.items():
            for module in modules:
                self._hooks.append(module.register_forward_pre_hook(lambda *_, name=name: self._playing.append(name)))
                self._hooks.append(module.register_forward_hook(lambda *_: self._left(), always_call=True))
        return super().__enter__()

    def __exit__(self, *error) -> None:
        for hook in self._hooks:
            hook.remove()
        super().__exit__(*error)

    def __torch_function__(self, function, types, arguments=(), keywords=None):
        result = function(*arguments, **(keywords or {}))
        slope = arguments[1] if len(arguments) > 1 else (keywords or {}).get("negative_slope", 0.01)
        dying = function in RELUS or (function is leaky_relu and slope == 0)
        if dying and self._playing and result.dim() > 1:
            others = [dim for dim in range(result.dim()) if dim != 1]
            self._silent.setdefault(self._playing[-1], []).append(result.detach().amax(others) <= 0)
        return result

    def _left(self) -> None:
        self._playing.pop()

    def shares(self) -> dict[str, Tensor]:
        """Return the share of silent units in each player's worst layer; no entry for a player without ReLU."""
        return {name: torch.stack([layer.float().mean() for layer in layers]).max() for name, layers in self._silent.items()}
