"""Systems of a few lines, each of which needs one thing of the contract that no published system here needs yet."""

import json
from copy import deepcopy
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

import numpy as np
import torch
from omegaconf import OmegaConf, open_dict
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from gancli.config.compose import compose
from gancli.data.options import DatasetOptions
from gancli.data.source import Block, Source
from gancli.data.spec import DataSpec
from gancli.engine.plan import Outcome, Plan
from gancli.engine.training import play, train
from gancli.game.model import Model, Needs
from gancli.game.pair import PairModel
from gancli.game.phase import Turn, in_turn
from gancli.game.prior import Normal
from gancli.losses.augmentation import Augmentation
from gancli.networks.frozen import Frozen
from gancli.options import Recipe
from gancli.plan.run import plan_run
from gancli.ranks import shards
from gancli.ranks.agreeing import made_by_first
from gancli.registry import Component, datasets, models
from gancli.runs.checkpoint import CheckpointFolder, read

ANY = Needs(kinds=("points", "images"), min_side=1)
ROUND, ROUNDS = 8, 20  # real images of a batch, rounds of a run
POINTS = ("dataset=ring", "dataset.count=64")
IMAGES = ("dataset=digits", "dataset.size=8")


@dataclass
class ToyOptions:
    name: str
    recipe: Recipe = field(default_factory=Recipe)


def generator_of(spec):
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, prod(spec.shape)), nn.Unflatten(1, spec.shape))


def critic_of(spec, outputs=1):
    return nn.Sequential(nn.Flatten(), nn.Linear(prod(spec.shape), 8), nn.LeakyReLU(), nn.Linear(8, outputs))


class Pair(PairModel):
    """A generator against a critic; the others change one thing each."""

    needs = ANY

    def __init__(self, options, spec, objective):
        super().__init__(spec, objective, generator_of(spec), critic_of(spec), Normal(3))

    def judge(self, x):
        return self.discriminator(x).flatten()


class NoDiscriminator(Model):
    """An autoencoder: no player discriminates, and it brings its own loss."""

    needs, discriminators, losses = ANY, (), ()

    def __init__(self, options, spec, objective):
        super().__init__(spec, objective)
        self.encoder, self.decoder = critic_of(spec, 3), generator_of(spec)
        self.players = {"autoencoder": [self.encoder, self.decoder]}

    def player_loss(self, player, batch, progress):
        noise = 0.01 * shards.randn_like(batch.real)
        return mse_loss(self.decoder(self.encoder(batch.real + noise)), batch.real), {}

    def showcase(self, fixed):
        return {"reconstructions": self.decoder(self.encoder(fixed.batch.real))}


class TwoCritics(Pair):
    """Two critics whose mean the generator sees."""

    discriminators = ("first", "second")

    def __init__(self, options, spec, objective):
        super().__init__(options, spec, objective)
        self.other = critic_of(spec)
        self.players = {"first": [self.discriminator], "second": [self.other], "generator": [self.generator]}

    def player_loss(self, player, batch, progress):
        critics = {"first": self.discriminator, "second": self.other}
        fake = self.generate(self.latents_for(batch.real))
        if player in critics:
            judged = self.objective.discriminator(lambda x: critics[player](x).flatten(), (batch.real,), (fake,),
                                                  progress.turns.get(player, 0))
            return judged.loss, judged.scalars
        both = [self.objective.generator(lambda x, c=c: c(x).flatten(), (fake,), (batch.real,)) for c in critics.values()]
        return both[0].loss + both[1].loss, both[0].scalars

    def prepare(self, batch):
        return None


class SharedEncoder(Pair):
    """An encoder that two players train: with the generator, and by itself."""

    def __init__(self, options, spec, objective):
        super().__init__(options, spec, objective)
        self.encoder = critic_of(spec, 3)
        self.players = {"discriminator": [self.discriminator], "generator": [self.generator, self.encoder],
                        "encoder": [self.encoder]}

    def player_loss(self, player, batch, progress):
        if player != "encoder":
            loss, scalars = super().player_loss(player, batch, progress)
            again = mse_loss(self.generate(self.encoder(batch.real)), batch.real) if player == "generator" else 0
            return loss + again, scalars
        z = self.latents_for(batch.real)
        return mse_loss(self.encoder(self.generate(z)), z), {}


class Pretraining(Pair):
    """The generator alone at first, as SRGAN's."""

    def phase(self, progress, default):
        return in_turn(["generator"], name="pretraining") if progress.images < 5 * ROUND else default

    def player_loss(self, player, batch, progress):
        if progress.images < 5 * ROUND:
            return mse_loss(self.generate(self.latents_for(batch.real)), batch.real), {}
        return super().player_loss(player, batch, progress)


class Growth(Pair):
    """Stages with a batch size, a rate and fresh optimizers of their own, as ProGAN's."""

    def phase(self, progress, default):
        stage = 0 if progress.images < 4 * ROUND else 1 if progress.images < 10 * ROUND else 2
        return in_turn(list(self.players), name=f"stage {stage}", batch_size=ROUND // 2 ** (stage % 2),
                       lr={"generator": 1e-3 * 2.0 ** -stage}, fresh_optimizers=True)


class LazyPenalty(Pair):
    """A turn for the penalty alone in every fourth round, as StyleGAN2's."""

    def phase(self, progress, default):
        return in_turn(list(self.players)).with_turn(0, Turn("discriminator", draws=False, every=4, part="penalty"))

    def part_loss(self, part, player, batch, progress):
        x = batch.real.detach().requires_grad_()
        gradient, = torch.autograd.grad(self.judge(x).sum(), x, create_graph=True)
        penalty = gradient.square().flatten(1).sum(1).mean()
        return penalty, {"r1": penalty.detach()}


class SomeLabels(Pair):
    """A classifier on labeled examples beside a game on unlabeled ones."""

    needs = Needs(kinds=("points", "images"), labeled=True, min_side=1)

    def __init__(self, options, spec, objective):
        super().__init__(options, spec, objective)
        self.classifier = critic_of(spec, len(spec.classes))
        self.players["classifier"] = [self.classifier]

    def player_loss(self, player, batch, progress):
        if player != "classifier":
            return super().player_loss(player, batch, progress)
        assert batch.labels is None
        return cross_entropy(self.classifier(batch.labeled.real), batch.labeled.labels), {}


class FrozenFeatures(Pair):
    """Features of a fixed network are matched; it is no part of the checkpoint."""

    def __init__(self, options, spec, objective):
        super().__init__(options, spec, objective)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            self.features = Frozen(critic_of(spec, 4))

    def player_loss(self, player, batch, progress):
        loss, scalars = super().player_loss(player, batch, progress)
        if player == "generator":
            fake = self.generate(self.latents_for(batch.real))
            loss = loss + mse_loss(self._mean(fake), self._mean(batch.real))
        return loss, scalars

    def _mean(self, x):
        return shards.stacked(self.features(x).mean(0)).mean(0)  # of the whole batch, not of this rank's slice


class Noise(Augmentation):
    """Noise whose strength a controller moves."""

    def __init__(self):
        super().__init__()
        self.register_buffer("strength", torch.tensor(0.1))
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, inputs):
        return tuple(x + self.strength * shards.randn_like(x) if x.dim() == 4 else x for x in inputs)

    def describe(self):
        return "noise"

    def observe(self, real_logits):
        mean = real_logits.sign().mean()
        shards.average(mean)
        self.seen.copy_(mean)

    def after_round(self, images):
        self.strength.add_(0.01 * self.seen.sign()).clamp_(0, 1)


class Augmented(Pair):
    """Images pass an augmentation with a controller."""

    def __init__(self, options, spec, objective):
        super().__init__(options, spec, objective)
        objective.augment = Noise()


class ReferenceBatch(Pair):
    """Examples are seen beside a batch that is chosen before the first round, as virtual batch norm does."""

    def __init__(self, options, spec, objective):
        super().__init__(options, spec, objective)
        self.register_buffer("reference", torch.zeros(ROUND, *spec.shape))

    def begin(self, reference):
        super().begin(reference)
        self.reference.copy_(reference.real)

    def judge(self, x):
        return self.discriminator(x - self.reference.mean(0)).flatten()


class Statistics(Pair):
    """A layer with state in the critic and in the generator: the looks must leave it alone."""

    def __init__(self, options, spec, objective):
        super().__init__(options, spec, objective)
        self.generator.insert(1, nn.BatchNorm1d(8))
        nn.utils.parametrizations.spectral_norm(self.discriminator[1])


class Normalized(Pair):
    """A batch norm in the generator, after a layer without a bias: behind a norm its gradient would be rounding alone."""

    def __init__(self, options, spec, objective):
        super().__init__(options, spec, objective)
        self.generator[0] = nn.Linear(3, 8, bias=False)
        self.generator.insert(1, nn.BatchNorm1d(8))


class Words(Model):
    """A model of tokens, learned by likelihood alone: each position's tokens from the one before."""

    needs, discriminators, losses = Needs(kinds=("tokens",)), (), ()

    def __init__(self, options, spec, objective):
        super().__init__(spec, objective)
        self.table = nn.Embedding(len(spec.vocabulary), len(spec.vocabulary))
        self.players = {"generator": [self.table]}

    def player_loss(self, player, batch, progress):
        tokens = batch.real  # [N, T] int64
        return cross_entropy(self.table(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten()), {}

    def showcase(self, fixed):
        return {"followers": self.table(fixed.batch.real).argmax(2)}


@dataclass
class LetterOptions(DatasetOptions):
    store: str = "memory"
    flip: bool = False
    labeled: int | None = None


class Letters(Source):
    """Sequences in which a letter follows the one before it in the alphabet."""

    rows = (np.arange(64)[:, None] + np.arange(6)) % 5

    def look(self):
        return DataSpec(self.rows.shape[1:], len(self.rows), kind="tokens", vocabulary=tuple("abcde"))

    def blocks(self):
        yield Block(0, self.rows, None)


TOYS = {"words": (Words, (*POINTS, "loss=none")),
        "pair": (Pair, POINTS), "no_discriminator": (NoDiscriminator, (*POINTS, "loss=none")),
        "two_critics": (TwoCritics, (*POINTS, "loss=wgan")), "shared_encoder": (SharedEncoder, POINTS),
        "pretraining": (Pretraining, POINTS), "growth": (Growth, POINTS), "lazy_penalty": (LazyPenalty, POINTS),
        "some_labels": (SomeLabels, (*POINTS, "dataset.labeled=16")), "frozen_features": (FrozenFeatures, POINTS),
        "augmented": (Augmented, IMAGES), "reference_batch": (ReferenceBatch, POINTS), "statistics": (Statistics, POINTS),
        "matched": (Pair, (*POINTS, "loss.feature_matching.weight=1", "loss.feature_matching.instead=false",
                           "loss.top_k.floor=0.5", "loss.top_k.decay=0.6", "loss.historical_averaging=0.1")),
        "minibatch": (Pair, (*POINTS, "loss.minibatch_discrimination.kernels=3", "loss.minibatch_stddev=4")),
        "packed": (Pair, (*POINTS, "loss.packing=2", "loss.r1.weight=1", "augment=noise")),
        "virtual": (Normalized, (*POINTS, "loss.virtual_batch_norm=4"))}
SETTINGS = (f"trainer.batch_size={ROUND}", "device=cpu", "evaluation.kimg=null", "trainer.precision=fp32", "optimizer=adam",
            "optimizer.lr=1e-2", "trainer.record_kimg=0.008", "trainer.checkpoint_kimg=1", "trainer.sample_kimg=1",
            "trainer.ema_kimg=0.05")


def registered():
    """Return the components of all toys by name."""
    return {name: Component(name, toy, ToyOptions) for name, (toy, _) in TOYS.items()}


def register(patch):
    """Let the registries know the toys for as long as a pytest.MonkeyPatch lasts."""
    for registry, more in ((models, registered()), (datasets, LETTERS)):
        registry.names()  # what is registered while the patch lasts would be lost with it
        patch.setattr(registry, "_components", registry._components | more)


LETTERS = {"letters": Component("letters", Letters, LetterOptions)}


def plan(toy: str, run_dir: Path, *overrides: str) -> Plan:
    """Return the plan of a run of a toy, which must be registered; one that is there already is continued."""
    given = [*TOYS[toy][1], *SETTINGS, *overrides]
    cfg = deepcopy(compose("train", given))
    with open_dict(cfg):
        cfg.model = OmegaConf.create({"name": toy, "recipe": {}})
        cfg.optimizer.players = {}
        if toy == "words":
            cfg.dataset = OmegaConf.create({"name": "letters"})
    cfg["resume" if run_dir.exists() else "run_dir"] = str(run_dir)
    return plan_run(cfg, given)


def run(toy, folder, rounds=ROUNDS, *overrides):
    """Train a toy to the end (or further) and return its last tensors and its figures."""
    images = rounds * ROUND * (5 if toy == "two_critics" else 1)
    train(plan(toy, folder, f"trainer.kimg={images / 1000}", *overrides))
    lines = [json.loads(line) for line in (folder / "stats.jsonl").read_text().splitlines()]
    return read(CheckpointFolder(folder).latest()).tensors, lines


def play_all(plan_of_all: Plan) -> Outcome:
    """Play every toy as one rank, beside the run directory of the plan."""
    models._components.update(registered())
    datasets._components.update(LETTERS)
    outcome = None
    for toy in TOYS:
        images = 20 * ROUND * (5 if toy == "two_critics" else 1)
        made = made_by_first(lambda: plan(toy, plan_of_all.run_dir.parent / toy, f"trainer.kimg={images / 1000}"))  # noqa: B023
        made.ranks = plan_of_all.ranks
        outcome = play(made)
    return outcome
