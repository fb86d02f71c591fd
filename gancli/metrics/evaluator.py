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
from typing import Protocol as Shape

import torch
from torch import Tensor

from gancli.data.dataset import Data
from gancli.data.spec import DataSpec
from gancli.data.store import FOLDER
from gancli.errors import UserError
from gancli.features.cache import Cache
from gancli.features.extractors import Extractor, open_extractor
from gancli.features.weights import EXTRACTORS, find_weights, is_script
from gancli.metrics.catalog import METRICS
from gancli.metrics.collectors import BLOCK, Collector, Seen, make_collector
from gancli.metrics.context import Context, Examples, Pool
from gancli.metrics.protocol import Measured, Protocol
from gancli.monitor.grids import Picture, to_uint8
from gancli.ranks import shards
from gancli.ranks.agreeing import first_goes_first, from_first, to_first
from gancli.seeds import mix

REAL_STREAM = 1 << 37  # of the real examples' order, kept apart from the engine's
REAL_SEED = 0  # fixed: runs with other seeds are compared with the same real examples, from one cache
REAL_BATCH = BLOCK
Told = Callable[[str, int, int], None]  # what is done, examples done, examples in all


class Options(Shape):
    """What an evaluator reads of its options."""

    metrics: list[str]
    n: int
    features: str
    features_weights: str | None
    real: int | None


def check(options: Options, spec: DataSpec, data_dir: Path, *, latents: bool, mixture: bool = False,
          holdout: bool = False, conditional: bool = False, classifies: bool = False, second: bool = False,
          oracle: bool = False, tells_likelihood: bool = False) -> None:
    """Raise a UserError for a metric that cannot be computed; nothing is read but the existence of weights.

    Args:
        latents: the model draws latents and generates from them.
        mixture: the data are a toy density whose centers are known.
        holdout: there are real examples that the model was not trained on.
        conditional: the model generates by labels.
        classifies: the model classifies.
        second: the model generates two domains, and it is known how the second is made (dataset.second).
        oracle: what drew the data is known.
        tells_likelihood: the model tells how likely sequences are.
    """
    for name in options.metrics:
        reason = (_lacking_of_tokens(name, spec, oracle, tells_likelihood)
                  or _lacking(name, options.features, spec, latents, mixture, holdout, conditional, classifies, second))
        if reason:
            raise UserError(f"metrics={name} {reason}")
        _refuse_few(name, options.n, spec.count if options.real is None else min(options.real, spec.count))
    features = options.features
    if any(METRICS[name].needs_features for name in options.metrics):
        if features == "classifier" and not spec.classes:
            raise UserError("features=classifier is trained on labels and this data set has none: give "
                            "features=mobilenet_v2 or features=inception, or metrics=[swd], which needs no features.")
        if not is_script(features) and EXTRACTORS[features].weights is not None:
            find_weights(features, options.features_weights, data_dir)
        elif is_script(features) and not Path(features).expanduser().is_file():
            raise UserError(f"There is no file {features}: features= takes {', '.join(EXTRACTORS)}, or a TorchScript file.")
        elif options.features_weights is not None:
            raise UserError(f"features={features} takes no features_weights=: leave that out.")


def _lacking_of_tokens(name: str, spec: DataSpec, oracle: bool, tells_likelihood: bool) -> str:
    """Return what keeps a metric from being computed on such a kind of data, as the rest of a sentence."""
    measure = METRICS[name]
    if (spec.kind == "tokens") != measure.needs_tokens:
        mine = ",".join(other for other in METRICS if METRICS[other].needs_tokens)
        kind, instead = ("images or points", mine) if spec.kind == "tokens" else ("tokens", "swd")
        return f"needs {kind} and this data set holds {spec.kind}: give some of metrics=[{instead}]."
    if measure.needs_oracle and not oracle:
        return "needs what drew the data, which dataset=oracle alone tells: leave it out."
    if measure.needs_likelihood and not tells_likelihood:
        return "asks the model how likely sequences are, and this one cannot tell: leave it out."
    return ""


def _lacking(name: str, features: str, spec: DataSpec, latents: bool, mixture: bool, holdout: bool,
             conditional: bool, classifies: bool, second: bool) -> str:
    """Return what keeps a metric from being computed, as the rest of a sentence; empty where nothing does."""
    measure = METRICS[name]
    if measure.needs_points and not mixture:
        return "needs a toy density whose modes are known (ring, grid, mixture_1d), and this data set is none."
    if (measure.needs_images or measure.needs_features) and not spec.is_image:
        return "needs images and this data set holds points: use metrics=[swd] or, for mixtures, [swd,modes]."
    if measure.needs_labels and not spec.classes:
        return "needs labels and this data set has none: leave it out."
    if measure.needs_condition and not conditional:
        return "asks whether samples are of the class that the model was told, and this one is told none: leave it out."
    if measure.needs_classify and not classifies:
        return "looks at a model's own classification, and this one has none: leave it out."
    if measure.needs_pairs and not spec.paired:
        return "compares translations with their true partners, and these data are no pairs: leave it out."
    if measure.needs_latents and not latents:
        return "moves latents and this model has none to move: leave it out."
    if measure.needs_second and not second:
        return ("compares two domains' images of one latent, and needs a model that makes both (cogan) and data with "
                "dataset.second=: leave it out.")
    if measure.needs_holdout and not holdout:
        return "needs real examples that the model was not trained on, and here are none: leave it out."
    return measure.refuses(features)


def _refuse_few(name: str, generated: int, real: int) -> None:
    """Raise a UserError for fewer examples than a measure can work with."""
    least = METRICS[name].least
    for key, count in (("n", generated), *([("real", real)] if METRICS[name].real else [])):
        if count < least:
            raise UserError(f"metrics={name} needs at least {least} examples of each side, and {key} is {count}.")


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

    def prepare(self) -> None:
        """Load or train the extractor and compute what is needed of the real examples, or take it from the cache."""
        if any(METRICS[name].needs_features for name in self.options.metrics):
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
