"""Modes that a generator loses, and remedies, on mixtures in the plane (Metz 2017, 1611.02163; Srivastava 2017, 1705.07761).

A mode is captured with one good sample (within 3 standard deviations of its center), and held with a tenth of its due share.
Of the mixture itself, whose row stands first in the table, 1 - exp(-9/2) = 98.9 % of the samples are good.

Legend: T looks, M modes, N samples shown.
"""

import copy
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gancli.data.dataset import Data, check_batch, data_folder, load_data, open_source
from gancli.data.spec import DataSpec
from gancli.engine.options import OptimizerOptions, TrainerOptions
from gancli.errors import UserError, check_choice, check_range
from gancli.game.build import build_model, model_options
from gancli.game.model import Model
from gancli.game.sampler import Latents
from gancli.lab.frame.moving import Points, Recorded, Scene
from gancli.lab.frame.playing import play, seeded
from gancli.lab.frame.result import Result, Table
from gancli.lab.frame.run import LabOptions
from gancli.lab.frame.style import Style
from gancli.losses.objective import Objective
from gancli.losses.options import LossOptions
from gancli.metrics.measures.modes import GOOD_STDS, ToyCoverage, toy_coverage
from gancli.registry import datasets, models

SHOWN = 250  # samples of a picture
GOOD = 1 - math.exp(-GOOD_STDS**2 / 2)  # share of the mixture's own samples that are good, in the plane
SCHEMES = ("alternating", "simultaneous")


@dataclass
class Remedy:
    """One way to play."""

    loss: LossOptions
    scheme: str  # of trainer.scheme
    unrolled: int  # as trainer.unrolled

    def __post_init__(self) -> None:
        check_choice("scheme", self.scheme, SCHEMES)
        check_range("unrolled", self.unrolled, 0)


@dataclass
class Options(LabOptions):
    """Which remedies, on which mixture."""

    remedies: dict[str, Remedy]
    loss: dict[str, Any]  # what the data set brings for `gan train`: nobody here learns by it
    model: dict[str, Any]
    dataset: dict[str, Any]
    data_dir: str | None
    rounds: int
    looks: int
    samples: int
    trainer: TrainerOptions
    optimizer: OptimizerOptions

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("rounds", self.rounds, 1)
        check_range("looks", self.looks, 2, 200)
        check_range("samples", self.samples, 10, 1_000_000)
        if not self.remedies:
            raise ValueError("remedies must not be empty")
        if not hasattr(datasets.get(self.dataset.get("name")).build, "centers"):  # whose options have no std either
            raise ValueError(self._no_mixture())
        try:
            source = open_source(self.dataset, data_folder(self.data_dir))
            spec = source.inspect()
            check_batch(spec, self.trainer.batch_size)
            options = model_options(self.model)
            models.get(options.name).build.check_data(options, spec)
        except UserError as error:
            raise ValueError(str(error)) from None
        if spec.shape != (2,) or not hasattr(source, "centers"):
            raise ValueError(self._no_mixture())

    def _no_mixture(self) -> str:
        return f"dataset={self.dataset.get('name')} is no mixture in the plane: give dataset=ring or grid"

    def fresh(self, remedy: Remedy, spec: DataSpec) -> Model:
        """Return the system with new weights."""
        return build_model(model_options(self.model), Objective(remedy.loss), spec)


@dataclass(frozen=True)
class Played:
    """What became of one generator."""

    times: list[int]  # [T] in rounds
    found: list[ToyCoverage]  # [T]
    clouds: NDArray  # [T, N, 2]


def learn(options: Options, remedy: Remedy, data: Data) -> Played:
    """Train a system by a remedy; the weights at first, the batches and the latents looked at are the same for all."""
    seeded(options.seed)
    model = options.fresh(remedy, data.spec)
    z = Latents(model).take(0, options.samples, options.seed + 1)
    times = sorted({round(options.rounds * i / (options.looks - 1)) for i in range(options.looks)})
    found, clouds = [], []

    def look(done: int) -> None:
        if done in times:
            points = drawn(model, z)
            found.append(toy_coverage(points, *mixture(data)))
            clouds.append(points[:SHOWN].numpy())

    trainer = replace(options.trainer, scheme=remedy.scheme, unrolled=remedy.unrolled)
    play(model, trainer, options.optimizer, options.rounds, options.seed, look, data)
    return Played(times, found, np.array(clouds))


@torch.no_grad()
def drawn(model: Model, z: Tensor) -> Tensor:
    """Return what a copy of the generator, in the state of sampling, makes of latents."""
    still = copy.deepcopy(model.generator).eval()
    return still(z)


def mixture(data: Data) -> tuple[Tensor, Tensor, Tensor]:
    """Return the mixture's centers [M, 2], standard deviations [M] and weights [M]."""
    assert data.mixture is not None, "checked with the options"
    centers, stds, weights = (torch.from_numpy(np.asarray(each)) for each in data.mixture)
    return centers, stds, weights


def experiment(options: Options) -> Result:
    """Train with every remedy."""
    data = load_data(options.dataset, data_folder(options.data_dir), "cpu", options.seed)
    ours = toy_coverage(data.examples(torch.arange(min(options.samples, data.spec.count))), *mixture(data))
    found = {name: learn(options, remedy, data) for name, remedy in options.remedies.items()}
    rows = [("the data", len(mixture(data)[0]), *_cells(ours), 100 * GOOD)]
    rows += [(name, len(mixture(data)[0]), *_cells(each.found[-1]), None) for name, each in found.items()]
    table = Table("modes", f"{options.samples} samples after {options.rounds} rounds of batch {options.trainer.batch_size}",
                  ("remedy", "modes", "captured", "held", "good samples, %", "KL from the data, nats", "good, exact, %"), rows,
                  digits=2)
    best = max(found, key=lambda name: (found[name].found[-1].held, found[name].found[-1].good_share))
    told = "; ".join(f"{named(name)} holds {each.found[-1].held} of {len(mixture(data)[0])} modes with "
                     f"{100 * each.found[-1].good_share:.0f} % good samples" for name, each in found.items())
    told = f"Modes over training and the last samples: {told}. Most is held by {named(best)}."
    runs = [Recorded(named(name), f"{each.found[-1].held} of {len(mixture(data)[0])} modes held at the end, "
                                  f"{100 * each.found[-1].good_share:.0f} % of the samples good.", each.times,
                     Points(each.clouds, _real(data))) for name, each in found.items()]
    ends = (-_reach(data), _reach(data))
    scene = Scene("Samples of a generator that learns", "first coordinate", "second coordinate", ends, ends, "round", runs)
    return Result([table], lambda figure, style: _draw(figure, style, found, data), told, [scene])


def named(name: str) -> str:
    """Return a remedy's name as people write it."""
    return name.replace("_", " ")


def _cells(found: ToyCoverage) -> tuple[int, int, float, float]:
    return found.modes, found.held, 100 * found.good_share, found.kl


def _real(data: Data) -> NDArray:
    return data.examples(torch.arange(min(SHOWN, data.spec.count))).numpy()


def _reach(data: Data) -> float:
    centers, stds, _ = mixture(data)
    return float(f"{(centers.abs().amax() + 20 * stds.amax()).item():.2g}")


def _draw(figure: Any, style: Style, found: dict[str, Played], data: Data) -> None:
    above, below = figure.subfigures(2, 1, height_ratios=(1, 1))
    held, good = above.subplots(1, 2)
    for number, (name, each) in enumerate(found.items()):
        look = {"color": style.colors[number % 8], "linestyle": ("-", "--", "-.", ":")[number // 2 % 4], "label": named(name)}
        held.plot(each.times, [one.held for one in each.found], **look)
        good.plot(each.times, [100 * one.good_share for one in each.found], **look)
    modes = len(mixture(data)[0])
    held.yaxis.get_major_locator().set_params(integer=True)
    held.set(xlabel="rounds", ylabel="modes held", ylim=(-0.03 * modes, 1.05 * modes))
    good.set(xlabel="rounds", ylabel="good samples, %", ylim=(-3, 103))
    good.axhline(100 * GOOD, color=style.muted, linewidth=1.5)
    above.legend(*held.get_legend_handles_labels(), loc="outside upper center", ncols=len(found), fontsize=18)
    for axes, (number, (name, each)) in zip(below.subplots(1, len(found), squeeze=False)[0], enumerate(found.items())):
        axes.plot(*mixture(data)[0].T, "+", color=style.ink, markersize=9, markeredgewidth=1.5)
        axes.plot(*each.clouds[-1].T, ".", color=style.colors[number % 8], markersize=5, alpha=0.6)
        axes.set(title=named(name), aspect="equal", xlim=(-_reach(data), _reach(data)), ylim=(-_reach(data), _reach(data)),
                 xticks=[], yticks=[])
    below.supxlabel("last samples", fontsize=18)
