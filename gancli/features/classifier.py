"""The extractor `classifier`: a small convolutional network trained once on the data set's labels.

It works without any download, and sees what matters in the data at hand (an ImageNet network sees little in digits).

Legend: N batch, C channels, H height, W width, K classes.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from gancli.data.dataset import Data
from gancli.data.spec import DataSpec
from gancli.devices import has_native_bf16
from gancli.seeds import mix

SIDE = 32  # larger images are shrunk, so that the cost is bounded
WIDTHS = (32, 64, 128)  # channels at a half, a quarter and an eighth of the side
HELD_OUT, MOST_HELD_OUT = 0.1, 5000  # share and number of examples that only the accuracy is measured on
EPOCHS, MOST_IMAGES = 40, 100_000  # the longest training: whichever ends first
CHECK_IMAGES = 5000  # shown between two looks at the held-out examples, or a pass where that is less
PATIENCE, BETTER = 3, 0.01  # looks without a loss that is lower by this share, after which the rate falls
DECAY = 0.25  # of the images shown until then, during which the rate falls to 0
WARM_STEPS = 50
TIMED_STEPS = 8
BATCH, SMALL_BATCH, FEW = 128, 32, 10_000  # fewer examples than FEW are seen in small batches, for more steps
LR, WEIGHT_DECAY = 3e-3, 1e-2
STREAM = 1 << 36  # kept apart from the engine's
VERSION = 2  # raised when the same seed would give another network


class Classifier(nn.Module):
    """Images [N, C, H, W] in [-1, 1], sides at most SIDE, to features [N, 128] and logits [N, K]."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        first, second, third = WIDTHS
        shape = ((channels, first, 2), (first, second, 1), (second, third, 2), (third, third, 2))
        layers: list[nn.Module] = []
        for channels_in, channels_out, stride in shape:
            layers += [nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False), nn.BatchNorm2d(channels_out),
                       nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(third, classes)

    def layers(self, x: Tensor) -> list[Tensor]:
        """Return the map [N, F, h, w] of each convolution, rectified."""
        maps = []
        for layer in self.body:
            x = layer(x)
            maps += [x] if isinstance(layer, nn.ReLU) else []
        return maps

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(x).float().mean((2, 3))
        return features, self.head(features)


class StackedClassifier(nn.Module):
    """Three digits as the channels [N, 3, H, W] to features [N, 384] and the logits [N, 1000] of their number.

    One network reads every channel.  The logit of a number is the sum of its digits', so that the cross-entropy of
    numbers is the sum of that of digits: a thousand classes are learned as ten.
    """

    def __init__(self) -> None:
        super().__init__()
        self.digit = Classifier(1, 10)

    def layers(self, x: Tensor) -> list[Tensor]:
        """Return the maps of the three digits' networks below each other, [N, 3 F, h, w]."""
        return [maps.unflatten(0, (-1, 3)).flatten(1, 2) for maps in self.digit.layers(x.flatten(0, 1)[:, None])]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features, logits = self.digit(x.flatten(0, 1)[:, None])
        hundreds, tens, ones = logits.float().unflatten(0, (-1, 3)).unbind(1)
        number = hundreds[:, :, None, None] + tens[:, None, :, None] + ones[:, None, None, :]
        return features.unflatten(0, (-1, 3)).flatten(1), number.flatten(1)


def build(spec: DataSpec) -> nn.Module:
    """Return the untrained network for such data."""
    stacked = spec.shape[0] == 3 and spec.classes == tuple(f"{number:03d}" for number in range(1000))
    return StackedClassifier() if stacked else Classifier(spec.shape[0], len(spec.classes))


@dataclass
class Trained:
    """A trained classifier and how well it does."""

    network: nn.Module
    accuracy: float  # on the held-out examples
    held_out: int
    images: int  # shown in training


def shrunk(x: Tensor) -> Tensor:
    """Return float images whose longer side is at most SIDE, by antialiased bilinear interpolation."""
    longer = max(x.shape[2:])
    if longer <= SIDE:
        return x
    size = [max(1, round(side * SIDE / longer)) for side in x.shape[2:]]
    return functional.interpolate(x, size, mode="bilinear", antialias=True)


def train(data: Data, seed: int, progress: Callable[[int, int], None]) -> Trained:
    """Train on the labels of the data until held-out examples teach nothing more; the same seed and device, the same network.

    AdamW (Loshchilov 2019) at a constant rate until the held-out loss stands still, then a linear decay to 0 over a quarter of
    what was shown (the schedule of Hu 2024, 2404.06395: its end need not be known beforehand).  Labels are not smoothed: the
    inception score needs sure answers.

    Args:
        progress: told (images shown, images to show at most).
    """
    device = data.device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(mix(STREAM, seed))
        course = _Course(data, seed)
        network = build(data.spec).to(device, memory_format=torch.channels_last)
        optimizer = _optimizer(network)
        while (rate := course.rate()) > 0:
            for group in optimizer.param_groups:
                group["lr"] = rate
            _step(network, optimizer, data, course.take())
            if course.checks:
                course.note(_held_loss(network, data, course.held))
            progress(course.shown, course.most)
        progress(course.most, course.most)
        network.eval().requires_grad_(False)
        held = course.held if len(course.held) else course.rows
        return Trained(network, _accuracy(network, data, held), len(course.held), course.shown)


def price(data: Data) -> float:
    """Return the seconds that training takes at most, by a few steps on the data; no caller's random draw is touched."""
    device = data.device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        course = _Course(data, 0)
        network = build(data.spec).to(device, memory_format=torch.channels_last)
        optimizer = _optimizer(network)
        for step in range(2 * TIMED_STEPS):
            if step == TIMED_STEPS:  # the first ones find memory and kernels
                begun = time.perf_counter()
            _step(network, optimizer, data, course.take())
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return (time.perf_counter() - begun) / TIMED_STEPS * course.most / course.size


def longest(count: int) -> int:
    """Return the images that training on so many examples shows at most."""
    return min(EPOCHS * count, MOST_IMAGES)


class _Course:
    """Which examples are shown, at which rate, and when no more are."""

    def __init__(self, data: Data, seed: int) -> None:
        self.order = torch.Generator().manual_seed(mix(STREAM, seed, 1))
        rows = torch.randperm(data.spec.count, generator=self.order)
        self.held = rows[:min(round(HELD_OUT * data.spec.count), MOST_HELD_OUT)]
        self.rows = rows[len(self.held):]
        self.size = min(BATCH if len(self.rows) >= FEW else SMALL_BATCH, len(self.rows))
        self.most = max(longest(len(self.rows)) // self.size, 1) * self.size
        self.shown = 0
        self.decay = round(self.most / (1 + DECAY)), self.most  # images at which the rate begins and ends to fall
        self.lowest, self.waited = float("inf"), 0
        self.every = max(self.size, min(CHECK_IMAGES, len(self.rows)) // self.size * self.size)
        self._shuffled, self._place = rows[:0], 0

    def take(self) -> Tensor:
        """Return the rows of the next batch."""
        if self._place + self.size > len(self._shuffled):
            self._shuffled, self._place = self.rows[torch.randperm(len(self.rows), generator=self.order)], 0
        part = self._shuffled[self._place:self._place + self.size]
        self._place += self.size
        self.shown += self.size
        return part

    def rate(self) -> float:
        """Return the learning rate of the next step; 0 at the end."""
        begin, end = self.decay
        warm = min(1.0, (self.shown / self.size + 1) / WARM_STEPS)
        return LR * warm * min(1.0, max(0.0, (end - self.shown) / max(1, end - begin)))

    @property
    def checks(self) -> bool:
        """Whether the held-out examples are looked at now."""
        return len(self.held) > 0 and self.shown < self.decay[0] and self.shown % self.every == 0

    def note(self, loss: float) -> None:
        """Take in a held-out loss; let the rate fall where there has been no lower one for a while."""
        self.waited = 0 if loss < (1 - BETTER) * self.lowest else self.waited + 1
        self.lowest = min(self.lowest, loss)
        if self.waited >= PATIENCE:
            self.decay = self.shown, min(self.most, round(self.shown * (1 + DECAY)))


def _optimizer(network: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(network.parameters(), LR, weight_decay=WEIGHT_DECAY)


def _step(network: nn.Module, optimizer: torch.optim.Optimizer, data: Data, rows: Tensor) -> None:
    x, labels = shrunk(data.examples(rows)), data.labels(rows)
    with torch.autocast(data.device.type, torch.bfloat16, enabled=has_native_bf16(data.device)):
        _, logits = network(x)
    loss = functional.cross_entropy(logits.float(), labels)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


@torch.no_grad()
def _held_loss(network: nn.Module, data: Data, rows: Tensor) -> float:
    """Return the mean cross-entropy on held-out examples, as the network is in use."""
    network.eval()
    total = sum(float(functional.cross_entropy(network(shrunk(data.examples(part)))[1].float(), data.labels(part),
                                               reduction="sum")) for part in rows.split(500))
    network.train()
    return total / len(rows)


@torch.no_grad()
def _accuracy(network: nn.Module, data: Data, rows: Tensor) -> float:
    right = 0
    for part in rows.split(500):
        right += int((network(shrunk(data.examples(part)))[1].argmax(1) == data.labels(part)).sum())
    return right / len(rows)
