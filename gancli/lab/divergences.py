"""How far apart are two parallel lines?  (Arjovsky 2017, WGAN, 1701.07875, example 1 and figure 1.)

The data are (0, Z) and the generator makes (theta, Z), Z uniform in [0, 1].  For theta other than 0 both KL are infinite,
JSD is log 2 and TV is 1, whatever theta is; the Wasserstein distance is |theta|.  A discriminator's estimate of JSD is
(V + log 4) / 2, a lower bound.  A critic under a penalty of weight w has the slope 1 + |theta| / (2 w) at its optimum, so
that its estimate is too large by theta^2 / (2 w); a clipped critic's estimate is divided by its slope.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gancli.engine.options import OptimizerOptions, TrainerOptions
from gancli.errors import check_range
from gancli.lab.frame.densities import CPU, Mixture, grid_of, jsd
from gancli.lab.frame.memory import check_memory
from gancli.lab.frame.playing import Judged, examine_afresh, play, seeded
from gancli.lab.frame.result import Result, Table
from gancli.lab.frame.run import LabOptions
from gancli.lab.frame.style import Style
from gancli.losses.options import LossOptions
from gancli.losses.penalties import interpolate, squared_gradient_norms
from gancli.networks.mlp import MLPDiscriminator
from gancli.ranks import shards


@dataclass
class Options(LabOptions):
    """Which lines, and who judges them."""

    losses: dict[str, LossOptions]
    thetas: list[float]
    noise: float
    steps: int
    units: int
    examples: int
    grid: int
    trainer: TrainerOptions
    optimizer: OptimizerOptions

    def __post_init__(self) -> None:
        super().__post_init__()
        for theta in self.thetas:
            check_range("thetas", theta, -10, 10)
        check_range("noise", self.noise, 0)
        check_range("steps", self.steps, 1)
        check_range("units", self.units, 1)
        check_range("examples", self.examples, 100)
        check_range("grid", self.grid, 101)
        check_memory("grid", self.grid, 200 * self.grid)
        check_memory("examples", self.examples, 30 * self.examples * self.units)
        for name, loss in self.losses.items():
            if loss.rule not in ("minimax", "wgan"):
                raise ValueError(f"losses.{name}: minimax estimates JSD and wgan W; {loss.rule} estimates neither")


@dataclass(frozen=True)
class Distances:
    """Between the lines, exactly, and as judges estimate them."""

    theta: float
    kl: float
    jsd: float
    tv: float
    learned: dict[str, float]  # by loss

    @property
    def wasserstein(self) -> float:
        """W, with noise too."""
        return abs(self.theta)


def line(theta: float, noise: float) -> Callable[[int], Tensor]:
    """Return what draws examples of (theta, Z)."""
    return lambda n: torch.cat([theta + noise * shards.randn(n, 1, device=CPU), shards.rand(n, 1, device=CPU)], 1)


def estimate(options: Options, loss: LossOptions, theta: float) -> float:
    """Train a judge between the lines and return the distance that it sees on fresh examples: JSD, or W."""
    real, fake = line(0.0, options.noise), line(theta, options.noise)
    seeded(options.seed)
    judge = MLPDiscriminator((2,), options.units, 2, unit_range=False, norm="none")
    model = Judged(loss, judge, real, fake)
    play(model, options.trainer, options.optimizer, options.steps, options.seed)
    examine_afresh(options.seed)
    x, g = real(options.examples), fake(options.examples)
    with torch.no_grad():
        value = -model.objective.rule.discriminator(judge(x), judge(g)).item()
    if loss.rule == "minimax":
        return (value + math.log(4)) / 2
    if loss.weight_clip is not None:
        norms = squared_gradient_norms(judge, interpolate((x,), (g,))).sqrt()
        return value / max(norms.mean().item(), 1e-12)
    return value


def exact(options: Options, theta: float) -> tuple[float, float, float]:
    """Return KL, JSD and TV."""
    if not theta:
        return 0.0, 0.0, 0.0
    if not options.noise:
        return math.inf, math.log(2), 1.0
    p, q = Mixture([0.0], [options.noise], [1.0]), Mixture([theta], [options.noise], [1.0])
    x = grid_of(p, q, points=options.grid)
    overlap = math.erf(abs(theta) / (2 * options.noise) / math.sqrt(2))
    return theta**2 / (2 * options.noise**2), jsd(p.log(x), q.log(x), x), overlap


def bias(loss: LossOptions, theta: float) -> float:
    """Return by how much the best critic under the penalty sees too much."""
    weight = loss.gradient_penalty.weight
    return theta**2 / (2 * weight) if weight else 0.0


def experiment(options: Options) -> Result:
    """Measure every pair of lines."""
    found = [Distances(theta, *exact(options, theta), {name: estimate(options, loss, theta)
                                                       for name, loss in options.losses.items()}) for theta in options.thetas]
    kinds = {name: "JSD" if loss.rule == "minimax" else "W" for name, loss in options.losses.items()}
    named = {name: f"{kinds[name]} by {name.replace('_', ' ')}" for name in options.losses}
    rows = [(one.theta, one.kl, one.tv, one.jsd, *(one.learned[name] for name in named if kinds[name] == "JSD"),
             one.wasserstein, *(value for name in named if kinds[name] == "W" for value in
                                (one.learned[name], *([bias(options.losses[name], one.theta)]
                                                      if options.losses[name].weight_clip is None else []))))
            for one in found]
    columns = ("theta", "KL", "TV", "JSD, exact", *(named[name] for name in named if kinds[name] == "JSD"), "W, exact",
               *(column for name in named if kinds[name] == "W" for column in
                 (named[name], *(["its bias"] if options.losses[name].weight_clip is None else []))))
    table = Table("distances", "Two parallel lines at distance theta (nats; W in units of theta)", columns, rows)
    told = ("The lines' JSD is log 2 as soon as they do not touch and has no slope towards smaller theta; the critics' "
            "estimates of the Wasserstein distance lie on |theta|.") if not options.noise else (
        f"With noise of {options.noise:g} on both lines JSD is a smooth valley; the Wasserstein distance stays |theta|.")
    return Result([table], lambda figure, style: _draw(figure, style, options, found, kinds), told)


def _draw(figure: Any, style: Style, options: Options, found: list[Distances], kinds: dict[str, str]) -> None:
    reach = max(1.0, *map(abs, options.thetas)) * 1.05
    side = np.linspace(1e-3, reach, 60)
    thetas = np.concatenate([-side[::-1], [0.0], side])
    for axes, kind, title in zip(figure.subplots(1, 2), ("JSD", "W"), ("JSD (nats)", "Wasserstein distance W"), strict=True):
        curve = [exact(options, theta)[1] if kind == "JSD" else abs(theta) for theta in thetas]
        axes.plot(thetas, curve, color=style.colors[0], label="exact")
        for number, name in enumerate(name for name in kinds if kinds[name] == kind):
            axes.plot([one.theta for one in found], [one.learned[name] for one in found], "os"[number % 2],
                      markersize=17 - 7 * number, color=style.colors[1 + 2 * number], label=name.replace("_", " "))
        axes.set(title=title, xlabel="distance theta of the lines", ylim=(-0.05, 0.8 if kind == "JSD" else reach * 1.1))
        axes.legend(loc="lower right" if kind == "JSD" else "upper center", fontsize=18)
