"""A critic under weight clipping and under the gradient penalty (Gulrajani 2017, 1704.00028, section 3 and figure 1).

The generator is frozen: real examples with noise.  The best critic has gradient norm 1 almost everywhere between the two
(corollary 1).  Under clipping the weights gather at the two bounds and the surface is simple; the penalty leaves the weights
alone.  The lighter it is, the steeper the best critic may be, and the sooner its surface follows the modes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gancli.data.dataset import Data, data_folder, load_data, open_source
from gancli.engine.options import OptimizerOptions, TrainerOptions
from gancli.errors import UserError, check_range
from gancli.lab.frame.memory import check_memory
from gancli.lab.frame.moving import Recorded, Scene, Surface, moments
from gancli.lab.frame.playing import Judged, examine_afresh, play, seeded
from gancli.lab.frame.result import Result, Table
from gancli.lab.frame.run import LabOptions
from gancli.lab.frame.style import Style
from gancli.losses.options import LossOptions
from gancli.losses.penalties import interpolate, squared_gradient_norms
from gancli.networks.mlp import MLPDiscriminator
from gancli.ranks import shards

FRAMES = 40
AT_BOUND = 0.99  # a weight of at least this share of the largest one is at the bound
SHOWN = 300  # real examples in pictures


@dataclass
class Options(LabOptions):
    """Which critics, on which data."""

    losses: dict[str, LossOptions]
    loss: dict[str, Any]  # what the data set brings for `gan train`: no critic here learns by it
    dataset: dict[str, Any]
    data_dir: str | None
    noise: float
    steps: int
    units: int
    layers: int
    grid: int
    reach: float
    examples: int
    trainer: TrainerOptions
    optimizer: OptimizerOptions

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("steps", "units", "layers"):
            check_range(key, getattr(self, key), 1)
        check_range("noise", self.noise, 0, open_low=True)
        check_range("reach", self.reach, 0, open_low=True)
        check_range("examples", self.examples, 2)
        check_range("grid", self.grid, 8)
        check_memory("grid", self.grid, (16 * FRAMES * len(self.losses) + 12 * self.units) * self.grid**2)
        for name, loss in self.losses.items():
            if loss.rule != "wgan":
                raise ValueError(f"losses.{name}: {loss.rule} has no critic; give a loss of rule=wgan")
        try:
            spec = open_source(self.dataset, data_folder(self.data_dir)).inspect()
        except UserError as error:
            raise ValueError(str(error)) from None
        if spec.shape != (2,):
            raise ValueError(f"dataset={self.dataset.get('name')} holds no points of the plane: give dataset=ring, grid or "
                             "swiss_roll")


@dataclass(frozen=True)
class Critic:
    """What a critic became."""

    surfaces: NDArray  # [T, G, G]
    times: list[int]
    weights: NDArray  # all of them
    norms: NDArray  # of its gradient between real and generated examples
    distance: float  # that it sees

    def at_bounds(self, bound: float | None) -> float:
        """Which share of the weights is at the bounds (of the largest weight, where there are none)."""
        return float((np.abs(self.weights) >= AT_BOUND * (bound or np.abs(self.weights).max())).mean())


def learn(options: Options, loss: LossOptions, data: Data) -> Critic:
    """Train a critic between the data and their noisy copies."""
    def real(n: int) -> Tensor:
        return data.examples(shards.randint(data.spec.count, n, device=torch.device("cpu")))

    def fake(n: int) -> Tensor:
        points = real(n)
        return points + options.noise * shards.randn_like(points)

    seeded(options.seed)
    judge = MLPDiscriminator((2,), options.units, options.layers, unit_range=False, norm="none")
    model = Judged(loss, judge, real, fake)
    ticks = torch.linspace(-options.reach, options.reach, options.grid)
    plane = torch.stack(torch.meshgrid(ticks, ticks, indexing="xy"), -1).reshape(-1, 2)  # rows of one ordinate
    times, surfaces = moments(options.steps, FRAMES), []

    def look(step: int) -> None:
        if step in times:
            with torch.no_grad():
                surfaces.append(judge(plane).reshape(options.grid, options.grid).numpy())

    play(model, options.trainer, options.optimizer, options.steps, options.seed, look)
    examine_afresh(options.seed)
    x, g = real(options.examples), fake(options.examples)
    norms = squared_gradient_norms(judge, interpolate((x,), (g,))).sqrt()
    with torch.no_grad():
        distance = -model.objective.rule.discriminator(judge(x), judge(g)).item()
    weights = torch.cat([layer.weight.detach().flatten() for layer in judge.modules() if isinstance(layer, torch.nn.Linear)])
    return Critic(np.array(surfaces), times, weights.numpy(), norms.detach().numpy(), distance)


def experiment(options: Options) -> Result:
    """Train every critic."""
    data = load_data(options.dataset, data_folder(options.data_dir), "cpu", options.seed)
    found = {name: learn(options, loss, data) for name, loss in options.losses.items()}
    rows = []
    for name, critic in found.items():
        bound, weight = options.losses[name].weight_clip, options.losses[name].gradient_penalty.weight
        rows.append((name, bound, float(np.abs(critic.weights).max()), critic.at_bounds(bound), 1.0 if weight else None,
                     float(critic.norms.mean()), float(critic.norms.std()), critic.distance))
    table = Table("critics", "Weights and slopes of critics between the data and their noisy copies",
                  ("critic", "bound", "largest weight", "share at the bounds", "slope asked for", "mean slope",
                   "its deviation", "distance it sees"), rows)
    told = ("Critics and their weights. Clipped weights gather at the two bounds and the surface is plain. Under a "
            "penalty the weights stay spread; a heavy one holds the slope between real and generated examples at 1, under a "
            "light one the surface rises on every mode.")
    runs = []
    for name, critic in found.items():
        share = 100 * critic.at_bounds(options.losses[name].weight_clip)
        told_of = f"Mean slope {critic.norms.mean():.3g}; {share:.0f} % of the weights are as large as the largest."
        runs.append(Recorded(_named(name), told_of, critic.times, Surface(critic.surfaces, _some(data))))
    ends = (-options.reach, options.reach)
    scene = Scene("A critic learns", "first coordinate", "second coordinate", ends, ends, "step", runs)
    return Result([table], lambda figure, style: _draw(figure, style, options, found, _some(data)), told, [scene])


def _named(name: str) -> str:
    """Return a critic's name as people write it: clip 0.01."""
    return name.replace("_", " ", 1).replace("_", ".")


def _some(data: Data) -> NDArray:
    return data.examples(torch.arange(min(SHOWN, data.spec.count))).numpy()


def _draw(figure: Any, style: Style, options: Options, found: dict[str, Critic], examples: NDArray) -> None:
    above, below = figure.subplots(2, len(found), height_ratios=(3, 2), squeeze=False)
    ticks = np.linspace(-options.reach, options.reach, options.grid)
    for number, (name, critic) in enumerate(found.items()):
        axes = above[number]
        axes.contourf(ticks, ticks, critic.surfaces[-1], 14, cmap=style.field)
        axes.plot(*examples.T, ".", color="#ffffff", markersize=4, markeredgecolor="#000000", markeredgewidth=0.3)
        axes.set(title=_named(name), aspect="equal", xlabel="first coordinate")
        bound = np.abs(critic.weights).max()
        below[number].hist(critic.weights, 41, range=(-bound * 1.05, bound * 1.05), color=style.colors[number])
        below[number].set(xlabel="weight", xlim=(-bound * 1.1, bound * 1.1), xticks=[-round(bound, 2), 0, round(bound, 2)])
    above[0].set_ylabel("second coordinate")
    below[0].set_ylabel("weights")
