"""A discriminator that learns from examples against its optimum p / (p + q) (Goodfellow 2014, 1406.2661, proposition 1).

With least squares and the targets 1 and 0 the optimal output is the same (Mao 2017, 1611.04076, equation 5).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gancli.engine.options import OptimizerOptions, TrainerOptions
from gancli.errors import check_range
from gancli.lab.frame.densities import Mixture, grid_of
from gancli.lab.frame.memory import check_memory
from gancli.lab.frame.moving import Curves, Recorded, Scene, moments
from gancli.lab.frame.playing import Judged, play, seeded
from gancli.lab.frame.result import Result, Table
from gancli.lab.frame.run import LabOptions
from gancli.lab.frame.style import Style
from gancli.losses.options import LossOptions
from gancli.networks.mlp import MLPDiscriminator

SHOWN = 201  # points of a curve in films and pages


@dataclass
class Pair:
    """Data and generator."""

    real: Mixture
    fake: Mixture


@dataclass
class Options(LabOptions):
    """Which densities and losses, and how the discriminator learns."""

    losses: dict[str, LossOptions]
    pairs: dict[str, Pair]
    steps: int
    units: int
    grid: int
    mass: float
    trainer: TrainerOptions
    optimizer: OptimizerOptions

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("steps", self.steps, 1)
        check_range("units", self.units, 1)
        check_range("grid", self.grid, SHOWN)
        check_range("mass", self.mass, 0, 1, open_low=True)
        check_memory("grid", self.grid, 1000 * self.grid * self.units // 64)


@dataclass(frozen=True)
class Learned:
    """A discriminator beside its optimum."""

    x: NDArray  # [G]
    exact: NDArray  # [G]
    frames: NDArray  # [T, G], D at some of the steps
    times: list[int]  # [T]
    massive: NDArray  # [G], where the densities have mass
    densities: tuple[NDArray, NDArray]  # p and q, [G] each

    @property
    def error(self) -> NDArray:
        """The largest difference to the optimum at each of the times, where there is mass."""
        return np.abs(self.frames - self.exact)[:, self.massive].max(1)


def learn(options: Options, loss: LossOptions, pair: Pair) -> Learned:
    """Train a discriminator on examples of a pair."""
    x = grid_of(pair.real, pair.fake, points=options.grid)
    log_p, log_q = pair.real.log(x), pair.fake.log(x)
    seeded(options.seed)
    judge = MLPDiscriminator((1,), options.units, 2, unit_range=False, norm="none")
    model = Judged(loss, judge, pair.real.draw, pair.fake.draw)
    line, times, frames = torch.tensor(x, dtype=torch.float32)[:, None], moments(options.steps), []

    def look(step: int) -> None:
        if step in times:
            with torch.no_grad():
                frames.append(model.objective.rule.score(judge(line)).numpy())

    play(model, options.trainer, options.optimizer, options.steps, options.seed, look)
    mean = (np.exp(log_p) + np.exp(log_q)) / 2
    return Learned(x, 1 / (1 + np.exp(log_q - log_p)), np.array(frames), times, mean >= options.mass * mean.max(),
                   (np.exp(log_p), np.exp(log_q)))


def experiment(options: Options) -> Result:
    """Train on every pair with every loss."""
    found = {(pair, loss): learn(options, options.losses[loss], options.pairs[pair])
             for pair in options.pairs for loss in options.losses}
    rows = [(f"{pair}, {loss}", *(float(np.interp(at, one.x, curve)) for at in (-1.0, 0.0, 1.0)
                                  for curve in (one.exact, one.frames[-1])), float(one.error[0]), float(one.error[-1]))
            for (pair, loss), one in found.items()]
    table = Table("optimum", "D where there is mass, against p / (p + q)",
                  ("pair, loss", "D*(-1)", "D(-1)", "D*(0)", "D(0)", "D*(1)", "D(1)", "largest error at first",
                   "at last"), rows)
    worst = max(float(one.error[-1]) for one in found.values())
    told = (f"After {options.steps} steps the discriminator, which has only seen examples, lies on p / (p + q): the largest "
            f"difference where there is mass is {worst:.3f}.")
    return Result([table], lambda figure, style: _draw(figure, style, found), told, [_scene(found)])


def _draw(figure: Any, style: Style, found: dict[tuple[str, str], Learned]) -> None:
    pairs = list(dict.fromkeys(pair for pair, _ in found))
    for axes, pair in zip(np.atleast_1d(figure.subplots(1, len(pairs), sharey=True)), pairs, strict=True):
        shown = {loss: one for (name, loss), one in found.items() if name == pair}
        one = next(iter(shown.values()))
        for density, color, name in zip(one.densities, style.colors[3:5], ("p (data)", "q (generated)"), strict=True):
            axes.fill_between(one.x, density, color=color, alpha=0.35, linewidth=0, label=name)
        axes.plot(one.x, one.exact, color=style.ink, linewidth=7, alpha=0.35, label="p / (p + q)")
        for number, (loss, each) in enumerate(shown.items()):
            values = np.where(each.massive, each.frames[-1], np.nan)
            axes.plot(each.x, values, ["-", "--", ":"][number % 3], color=style.colors[number], label=f"D, {loss}")
        spread = one.x[one.massive]
        axes.set(title=pair.replace("_", " "), xlabel="x", xlim=(spread.min() - 1, spread.max() + 1), ylim=(0, 1.02))
    figure.axes[0].set_ylabel("D(x), and densities")
    figure.axes[0].legend(loc="upper left", fontsize=16)


def _scene(found: dict[tuple[str, str], Learned]) -> Scene:
    runs, ends = [], []
    for (pair, loss), one in found.items():
        places = np.linspace(0, len(one.x) - 1, SHOWN).round().astype(int)
        still = {"p": one.densities[0][places], "q": one.densities[1][places], "p / (p + q)": one.exact[places]}
        runs.append(Recorded(f"{pair}, {loss}".replace("_", " "), f"Largest difference at last: {one.error[-1]:.3f}.",
                             one.times, Curves(one.x[places], {"D": one.frames[:, places]}, still)))
        ends += [one.x[one.massive].min() - 1, one.x[one.massive].max() + 1]
    return Scene("A discriminator learns", "x", "D(x), and densities", (min(ends), max(ends)), (0, 1.05), "step", runs)
