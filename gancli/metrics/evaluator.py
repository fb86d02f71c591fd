"""Figures of a generator against a data set: generated examples stream past collectors, the real side is computed once.

    evaluator = Evaluator(options, data, data_dir, seed)
    evaluator.prepare()                      # trains or loads the extractor, statistics of the real examples
    for measured in evaluator(sampler):      # as often as wanted; the model must be in evaluation mode
        print(measured.name, measured.value)

Where several ranks have joined, every one must take part: they share the generation, rank 0 computes the figures, and all
return them.  Inside of `shards.alone()` one rank does all of it, and nothing is exchanged.

Legend: N batch, C channels, H height, W width, P coordinates of a point.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gancli.data.dataset import Data
from gancli.data.store import FOLDER
from gancli.features.cache import Cache
from gancli.features.extractors import Extractor, open_extractor
from gancli.metrics.catalog import METRICS
from gancli.metrics.collectors import BLOCK, Collector, Seen, make_collector
from gancli.metrics.context import Context, Examples, Pool
from gancli.metrics.needs import Options
from gancli.metrics.protocol import Measured, Protocol
from gancli.monitor.grids import Picture, to_uint8
from gancli.ranks import shards
from gancli.ranks.agreeing import first_goes_first, from_first, to_first
from gancli.seeds import mix

REAL_STREAM = 1 << 37  # of the real examples' order, kept apart from the engine's
REAL_SEED = 0  # fixed: runs with other seeds are compared with the same real examples, from one cache
REAL_BATCH = BLOCK
Told = Callable[[str, int, int], None]  # what is done, examples done, examples in all


def real_order(count: int) -> Tensor:
    """Return the shuffled rows [count] of the real examples: figures that look at some look at the first of these."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(mix(REAL_STREAM, REAL_SEED)))


class Evaluator:
    """Measures generators of one data set by one protocol."""

    def __init__(self, options: Options, data: Data, data_dir: Path, seed: int = 0, *, domain: int = 0,
                 holdout: Data | None = None, told: Told = lambda label, done, total: None) -> None:
        """Remember what is to be done; `check` should have passed.

        Args:
            data_dir: where statistics are cached and weights are found.
            seed: of the random choices of measures; latents are the sampler's affair.
            domain: of the data that is compared with (Sampler.domain of a model that translates).
            holdout: real examples that the model was not trained on.
            told: receives progress.
        """
        self.options, self.data, self.data_dir, self.seed = options, data, data_dir, seed
        self.domain, self.holdout, self.told = domain, holdout, told
        self.cache = Cache(data_dir / FOLDER)
        self.extractor: Extractor | None = None
        self.pictures: dict[str, Picture] = {}  # of the last evaluation
        count = data.counts[domain]
        self.order = real_order(count)[:options.real or count]
        self._real: dict[str, Any] | None = None  # what each measure keeps of the real examples

    @property
    def notes(self) -> list[str]:
        """Sentences for the user's log: caches that could not be used."""
        return self.cache.notes

    @property
    def needs_extractor(self) -> bool:
        """Whether a metric reads features."""
        return any(METRICS[name].needs_features for name in self.options.metrics)

    def prepare(self) -> None:
        """Load or train the extractor and compute what is needed of the real examples, or take it from the cache."""
        if self.needs_extractor:
            with first_goes_first():
                self._open_extractor()
        if shards.leads() and self._real is None:  # the others only generate
            self._real = self._digest(self._collect_real())

    def __call__(self, sampler: Examples) -> list[Measured]:
        """Return the figures of the sampler's first n examples (or of all, if there are fewer)."""
        self.prepare()
        n = self.options.n if sampler.limit is None else min(self.options.n, sampler.limit)
        context = self._context(n, sampler)
        pool = self._pool(n, mix(self.seed, 3), real=False)
        finite = self._stream(sampler, n, pool) if pool else True
        finite = _merge_ranks(pool, finite)
        return from_first(self._scores(pool, context, finite) if shards.leads() else [])

    # The real side

    def _open_extractor(self) -> None:
        if self.extractor is None:
            self.extractor = open_extractor(self.options.features, self.options.features_weights, self.data, self.data_dir,
                                            self.cache, lambda done, total: self.told("training the classifier", done, total))

    def _collect_real(self) -> Pool:
        """Return what was collected of the real examples; what an extractor was needed for is kept on disk."""
        pool, missing = self._pool(len(self.order), mix(self.seed, 4), real=True), []
        for kind, collector in pool.items():
            kept = self.cache.get(kind, self._description(collector)) if collector.needs_features else None
            if kept is None:
                missing.append(collector)
            else:
                device = self.data.device if collector.on_device else "cpu"
                collector.merge([{name: tensor.to(device) for name, tensor in kept[0].items()}])
        if missing:
            self._see_real(missing)
        for collector in missing:
            if collector.needs_features:
                self.cache.put(collector.kind, self._description(collector), collector.state(), {})
        return pool

    def knows_real(self) -> bool:
        """Whether all that is needed of the real examples is kept on disk; the extractor must be there."""
        pool = self._pool(len(self.order), mix(self.seed, 4), real=True)
        return all(collector.needs_features and self.cache.get(kind, self._description(collector)) is not None
                   for kind, collector in pool.items())

    def _digest(self, pool: Pool) -> dict[str, Any]:
        """Return what each measure keeps of its collectors."""
        context = self._context(self.options.n, None)
        return {name: METRICS[name].digest(self._part(pool, name, real=True), context) for name in self.options.metrics}

    def _see_real(self, collectors: Sequence[Collector]) -> None:
        """Show the real examples to collectors, no more of them than those want."""
        limits = [collector.limit for collector in collectors]
        total = len(self.order) if None in limits else min(max(limits), len(self.order))
        looks = any(collector.needs_features for collector in collectors)
        for start in range(0, total, REAL_BATCH):
            stop = min(start + REAL_BATCH, total)
            x = self.data.examples(self.order[start:stop], self.domain)
            self._show(x, start, collectors, looks)
            self.told("looking at real examples", stop, total)

    def _description(self, collector: Collector) -> dict:
        return {"data": self.data.fingerprint, "domain": self.domain, "real": len(self.order), "order": REAL_SEED,
                "settings": collector.settings, "extractor": self.extractor.facts}

    # The generated side

    def _stream(self, sampler: Examples, n: int, pool: Pool) -> bool:
        """Show this rank's share of the generated examples to the collectors; returns whether all were finite."""
        size = max(BLOCK, sampler.batch_size // BLOCK * BLOCK)
        collectors, finite = list(pool.values()), True
        looks = any(collector.needs_features for collector in collectors)
        for start, stop in shards.shares(n, size):
            x = sampler(start, stop)
            finite = finite and bool(x.isfinite().all())
            self._show(x, start, collectors, looks)
            self.told("generating", stop, n)
        return finite

    def _show(self, x: Tensor, start: int, collectors: Sequence[Collector], looks: bool) -> None:
        """Round images to 8 bits, extract their features where wanted, and pass all on."""
        features = None
        if self.data.spec.is_image:
            pixels = to_uint8(x)
            if looks:
                features = self.extractor(pixels)
            x = pixels.float().mul_(1 / 127.5).sub_(1)
        for collector in collectors:
            collector.add(Seen(start, x, features))

    def _scores(self, pool: Pool, context: Context, finite: bool) -> list[Measured]:
        measured = []
        for name in self.options.metrics:
            self.told(f"computing {name}", context.n, context.n)
            with torch.no_grad():
                score = METRICS[name].score(self._real[name], self._part(pool, name, real=False), context)
            protocol = Protocol(name, score.generated, score.real, self._seed_of(context), self._facts_of_data(),
                                self.extractor.facts if METRICS[name].needs_features else None, score.details)
            measured += [Measured(figure, float(value) if finite else float("nan"), protocol)
                         for figure, value in score.values.items()]
        self.pictures = context.pictures
        return measured

    def _seed_of(self, context: Context) -> int:
        return getattr(context.sampler, "seed", self.seed)

    def _facts_of_data(self) -> dict:
        return {"fingerprint": self.data.fingerprint, "split": self.data.split, "domain": self.domain,
                "rounding": "8 bits" if self.data.spec.is_image else "none", "mirrored": False,
                "choice": f"the first of a permutation, seed {REAL_SEED}"}

    # Both

    def _pool(self, total: int, seed: int, *, real: bool) -> Pool:
        """Return empty collectors of all kinds that the metrics need on one side, each once."""
        spec = self.data.spec
        kinds = dict.fromkeys(kind for name in self.options.metrics for kind in METRICS[name].kinds(real, spec.is_image))
        return {kind: make_collector(kind, total, spec.shape, seed) for kind in kinds}

    def _part(self, pool: Pool, name: str, *, real: bool) -> Pool:
        """Return the collectors that a measure has asked for."""
        return {kind: pool[kind] for kind in METRICS[name].kinds(real, self.data.spec.is_image)}

    def _context(self, n: int, sampler: Examples | None) -> Context:
        return Context(n, self.seed, self.data, self.domain, self.order, self.extractor, self.holdout, sampler)


def _merge_ranks(pool: Pool, finite: bool) -> bool:
    """Give rank 0's collectors what all ranks have taken; returns whether all of it was finite."""
    if shards.world() == 1:
        return finite
    mine = {kind: {name: tensor.cpu() for name, tensor in collector.state().items()} for kind, collector in pool.items()}
    gathered = to_first((mine, finite))
    for kind, collector in pool.items() if gathered else ():
        collector.merge([states[kind] for states, _ in gathered])
    return all(part for _, part in gathered)
