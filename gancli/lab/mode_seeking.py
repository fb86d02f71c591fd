"""One Gaussian q on two modes p, by forward KL, reverse KL and JS (Goodfellow 2016, 1701.00160, figure 14).

q = N(m, s^2) learns by the f-GAN's own loss against the discriminator that is best for it (Nowozin 2016, equation 4: the
output is f'(p / q) before the activation), on equally likely points of both densities.  Beside it stands the optimum that
a search over m and s with a quadrature finds.  Forward KL matches moments, m = 0 and s^2 = 1 + d^2; reverse KL takes one
mode from d = 3 on; JS covers both up to d = 4.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gancli.data.spec import Batch
from gancli.engine.options import OptimizerOptions, TrainerOptions
from gancli.errors import check_range
from gancli.game.model import Fixed, Model, Progress
from gancli.lab.frame.densities import Mixture, grid_of, jsd, kl, normal_nodes
from gancli.lab.frame.memory import check_memory
from gancli.lab.frame.moving import Curves, Recorded, Scene, moments
from gancli.lab.frame.playing import NOWHERE, play
from gancli.lab.frame.result import Result, Table
from gancli.lab.frame.run import LabOptions
from gancli.lab.frame.style import Style
from gancli.losses.objective import Objective
from gancli.losses.options import LossOptions

KNOWN = ("kl", "reverse_kl", "js")
SHOWN, FRAMES = 201, 40  # points of a curve, and times, in films and pages
NAMES = {"kl": "forward KL(p || q)", "reverse_kl": "reverse KL(q || p)", "js": "JS(p, q)"}


@dataclass
class Options(LabOptions):
    """Which modes and divergences."""

    losses: dict[str, LossOptions]
    distances: list[float]
    steps: int
    grid: int
    trainer: TrainerOptions
    optimizer: OptimizerOptions

    def __post_init__(self) -> None:
        super().__post_init__()
        for d in self.distances:
            check_range("distances", d, 0, 8)
        check_range("steps", self.steps, 1)
        check_range("grid", self.grid, 501)
        check_memory("grid", self.grid, 200 * self.grid)
        for name, loss in self.losses.items():
            if loss.rule != "fgan" or loss.divergence not in KNOWN or not loss.saturating:
                raise ValueError(f"losses.{name}: an experiment on divergences needs rule=fgan, saturating=true and "
                                 f"divergence={', '.join(KNOWN)}")


@dataclass(frozen=True)
class Fit:
    """A Gaussian and how far it is from the modes."""

    m: float
    s: float
    value: float


class Gaussian(nn.Module):
    """q, by its mean and the logarithm of its standard deviation."""

    def __init__(self, m: float, s: float) -> None:
        super().__init__()
        self.m = nn.Parameter(torch.tensor(m))
        self.log_s = nn.Parameter(torch.tensor(math.log(s)))

    def forward(self, z: Tensor) -> Tensor:  # [N] -> [N]
        return self.m + self.log_s.exp() * z

    def log(self, x: Tensor) -> Tensor:
        """Return the logarithm of the density, without a gradient for q itself."""
        m, log_s = self.m.detach(), self.log_s.detach()
        return -((x - m) / log_s.exp()) ** 2 / 2 - log_s - math.log(2 * math.pi) / 2


class OnTwoModes(Model):
    """The generator alone plays, against the discriminator that is best for where it stands."""

    discriminators = ()

    def __init__(self, loss: LossOptions, d: float, start: tuple[float, float], nodes: int) -> None:
        super().__init__(NOWHERE, Objective(loss))
        self.d, self.q = d, Gaussian(*start)
        self.z = normal_nodes(nodes)
        self.x = torch.cat([normal_nodes(nodes // 2) - d, normal_nodes(nodes - nodes // 2) + d])
        self.players = {"generator": [self.q]}

    def judge(self, x: Tensor) -> Tensor:
        """Return the best discriminator's output before the activation, f' of p / q: 1 + log(p/q) for KL, else log(p/q)."""
        log_p = torch.logaddexp(-(x - self.d) ** 2 / 2, -(x + self.d) ** 2 / 2) - math.log(2 * math.sqrt(2 * math.pi))
        return log_p - self.q.log(x) + (self.objective.options.divergence == "kl")

    def player_loss(self, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, dict[str, Tensor]]:
        judged = self.objective.generator(self.judge, (self.q(self.z),), (self.x,))
        return judged.loss, judged.scalars

    def showcase(self, fixed: Fixed) -> dict[str, Tensor]:
        return {}

    @torch.no_grad()
    def fit(self) -> Fit:
        """Return where q stands, with the bound that the best discriminator reaches (halved for JS, whose f counts twice)."""
        value = -self.objective.rule.discriminator(self.judge(self.x), self.judge(self.q(self.z))).item()
        return Fit(self.q.m.item(), self.q.log_s.exp().item(),
                   value / 2 if self.objective.options.divergence == "js" else value)


def learn(options: Options, loss: LossOptions, d: float) -> tuple[Fit, list[Fit]]:
    """Return the better of two fits, from a wide start in the middle and from one on a mode, with its way."""
    ways, times = [], moments(options.steps, FRAMES)
    for start in ((0.3, 1 + d), (d, 1.3)):
        model, way = OnTwoModes(loss, d, start, options.trainer.batch_size), []

        def look(step: int, model: OnTwoModes = model, way: list[Fit] = way) -> None:
            if step in times:
                way.append(model.fit())

        play(model, options.trainer, options.optimizer, options.steps, options.seed, look)
        ways.append(way)
    best = min(ways, key=lambda way: way[-1].value)
    return best[-1], best


def divergence(name: str, d: float, grid: int) -> Callable[[float, float], float]:
    """Return the divergence between the modes and N(m, s^2), by quadrature."""
    p = Mixture([-d, d], [1.0, 1.0], [1.0, 1.0])
    x = grid_of(p, Mixture([0.0], [d + 2], [1.0]), points=grid)
    log_p = p.log(x)
    between = {"kl": kl, "reverse_kl": lambda a, b, x: kl(b, a, x), "js": jsd}[name]
    return lambda m, s: between(log_p, Mixture([m], [s], [1.0]).log(x), x)


def exact(name: str, d: float, grid: int) -> Fit:
    """Return the optimum, by a search that narrows around the best of a raster of m >= 0 and s."""
    value = divergence(name, d, grid)
    m, s, step_m, step_s = (d + 1) / 2, (d + 2) / 2, (d + 1) / 8, (d + 1) / 8
    for _ in range(16):
        places = [(abs(m + i * step_m), max(0.2, s + j * step_s)) for i in range(-4, 5) for j in range(-4, 5)]
        m, s = min(places, key=lambda place: value(*place))
        step_m, step_s = step_m * 0.45, step_s * 0.45
    return Fit(m, s, value(m, s))


def experiment(options: Options) -> Result:
    """Fit every pair of modes by every divergence."""
    found = {(name, d): (exact(loss.divergence, d, options.grid), *learn(options, loss, d))
             for name, loss in options.losses.items() for d in options.distances}
    rows = [(name, d, best.m, abs(fit.m), best.s, fit.s, best.value, fit.value, "one mode" if best.m > 0.5 * d else "both")
            for (name, d), (best, fit, _) in found.items()]
    table = Table("optima", "One Gaussian N(m, s²) on two modes at -d and d (values in nats, m without its sign)",
                  ("divergence", "d", "m, exact", "m", "s, exact", "s", "value, exact", "value", "takes"), rows)
    told = ("One Gaussian on two modes. Forward KL covers both at every distance, reverse KL takes one from d = 3 on, JS "
            "covers both up to d = 4 and takes one at d = 5.")
    return Result([table], lambda figure, style: _draw(figure, style, options, found), told, [_scene(options, found)])


def _density(fit: Fit, x: NDArray) -> NDArray:
    return np.exp(Mixture([fit.m], [fit.s], [1.0]).log(x))


def _draw(figure: Any, style: Style, options: Options, found: dict[tuple[str, float], tuple[Fit, Fit, list[Fit]]]) -> None:
    reach = max(options.distances) + 4.5
    x = np.linspace(-reach, reach, 501)
    rows = figure.subplots(len(options.losses), len(options.distances), sharex=True, sharey=True, squeeze=False)
    for row, (name, loss) in zip(rows, options.losses.items(), strict=True):
        for axes, d in zip(row, options.distances, strict=True):
            best, fit, _ = found[name, d]
            axes.fill_between(x, np.exp(Mixture([-d, d], [1.0, 1.0], [1.0, 1.0]).log(x)), color=style.colors[5], alpha=0.5,
                              linewidth=0, label="p")
            axes.plot(x, _density(fit, x), color=style.colors[1], label="q, learned")
            axes.plot(x, _density(Fit(math.copysign(best.m, fit.m), best.s, 0.0), x), ":", color=style.ink, label="q, exact")
            axes.set(ylim=(0, 0.44), yticks=[0, 0.2, 0.4])
            if axes in rows[0]:
                axes.set_title(f"d = {d:g}")
        row[0].set_ylabel(f"{NAMES[loss.divergence].partition('(')[0]}\ndensity")
    for axes in rows[-1]:
        axes.set_xlabel("x")
    rows[0][0].legend(loc="upper left", fontsize=14)


def _scene(options: Options, found: dict[tuple[str, float], tuple[Fit, Fit, list[Fit]]]) -> Scene:
    reach = max(options.distances) + 4
    x, times, runs = np.linspace(-reach, reach, SHOWN), moments(options.steps, FRAMES), []
    for d in options.distances[1::2] or options.distances:
        for name, loss in options.losses.items():
            way = found[name, d][2]
            frames = np.array([_density(fit, x) for fit in way])
            told = f"It ends at m = {way[-1].m:.2f}, s = {way[-1].s:.2f} with {way[-1].value:.3f} nats."
            runs.append(Recorded(f"{NAMES[loss.divergence].partition('(')[0]}, d = {d:g}", told, times, Curves(
                x, {"q": frames}, {"p": np.exp(Mixture([-d, d], [1.0, 1.0], [1.0, 1.0]).log(x))})))
    return Scene("One Gaussian on two modes", "x", "density", (-reach, reach), (0, 0.45), "step", runs)
