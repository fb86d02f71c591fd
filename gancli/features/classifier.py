"""The extractor `classifier`: a small convolutional network trained once on the data set's labels.

It works without any download, and sees what matters in the data at hand (an ImageNet network sees little in digits).

Legend: N batch, C channels, H height, W width, K classes.
"""

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
EPOCHS, MOST_IMAGES = 40, 100_000  # whichever ends first
BATCH, SMALL_BATCH, FEW = 128, 32, 10_000  # fewer examples than FEW are seen in small batches, for more steps
LR, WEIGHT_DECAY = 3e-3, 1e-2
STREAM = 1 << 36  # kept apart from the engine's
VERSION = 1  # raised when the same seed would give another network


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
    """Train on the labels of the data; the same seed and device give the same network.

    AdamW (Loshchilov 2019) under one cycle of the learning rate (Smith 2018).  Labels are not smoothed: the inception
    score needs sure answers.

    Args:
        progress: told (images shown, images to show).
    """
    device, count = data.device, data.spec.count
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(mix(STREAM, seed))
        order = torch.Generator().manual_seed(mix(STREAM, seed, 1))
        rows = torch.randperm(count, generator=order)
        held = rows[:min(round(HELD_OUT * count), MOST_HELD_OUT)]
        rows = rows[len(held):]
        network = build(data.spec).to(device, memory_format=torch.channels_last)
        size = min(BATCH if len(rows) >= FEW else SMALL_BATCH, len(rows))
        steps = max(min(EPOCHS * len(rows), MOST_IMAGES) // size, 1)
        optimizer = torch.optim.AdamW(network.parameters(), LR, weight_decay=WEIGHT_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, total_steps=max(steps, 2))
        shuffled, place = rows[:0], 0
        for step in range(steps):
            if place + size > len(shuffled):
                shuffled, place = rows[torch.randperm(len(rows), generator=order)], 0
            part = shuffled[place:place + size]
            place += size
            _step(network, optimizer, data, part)
            schedule.step()
            progress((step + 1) * size, steps * size)
        network.eval().requires_grad_(False)
        return Trained(network, _accuracy(network, data, held if len(held) else rows), len(held), steps * size)


def _step(network: nn.Module, optimizer: torch.optim.Optimizer, data: Data, rows: Tensor) -> None:
    x, labels = shrunk(data.examples(rows)), data.labels(rows)
    with torch.autocast(data.device.type, torch.bfloat16, enabled=has_native_bf16(data.device)):
        _, logits = network(x)
    loss = functional.cross_entropy(logits.float(), labels)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


@torch.no_grad()
def _accuracy(network: nn.Module, data: Data, rows: Tensor) -> float:
    right = 0
    for part in rows.split(500):
        right += int((network(shrunk(data.examples(part)))[1].argmax(1) == data.labels(part)).sum())
    return right / len(rows)
