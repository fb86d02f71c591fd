"""A look at what a model makes of the same latents every time: the signals of the sampling tick.

It knows a model by its abilities alone (`draw_latents` and `generate`, or `translate`), and is silent on one that has
neither.  Everything is measured beside real examples of the same run, so that the figures mean the same for all data.

Legend: N examples, F values of an example, T training examples compared with.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gancli.diagnosis.signals import (
    ReluWatch,
    effective_classes,
    flat,
    mean_distance,
    mean_distance_within,
    nearest,
    two_sample_accuracy,
)
from gancli.game.abilities import able
from gancli.game.translating import among_domains, next_targets, translated
from gancli.seeds import mix

STREAM = 1 << 36  # of the latents; kept apart from the engine's and the commands'
IMAGES, POINTS, TRANSLATED = 128, 512, 32  # examples looked at
AT_ONCE = 64  # in one pass through the networks
LARGEST_BATCH, LARGEST_SAMPLE = 1 << 22, 1 << 24  # values in one pass, and of all examples: fewer where images are large
ROWS = 16  # classes of a conditional model that are looked at
LARGEST_REFERENCE = 1 << 21  # values of training examples compared with (8 MiB): 2,048 images of 32x32
LARGEST_HALF = 65504.0
COPY = 0.5  # of the median distance from real to real: a generated image so near to a training image is a copy
LEAST_APART = 0.02  # by which real examples of a class must differ less than any, for labels to tell anything
FAR = 0.25  # of the mean distance of real points: one with no generated point so near is missed


@dataclass
class Real:
    """Real examples of one domain and what distances among them are."""

    examples: Tensor  # [N, F]
    training: Tensor  # [T, F], of which the first N are the examples
    labels: Tensor | None  # [T]
    spacing: float  # mean distance of two examples
    to_nearest: float  # median distance to the nearest other among the training examples


class Examination:
    """Compares generated with real examples; the caller sees to evaluation mode."""

    def __init__(self, model: Any, data: Any, seed: int) -> None:
        spec = data.spec
        self.model, self.seed, self.spec = model, seed, spec
        self.able = able(model, "sample") and spec.kind != "tokens"
        self.translates = not self.able and able(model, "translate")
        self.device = next(model.parameters()).device
        size = math.prod(spec.shape)
        self.at_once = max(4, min(AT_ONCE, LARGEST_BATCH // size))
        self.most = max(16, LARGEST_SAMPLE // size)
        self.batch = data.first(min(self.at_once, spec.count))
        self.before: dict[str, Tensor] = {}  # what the last look saw, [N, F], in half precision: checkpoints hold it
        if self.able:
            self._fix_latents(data)
        elif self.translates and among_domains(model):
            self.shown = data.first(min(TRANSLATED, self.at_once, spec.count))
            self.targets = next_targets(model, self.shown, torch.arange(len(self.shown)))
            self.real = {"translations": _real(flat(self.shown.real), None, len(self.shown))}
        elif self.translates:
            self.sources = data.first(min(TRANSLATED, self.at_once, spec.count)).domains
            self.real = {name: _real(flat(source), None, len(source))
                         for name, source in zip(spec.domains, self.sources, strict=True)}

    def _fix_latents(self, data: Any) -> None:
        n = min(IMAGES if self.spec.is_image else POINTS, self.most)
        labeled = bool(self.model.needs.labels)
        classes = min(len(self.spec.classes), ROWS) if labeled else 0
        self.z = self.model.draw_latents(n, torch.Generator().manual_seed(mix(self.seed, STREAM)))
        self.labels = torch.arange(n) % classes if classes else None
        values = flat(self.batch.real[:1]).shape[1]
        known = data.first(min(self.spec.count, max(n, min(LARGEST_REFERENCE // values, self.most))))
        self.real = {"samples": _real(flat(known.real), known.labels, n)}

    @torch.no_grad()
    def look(self, shown: Any, trained: Any, progress: Any) -> dict[str, float]:
        """Return the signals by name; the same weights give the same figures.

        Args:
            shown: the model that samples are drawn from (averaged weights).
            trained: the model that is being trained, whose silent units are counted.
            progress: where the run stands, as the losses want it.
        """
        found: dict[str, Tensor] = {}
        for name, examples in self._examples(shown).items():
            for key, value in self._signals(name, examples).items():
                found[key] = torch.minimum(found[key], value) if key in found else value  # the worse domain
        found |= {f"dead_units/{player}": share for player, share in self._silent_units(trained, progress).items()}
        if not found:
            return {}
        return dict(zip(found, torch.stack([value.float() for value in found.values()]).tolist(), strict=True))

    def _examples(self, model: Any) -> dict[str, Tensor]:
        """Return what the model makes of the fixed latents, or of the fixed images, as values [N, F]."""
        if self.able:
            labels = [None] * len(self.z) if self.labels is None else self.labels.split(self.at_once)
            parts = [model.generate(z.to(self.device), *([] if label is None else [label.to(self.device)]))
                     for z, label in zip(self.z.split(self.at_once), labels)]
            return {"samples": torch.cat([flat(part) for part in parts])}
        if self.translates and among_domains(model):
            return {"translations": flat(translated(model, self.shown.real, self.targets))}
        if self.translates:
            of = dict(zip(self.spec.domains, reversed(self.sources), strict=True))  # what each domain is translated from
            return {name: flat(model.translate(of[name], name)) for name in model.targets}
        return {}

    def _signals(self, name: str, fake: Tensor) -> dict[str, Tensor]:
        real = self.real[name]
        found = {"diversity": mean_distance(fake) / real.spacing}
        if name in self.before and self.before[name].shape == fake.shape:  # a checkpoint may be a stranger's
            found["drift"] = (fake - self.before[name].to(fake)).norm(dim=1).mean() / real.spacing
        self.before[name] = fake.clamp(-LARGEST_HALF, LARGEST_HALF).half()
        if self.translates or len(real.examples) < 2:
            return found
        found["two_sample"] = two_sample_accuracy(real.examples, fake)
        if not self.spec.is_image:
            gaps, _ = nearest(real.examples, fake)
            return found | {"missed": (gaps > FAR * real.spacing).float().mean()}
        gaps, neighbors = nearest(fake, real.training)
        if real.to_nearest > 0:
            found["training_distance"] = gaps.median() / real.to_nearest
            found["copies"] = (gaps < COPY * real.to_nearest).float().mean()
        if real.labels is not None:
            found |= self._class_signals(real, real.labels, fake, neighbors)
        return found

    def _class_signals(self, real: Real, labels: Tensor, fake: Tensor, neighbors: Tensor) -> dict[str, Tensor]:
        """Return diversity within classes and what labels change, or how many classes unlabeled samples look like."""
        if self.labels is None:
            guessed = labels[neighbors]
            return {"classes": effective_classes(guessed, len(self.spec.classes)) / len(labels.unique())}
        mine = self.labels.to(self.device)
        theirs = labels[:len(real.examples)]
        shared = theirs < ROWS
        chosen = real.examples[shared]
        within, mine_within = mean_distance_within(chosen, theirs[shared]), mean_distance_within(fake, mine)
        found = {"class_diversity": mine_within / within}
        apart = 1 - within / mean_distance(chosen)  # by so much less do real examples of a class differ
        if apart > LEAST_APART:
            found["label_effect"] = (1 - mine_within / mean_distance(fake)) / apart
        return found

    def _silent_units(self, model: Any, progress: Any) -> dict[str, Tensor]:
        """Return the share of silent units by player, seen through the first opponent's loss, which uses all of them."""
        opponents = [player for player in getattr(model, "players", ()) if player not in model.discriminators]
        if not opponents:
            return {}
        with torch.random.fork_rng(devices=[]), ReluWatch(model.players) as watch:
            torch.manual_seed(mix(self.seed, STREAM, 1))
            model.player_loss(opponents[0], self.batch, progress)
        return watch.shares()


def _real(training: Tensor, labels: Tensor | None, n: int) -> Real:
    examples = training[:n]
    if len(examples) < 2:
        return Real(examples, training, labels, 1.0, 0.0)
    to_nearest, _ = nearest(examples, training, torch.arange(len(examples), device=training.device))
    return Real(examples, training, labels, float(mean_distance(examples)) or 1.0, float(to_nearest.median()))
