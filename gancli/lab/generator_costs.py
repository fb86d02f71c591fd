"""What a generator feels of a judge's verdict under three costs (Goodfellow 2016, 1701.00160, section 3.2.3, figure 16).

With a the logit and D = sigmoid(a), the tutorial's costs J are E log(1 - D) / 2 (minimax), -E log D / 2 (its heuristic one,
non-saturating) and -E exp(a) / 2 (maximum likelihood); the project's losses leave the 1/2 out.  Slopes dJ/da: -D/2,
-(1 - D)/2 and -exp(a)/2.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gancli.errors import check_range
from gancli.lab.frame.memory import check_memory
from gancli.lab.frame.result import Result, Table
from gancli.lab.frame.run import LabOptions
from gancli.lab.frame.style import Style
from gancli.losses.adversarial import rule_of
from gancli.losses.options import LossOptions


@dataclass
class Options(LabOptions):
    """Which costs, and where they are looked at."""

    losses: dict[str, LossOptions]
    logits: list[float]
    reach: float
    grid: int

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("reach", self.reach, 0, 15, open_low=True)
        check_range("grid", self.grid, 2)
        check_memory("grid", self.grid, 400 * self.grid)
        for logit in self.logits:
            check_range("logits", logit, -15, 15)


def felt(loss: LossOptions, logits: NDArray) -> tuple[NDArray, NDArray]:
    """Return half the generator's cost of single examples with these logits [G] and its slope, by autograd."""
    a = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    rule = rule_of(loss)
    costs = 0.5 * torch.stack([rule.generator(one) for one in a[:, None]])
    slopes, = torch.autograd.grad(costs.sum(), a)
    return costs.detach().numpy(), slopes.numpy()


def exact(rule: str, logits: NDArray) -> tuple[NDArray, NDArray] | None:
    """Return the tutorial's costs and slopes; None for a rule that it does not treat."""
    d = 1 / (1 + np.exp(-logits))
    match rule:
        case "minimax":
            return 0.5 * np.log1p(-d), -d / 2
        case "nonsaturating":
            return -0.5 * np.log(d), -(1 - d) / 2
        case "maximum_likelihood":
            return -0.5 * np.exp(logits), -np.exp(logits) / 2
    return None


def experiment(options: Options) -> Result:
    """Look at every cost."""
    places, rows = np.array(options.logits, dtype=np.float64), []
    for name, loss in options.losses.items():
        known, (costs, slopes) = exact(loss.rule, places), felt(loss, places)
        for i, a in enumerate(places):
            told = (None, None) if known is None else (float(known[0][i]), float(known[1][i]))
            rows.append((name, float(a), float(1 / (1 + np.exp(-a))), told[0], float(costs[i]), told[1], float(slopes[i])))
    table = Table("costs", "Half the generator's cost of one example and its slope, by the judge's verdict",
                  ("loss", "logit a", "D", "cost, exact", "cost", "slope, exact", "slope"), rows)
    told = ("The generator's cost (left) and the size of its slope (right) against the judge's logit. Where D takes the "
            "example for generated (left end), minimax and maximum likelihood have next to no slope and the non-saturating "
            "cost has 1/2; where D takes it for real, maximum likelihood alone explodes.")
    return Result([table], lambda figure, style: _draw(figure, style, options), told)


def _draw(figure: Any, style: Style, options: Options) -> None:
    left, right = figure.subplots(1, 2)
    logits = np.linspace(-options.reach, options.reach, options.grid)
    for number, (name, loss) in enumerate(options.losses.items()):
        costs, slopes = felt(loss, logits)
        dash = ["-", "--", "-."][number % 3]
        left.plot(logits, costs, dash, color=style.colors[number], label=name.replace("_", " "))
        right.plot(logits, np.abs(slopes), dash, color=style.colors[number])
    left.set(xlabel="logit a, D = sigmoid(a)", ylabel="half the cost J (nats)", ylim=(-4, 3.2))
    right.set(xlabel="logit a, D = sigmoid(a)", ylabel="size of the slope |dJ/da|", yscale="log", ylim=(1e-3, 30))
    left.text(0.02, 0.03, "← D says generated", transform=left.transAxes, fontsize=17)
    left.legend(loc="upper center", fontsize=18)
