"""Do players reach the equilibrium?  The bilinear game x*y by every scheme of the engine, and the Dirac-GAN by every remedy.

x*y: Gidel 2019 (1802.10551, propositions 1 and 2), Mescheder 2017 (1705.10461), Daskalakis 2018 (1711.00141).  The factors
are those by which a step of length h multiplies the distance to (0, 0).  Dirac-GAN: Mescheder 2018 (1801.04406, sections 2
to 4): data are 0, the generator makes theta, D(x) = psi x, and its sign is such that psi grows while theta is positive.
The eigenvalues are those of the field by which the players move at (0, 0); with real parts below 0 it attracts.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gancli.data.spec import Batch
from gancli.engine.options import SCHEMES, OptimizerOptions, TrainerOptions
from gancli.errors import check_choice, check_range
from gancli.game.model import Fixed, Model, Progress
from gancli.lab.frame.densities import normal_nodes
from gancli.lab.frame.moving import Path, Recorded, Scene
from gancli.lab.frame.playing import NOWHERE, play
from gancli.lab.frame.result import Result, Table
from gancli.lab.frame.run import LabOptions
from gancli.lab.frame.style import Style
from gancli.losses.objective import Objective
from gancli.losses.options import LossOptions

VANISHED = 1e-30  # distances below are no longer exact in fp32
AROUND = 1e-2  # how far from the equilibrium the field is probed
ARRIVED = 1e-2  # distance at which a method has converged
AVERAGE = "average of alternating"


@dataclass
class Method:
    """One remedy on the Dirac-GAN."""

    loss: LossOptions
    scheme: str | None  # trainer.scheme; None: simultaneous, and alternating beside it
    noise: float  # standard deviation of instance noise

    def __post_init__(self) -> None:
        if self.scheme is not None:
            check_choice("scheme", self.scheme, SCHEMES)
        check_range("noise", self.noise, 0)


@dataclass
class DiracOptions:
    """The Dirac-GAN."""

    h: float
    steps: int
    start: list[float]
    nodes: int
    methods: dict[str, Method]

    def __post_init__(self) -> None:
        check_range("dirac.h", self.h, 0, 2, open_low=True)
        check_range("dirac.steps", self.steps, 10, 20_000)
        check_range("dirac.nodes", self.nodes, 2, 10_000)
        check_point("dirac.start", self.start)


@dataclass
class Options(LabOptions):
    """Both games."""

    h: float
    steps: int
    start: list[float]
    schemes: list[str]
    trainer: TrainerOptions
    optimizer: OptimizerOptions
    loss: LossOptions
    dirac: DiracOptions

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("h", self.h, 0, 2, open_low=True)
        check_range("steps", self.steps, 10, 20_000)
        check_point("start", self.start)
        if not self.schemes:
            raise ValueError(f"schemes is empty: give some of {', '.join(SCHEMES)}")
        for scheme in self.schemes:
            check_choice("schemes", scheme, SCHEMES)
        if self.h * abs(math.log10(2)) * self.steps > 4000:
            raise ValueError(f"h={self.h:g} and steps={self.steps} leave what fp32 can hold: give fewer steps")


def check_point(key: str, point: list[float]) -> None:
    """Raise a ValueError unless this is a point of the plane other than the equilibrium."""
    if len(point) != 2 or not any(point):
        raise ValueError(f"{key} is two numbers that are not both 0, not {point}")


class Point(nn.Module):
    """A player that is one number."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor([value]))


class Bilinear(Model):
    """x minimizes x*y, y maximizes it."""

    discriminators = ("y",)

    def __init__(self, loss: LossOptions, start: list[float]) -> None:
        super().__init__(NOWHERE, Objective(loss))
        self.x, self.y = map(Point, start)
        self.players = {"x": [self.x], "y": [self.y]}

    def player_loss(self, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, dict[str, Tensor]]:
        product = (self.x.value * self.y.value).sum()
        return (product if player == "x" else -product), {}

    def showcase(self, fixed: Fixed) -> dict[str, Tensor]:
        return {}

    def place(self) -> tuple[float, float]:
        """Return where the players are."""
        return self.x.value.item(), self.y.value.item()


class Dirac(Model):
    """A generator of the single point theta against D(x) = psi x."""

    def __init__(self, method: Method, start: list[float], nodes: int) -> None:
        super().__init__(NOWHERE, Objective(method.loss))
        self.theta, self.psi = map(Point, start)
        self.players = {"discriminator": [self.psi], "generator": [self.theta]}
        self.noise = method.noise * normal_nodes(nodes)[:, None]  # [N, 1]

    def judge(self, x: Tensor) -> Tensor:
        """Return D's logits with the sign of the other losses: large on what it takes for real."""
        return -(self.psi.value * x).sum(1)

    def player_loss(self, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, dict[str, Tensor]]:
        real, fake = self.noise, self.theta.value + self.noise
        if player == "discriminator":
            judged = self.objective.discriminator(self.judge, (real,), (fake,), progress.turns.get(player, 0))
        else:
            judged = self.objective.generator(self.judge, (fake,), (real,))
        return judged.loss, judged.scalars

    def showcase(self, fixed: Fixed) -> dict[str, Tensor]:
        return {}

    def place(self) -> tuple[float, float]:
        """Return where the players are."""
        return self.theta.value.item(), self.psi.value.item()


def exact_factor(scheme: str, h: float, gamma: float) -> float:
    """Return by what a step multiplies the distance on x*y, in the long run.

    Args:
        gamma: weight of the squared gradients in consensus.
    """
    match scheme:
        case "simultaneous":
            return math.sqrt(1 + h**2)
        case "alternating":
            return 1.0 if h <= 2 else math.inf
        case "extragradient":
            return math.sqrt(1 - h**2 + h**4)
        case "past_extragradient" | "optimistic":  # roots of l^2 - (1 - 2 i h) l - i h
            root = np.sqrt(complex(1 - 4 * h**2))
            return max(abs(1 - 2j * h + root), abs(1 - 2j * h - root)) / 2
        case "consensus":
            return math.sqrt((1 - h * gamma) ** 2 + h**2)
    raise ValueError(f"there is no scheme called {scheme}")


def walk(model: Any, trainer: TrainerOptions, optimizer: OptimizerOptions, scheme: str, h: float, steps: int) -> NDArray:
    """Return the players' places [T + 1, 2] over so many rounds of the engine."""
    places: list[tuple[float, float]] = []
    play(model, replace(trainer, scheme=scheme), replace(optimizer, lr=h), steps, look=lambda _: places.append(model.place()))
    return np.array(places)


def factor(scheme: str, path: NDArray, h: float) -> float:
    """Return by what a step multiplied the distance (that of its ellipse where steps alternate), over the last half of it."""
    distances = np.sqrt(np.abs(invariant(path, h))) if scheme == "alternating" else np.hypot(*path.T)
    last = int(np.flatnonzero(distances > VANISHED)[-1])
    half = last // 2
    return float((distances[last] / distances[half]) ** (1 / (last - half)))


def bilinear(options: Options) -> dict[str, NDArray]:
    """Return the paths on x*y by scheme."""
    return {scheme: walk(Bilinear(options.loss, options.start), options.trainer, options.optimizer, scheme, options.h,
                         options.steps) for scheme in dict.fromkeys([*options.schemes, "alternating"])}


def averaged(path: NDArray) -> NDArray:
    """Return the mean [T, 2] of the first t iterates: x after its t steps, y as x's steps saw it."""
    counts = np.arange(1, len(path))[:, None]
    return np.cumsum(np.stack([path[1:, 0], path[:-1, 1]], 1), 0) / counts


def exact_average(path: NDArray, h: float) -> NDArray:
    """Return the distances [T] of these means: sums of steps telescope to |w_t - w_0| / (h t)."""
    return np.hypot(*(path[1:] - path[0]).T) / (h * np.arange(1, len(path)))


def invariant(path: NDArray, h: float) -> NDArray:
    """Return x^2 + y^2 - h x y, which alternating steps (x first) conserve."""
    x, y = path.T
    return x**2 + y**2 - h * x * y


def eigenvalues(options: Options, method: Method) -> NDArray:
    """Return the eigenvalues of the field by which the engine moves the players, by differences around (0, 0)."""
    columns = []
    for axis in ([AROUND, 0.0], [0.0, AROUND]):
        moved = []
        for sign in (1, -1):
            start = [sign * value for value in axis]
            path = walk(Dirac(method, start, options.dirac.nodes), options.trainer, options.optimizer,
                        method.scheme or "simultaneous", options.dirac.h, 1)
            moved.append((path[1] - path[0]) / options.dirac.h)
        columns.append((moved[0] - moved[1]) / (2 * AROUND))
    return np.linalg.eigvals(np.array(columns).T)


def exact_eigenvalues(options: Options, method: Method) -> NDArray | None:
    """Return them from the formulas of Mescheder 2018; None where the field jumps at (0, 0)."""
    loss = method.loss
    if loss.gradient_penalty.weight or loss.dragan.weight:
        return None
    slope, curvature = (1.0, 0.0) if loss.rule == "wgan" else (0.5, -0.25)  # f'(0), f''(0)
    gamma = loss.r1.weight + loss.r2.weight
    damping = gamma - 2 * curvature * method.noise**2 if loss.rule != "wgan" else gamma
    shift = options.trainer.consensus * slope**2 if method.scheme == "consensus" else 0.0
    root = np.sqrt(complex(damping**2 / 4 - slope**2))
    return np.array([-damping / 2 + root - shift, -damping / 2 - root - shift])


def complex_text(values: NDArray | None) -> str:
    """Return eigenvalues as people write them."""
    if values is None:
        return "none (a jump)"
    one, two = sorted(values, key=lambda value: (value.imag, value.real), reverse=True)
    if abs(one.imag) > 1e-6:
        return f"{one.real + 0.0:.3f} ± {one.imag:.3f}i".replace("-0.000", "0.000")
    return f"{one.real:.3f}, {two.real:.3f}"


def dirac(options: Options) -> dict[str, tuple[NDArray, NDArray | None]]:
    """Return by method the paths of simultaneous steps (or of the method's own scheme), and of alternating ones."""
    game, found = options.dirac, {}
    for name, method in game.methods.items():
        schemes = [method.scheme] if method.scheme else ["simultaneous", "alternating"]
        paths = [walk(Dirac(method, game.start, game.nodes), options.trainer, options.optimizer, scheme, game.h, game.steps)
                 for scheme in schemes]
        found[name] = (paths[0], paths[1] if len(paths) > 1 else None)
    return found


def experiment(options: Options) -> Result:
    """Play both games."""
    paths, remedies = bilinear(options), dirac(options)
    mean = averaged(paths["alternating"])
    tables = [_factors(options, paths), _averages(options, paths["alternating"], mean), _remedies(options, remedies)]
    told = (f"Distance to the equilibrium after each step. Left, x*y with h = {options.h:g}: simultaneous steps spiral out, "
            "alternating ones circle, extragradient, optimistic and consensus steps arrive. Right, the Dirac-GAN with "
            f"h = {options.dirac.h:g}: only instance noise, R1 and consensus arrive.")
    return Result(tables, lambda figure, style: _draw(figure, style, options, paths, mean, remedies), told,
                  [_scene_xy(options, paths, mean), _scene_dirac(options, remedies)])


def _factors(options: Options, paths: dict[str, NDArray]) -> Table:
    rows = []
    for scheme in options.schemes:
        path, exact = paths[scheme], exact_factor(scheme, options.h, options.trainer.consensus)
        kept = invariant(path, options.h)
        rows.append((scheme, exact, factor(scheme, path, options.h), float(np.hypot(*path[-1])),
                     float(np.ptp(kept) / abs(kept[0])) if scheme == "alternating" else None))
    return Table("factors", f"x*y, h = {options.h:g}: by what a step multiplies the distance to (0, 0)",
                 ("scheme", "exact", "engine", f"distance after {options.steps}", "change of x² + y² - h x y"), rows, digits=5)


def _averages(options: Options, path: NDArray, mean: NDArray) -> Table:
    exact, distances = exact_average(path, options.h), np.hypot(*mean.T)
    places = sorted({round(options.steps * share) for share in (0.1, 0.25, 0.5, 1.0)})
    rows = [(t, float(exact[t - 1]), float(distances[t - 1]), float(distances[t - 1] * options.h * t)) for t in places]
    return Table("average", "x*y: distance of the mean of alternating steps falls as 1/(h t)",
                 ("steps t", "exact |w_t - w_0|/(h t)", "engine", "times h t"), rows)


def _remedies(options: Options, found: dict[str, tuple[NDArray, NDArray | None]]) -> Table:
    rows = []
    for name, (path, alternating) in found.items():
        method = options.dirac.methods[name]
        exact = exact_eigenvalues(options, method)
        attracts = exact is not None and bool((exact.real < -1e-9).all())
        left = float(np.hypot(*path[-1]))
        rows.append((name, complex_text(exact), complex_text(eigenvalues(options, method)) if exact is not None else "",
                     left, None if alternating is None else float(np.hypot(*alternating[-1])), attracts, left < ARRIVED))
    return Table("dirac", f"Dirac-GAN, h = {options.dirac.h:g}: the field at the equilibrium, and the distance left after "
                 f"{options.dirac.steps} steps",
                 ("method", "eigenvalues", "engine's", "simultaneous", "alternating", "attracts", "arrived"), rows, digits=3)


def _draw(figure: Any, style: Style, options: Options, paths: dict[str, NDArray], mean: NDArray,
          remedies: dict[str, tuple[NDArray, NDArray | None]]) -> None:
    left, right = figure.subplots(1, 2)
    lines = {**{scheme: paths[scheme] for scheme in options.schemes},
             AVERAGE: np.concatenate([paths["alternating"][:1], mean])}
    _distances(left, lines, style)
    left.set(title=f"x·y, h = {options.h:g}", xlabel="step", ylabel="distance to the equilibrium")
    _distances(right, {name: path for name, (path, _) in remedies.items()}, style)
    right.set(title=f"Dirac-GAN, h = {options.dirac.h:g}", xlabel="step")


def _distances(axes: Any, lines: dict[str, NDArray], style: Style) -> None:
    """Draw distances on a logarithmic axis, each curve with its name and a dash of its own."""
    for number, (name, path) in enumerate(lines.items()):
        dash = ["-", "--", "-.", ":"][number // 2 % 4]
        axes.plot(np.maximum(np.hypot(*path.T), 1e-12), dash, color=style.colors[number % 8], label=name.replace("_", " "))
    axes.set_yscale("log")
    axes.set_ylim(bottom=1e-4)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, fontsize=17, columnspacing=1, handlelength=2.2)


def _scene_xy(options: Options, paths: dict[str, NDArray], mean: NDArray) -> Scene:
    told = {"simultaneous": "Every step leads outward.", "alternating": "An ellipse: nobody arrives, nobody is lost.",
            "extragradient": "Looking one step ahead turns the step inward.",
            "past_extragradient": "The last gradient serves for looking ahead: one gradient a step.",
            "optimistic": "Twice this step minus the last one.",
            "consensus": "The players also make each other's gradients small."}
    reach = 2.2 * float(np.hypot(*options.start))
    runs = [Recorded(scheme.replace("_", " "), told[scheme], range(len(paths[scheme])), Path(_near(paths[scheme], reach)))
            for scheme in options.schemes]
    runs.append(Recorded(AVERAGE, "The mean of the ellipse creeps to its middle, as 1/(h t).", range(1, len(mean) + 1),
                         Path(mean)))
    return Scene(f"x·y, h = {options.h:g}", "x", "y", (-reach, reach), (-reach, reach), "step", runs)


def _scene_dirac(options: Options, remedies: dict[str, tuple[NDArray, NDArray | None]]) -> Scene:
    reach = 1.6 * float(np.hypot(*options.dirac.start))
    runs = []
    for name, (path, _) in remedies.items():
        left = float(np.hypot(*path[-1]))
        told = f"Distance left after {options.dirac.steps} steps: {left:.3f}."
        every = max(1, len(path) // 500)
        runs.append(Recorded(name.replace("_", " "), told, range(0, len(path), every), Path(_near(path[::every], reach))))
    return Scene(f"Dirac-GAN, h = {options.dirac.h:g}", "theta (generator)", "psi (discriminator)", (-reach, reach),
                 (-reach, reach), "step", runs)


def _near(path: NDArray, reach: float) -> NDArray:
    """Return the path up to where it is far outside."""
    return np.clip(path, -20 * reach, 20 * reach)
