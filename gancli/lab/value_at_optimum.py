"""The value of a trained discriminator on examples against C(G) = -log 4 + 2 JSD(p, q) (Goodfellow 2014, theorem 1).

The left side is learned and measured on fresh examples, the right side is a quadrature.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gancli.engine.options import OptimizerOptions, TrainerOptions
from gancli.errors import check_range
from gancli.lab.frame.densities import Mixture, grid_of, jsd
from gancli.lab.frame.memory import check_memory
from gancli.lab.frame.playing import Judged, examine_afresh, play, seeded
from gancli.lab.frame.result import Result, Table
from gancli.lab.frame.run import LabOptions
from gancli.lab.frame.style import Style
from gancli.losses.options import LossOptions
from gancli.networks.mlp import MLPDiscriminator

LEAST = -math.log(4)


@dataclass
class Options(LabOptions):
    """Which densities, and how the discriminator learns."""

    loss: LossOptions
    shifts: list[float]
    widths: list[float]
    steps: int
    units: int
    examples: int
    grid: int
    trainer: TrainerOptions
    optimizer: OptimizerOptions

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.loss.rule not in ("minimax", "nonsaturating", "maximum_likelihood"):
            raise ValueError("loss: the value is that of the discriminator's minimax game: give the loss of minimax")
        check_range("steps", self.steps, 1)
        check_range("units", self.units, 1)
        check_range("examples", self.examples, 100)
        check_range("grid", self.grid, 101)
        check_memory("grid", self.grid, 200 * self.grid)
        check_memory("examples", self.examples, 20 * self.examples * self.units)
        for width in self.widths:
            check_range("widths", width, 0, open_low=True)


@dataclass(frozen=True)
class Value:
    """One pair of densities."""

    name: str
    place: float  # of the figure: the shift, or the width's logarithm
    jsd: float
    learned: float

    @property
    def exact(self) -> float:
        """C(G)."""
        return LEAST + 2 * self.jsd


def measure(options: Options, name: str, place: float, fake: Mixture) -> Value:
    """Train a discriminator on examples of p = N(0, 1) and `fake`, and measure its value on others."""
    real = Mixture([0.0], [1.0], [1.0])
    x = grid_of(real, fake, points=options.grid)
    seeded(options.seed)
    judge = MLPDiscriminator((1,), options.units, 2, unit_range=False, norm="none")
    model = Judged(options.loss, judge, real.draw, fake.draw)
    play(model, options.trainer, options.optimizer, options.steps, options.seed)
    examine_afresh(options.seed)
    with torch.no_grad():
        value = -model.objective.rule.discriminator(judge(real.draw(options.examples)), judge(fake.draw(options.examples)))
    return Value(name, place, jsd(real.log(x), fake.log(x), x), value.item())


def experiment(options: Options) -> Result:
    """Measure every pair."""
    shifted = [measure(options, f"N({shift:g}, 1)", shift, Mixture([shift], [1.0], [1.0])) for shift in options.shifts]
    widened = [measure(options, f"N(0, {width:g}²)", math.log2(width), Mixture([0.0], [width], [1.0]))
               for width in options.widths]
    rows = [(one.name, one.jsd, one.exact, one.learned, one.learned - one.exact) for one in (*shifted, *widened)]
    table = Table("value", f"Value of a trained D on {options.examples:,} fresh examples, p = N(0, 1), in nats",
                  ("q", "JSD", "-log 4 + 2 JSD", "trained D", "difference"), rows)
    told = ("The value that a trained discriminator reaches on fresh examples lies on -log 4 + 2 JSD: it starts at -log 4, "
            "where the densities are alike, and ends at 0, where they no longer overlap.")
    return Result([table], lambda figure, style: _draw(figure, style, options, shifted, widened), told)


def _draw(figure: Any, style: Style, options: Options, shifted: list[Value], widened: list[Value]) -> None:
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(2, 1))
    real = Mixture([0.0], [1.0], [1.0])
    for axes, values, places, fake in (
            (left, shifted, np.linspace(0, max([1.0, *map(abs, options.shifts)]), 60), lambda at: Mixture([at], [1.0], [1.0])),
            (right, widened, np.linspace(-2, 2, 60), lambda at: Mixture([0.0], [2.0**at], [1.0]))):
        exact = []
        for place in places:
            x = grid_of(real, fake(place), points=options.grid)
            exact.append(LEAST + 2 * jsd(real.log(x), fake(place).log(x), x))
        axes.plot(places, exact, color=style.colors[0], label="-log 4 + 2 JSD (quadrature)")
        axes.plot([one.place for one in values], [one.learned for one in values], "o", color=style.colors[1], markersize=15,
                  label="trained D, fresh examples")
        axes.axhline(LEAST, color=style.muted, linewidth=2, linestyle=":")
        axes.axhline(0, color=style.muted, linewidth=2, linestyle=":")
    left.text(left.get_xlim()[1], LEAST + 0.03, "-log 4: alike", ha="right")
    left.text(0, -0.08, "0: told apart without error", va="top")
    left.set(xlabel="shift of q = N(shift, 1)", ylabel="value V(D, G) (nats)")
    right.set(xlabel="log₂ of the width of q")
    left.legend(loc="center right", fontsize=18)
