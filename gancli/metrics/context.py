"""What a measure may look at beside what was collected for it."""

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from gancli.data.dataset import Data
from gancli.features.extractors import Extractor
from gancli.metrics.collectors import Collector
from gancli.monitor.grids import Picture
from gancli.seeds import mix

Pool = dict[str, Collector]  # by kind


class Examples(Protocol):
    """What is judged; gancli.game.sampler.Sampler is one."""

    batch_size: int
    limit: int | None  # examples there are; None: endless

    def __call__(self, start: int, stop: int) -> Tensor:
        """Return examples start to stop: images in [-1, 1], or points."""

    def labels(self, start: int, stop: int) -> Tensor | None:
        """Return their classes where the model takes labels."""


@dataclass
class Context:
    """The data, the extractor and the sampler of one evaluation."""

    n: int  # generated examples
    seed: int  # of random choices
    data: Data
    domain: int  # of the data that is compared with
    order: Tensor  # rows of the real examples compared with, shuffled
    extractor: Extractor | None
    holdout: Data | None  # real examples that the model was not trained on
    sampler: Examples | None = None
    pictures: dict[str, Picture] = field(default_factory=dict)  # what measures draw

    def real(self, start: int, stop: int) -> Tensor:
        """Return real examples by their position in the order."""
        return self.data.examples(self.order[start:stop], self.domain)

    def sequences(self, tokens: Tensor) -> list[list[int]]:
        """Return sequences [N, T] as lists up to their ends."""
        end = self.data.spec.end
        return [row[:row.index(end)] if end in row else row for row in tokens.tolist()]

    @property
    def test_data(self) -> Data:
        """The held-out examples; where there are none, those that were trained on (measures that only like a holdout)."""
        return self.holdout or self.data

    def held_out(self, count: int) -> Tensor:
        """Return up to so many held-out examples, at random."""
        return self.test_data.examples(self.held_out_rows(count), self.domain)

    def held_out_rows(self, count: int) -> Tensor:
        """Return which ones these are."""
        random = torch.Generator().manual_seed(mix(self.seed, 1))
        return torch.randperm(self.test_data.counts[self.domain], generator=random)[:count]
