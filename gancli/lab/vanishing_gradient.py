"""What a frozen generator could learn while a new discriminator gets better (Arjovsky & Bottou 2017, 1701.04862, fig. 2, 3).

Real and generated examples lie apart, so that a perfect discriminator exists; the gradient of E log(1 - D(G(z))) with respect
to the generator's weights vanishes on the way to it, that of -E log D(G(z)) does not.
"""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from gancli.blank import blank
from gancli.data.dataset import Data, check_batch, data_folder, load_data, open_source
from gancli.data.spec import Batch
from gancli.engine.options import OptimizerOptions, TrainerOptions
from gancli.engine.players import Player
from gancli.errors import UserError, check_range
from gancli.game.build import build_model, model_options
from gancli.game.model import Model, Progress
from gancli.lab.frame.playing import alone, examine_afresh, play, seeded
from gancli.lab.frame.result import Result, Table
from gancli.lab.frame.run import LabOptions
from gancli.lab.frame.style import Style
from gancli.losses.objective import Objective
from gancli.losses.options import LossOptions
from gancli.registry import models


@dataclass
class Options(LabOptions):
    """Which system, on which data."""

    losses: dict[str, LossOptions]
    model: dict[str, Any]
    dataset: dict[str, Any]
    side: int | None
    data_dir: str | None
    ages: list[int]
    steps: int
    looks: int
    examples: int
    trainer: TrainerOptions
    optimizer: OptimizerOptions

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("side", self.side, 1)
        check_range("steps", self.steps, 1)
        check_range("looks", self.looks, 2)
        check_range("examples", self.examples, 2)
        for age in self.ages:
            check_range("ages", age, 0)
        if not self.ages or not self.losses:
            raise ValueError("ages and losses must not be empty")
        if self.side is not None and "size" in self.dataset:
            self.dataset = {**self.dataset, "size": self.side}
        try:
            spec = open_source(self.dataset, data_folder(self.data_dir)).inspect()
            check_batch(spec, max(self.trainer.batch_size, self.examples))
            build = models.get(str(self.model.get("name"))).build
            build.check_data(model_options(self.model), spec)
        except UserError as error:
            raise ValueError(str(error)) from None
        if not {"generator", "discriminator"} <= set(self._players()):
            raise ValueError(f"model={self.model['name']} has no generator and discriminator: give model=gan")

    def _players(self) -> list[str]:
        with blank():
            return list(self.fresh(open_source(self.dataset, data_folder(self.data_dir)).inspect()).players)

    def fresh(self, spec: Any) -> Model:
        """Return the system with new weights, whose loss is the non-saturating one where it is among the losses."""
        loss = self.losses.get("nonsaturating") or next(iter(self.losses.values()))
        return build_model(model_options(self.model), Objective(loss), spec)


@dataclass(frozen=True)
class Trace:
    """The generator's gradient while a new discriminator learns."""

    steps: list[int]  # [T]
    norms: dict[str, list[float]]  # by loss, [T]
    verdicts: list[float]  # the mean D(G(z)), [T]
    accuracy: list[float]  # of D on the examples looked at, [T]

    def decades(self, loss: str) -> float:
        """By how many powers of ten the gradient fell."""
        return float(np.log10(self.norms[loss][0] / max(self.norms[loss][-1], 1e-45)))


def grown(options: Options, data: Data, age: int) -> Model:
    """Return a system that has played so many rounds."""
    seeded(options.seed)
    model = options.fresh(data.spec)
    play(model, options.trainer, options.optimizer, age, options.seed, data=data)
    return model


def judged_anew(options: Options, data: Data, trained: Model) -> Trace:
    """Train a new discriminator on a frozen generator, and measure what the generator could learn from it."""
    seeded(options.seed + 1)
    model = options.fresh(data.spec)
    model.generator.load_state_dict(trained.generator.state_dict())
    batch = data.batch(0, options.examples)
    steps = sorted({round(step) for step in np.geomspace(1, options.steps + 1, options.looks) - 1})
    trace = Trace(steps, {name: [] for name in options.losses}, [], [])

    def look(step: int) -> None:
        if step in steps:
            for name, loss in options.losses.items():
                trace.norms[name].append(gradient_norm(options, model, loss, batch))
            _verdict(options, model, batch, trace)

    play(model, options.trainer, options.optimizer, options.steps, options.seed, look, data, alone("discriminator"))
    return trace


def gradient_norm(options: Options, model: Model, loss: LossOptions, batch: Batch) -> float:
    """Return the norm of the engine's gradient of the generator's loss with respect to its weights, on the same latents."""
    objective, model.objective = model.objective, Objective(loss)
    player = Player("generator", model, options.optimizer, options.trainer, "fp32")
    examine_afresh(options.seed)
    norm = player.gradients(copy.copy(batch), Progress(total=1))["gradient_norm"].item()
    model.objective = objective
    return norm


@torch.no_grad()
def _verdict(options: Options, model: Model, batch: Batch, trace: Trace) -> None:
    examine_afresh(options.seed)
    real, fake = model.pairs(batch)
    of_real, of_fake = (nn.functional.sigmoid(model.judge(*inputs).float()) for inputs in (real, fake))
    trace.verdicts.append(of_fake.mean().item())
    trace.accuracy.append(((of_real > 0.5).float().mean().item() + (of_fake <= 0.5).float().mean().item()) / 2)


def experiment(options: Options) -> Result:
    """Freeze generators of several ages and judge each anew."""
    data = load_data(options.dataset, data_folder(options.data_dir), "cpu", options.seed)
    found = {age: judged_anew(options, data, grown(options, data, age)) for age in options.ages}
    rows = []
    for age, trace in found.items():
        for loss, norms in trace.norms.items():
            rows.append((f"{age} rounds", loss, norms[0], norms[-1], trace.decades(loss), trace.verdicts[-1],
                         trace.accuracy[-1]))
    table = Table("gradients", f"Norm of the frozen generator's gradient while a new D learns for {options.steps} steps",
                  ("generator's age", "its loss", "at first", "at last", "powers of ten fallen", "D(G(z)) at last",
                   "D's accuracy"), rows)
    told = ("The norm of the generator's gradient while a new discriminator learns against it: the saturating loss loses it "
            "by powers of ten, the non-saturating one keeps it.")
    return Result([table], lambda figure, style: _draw(figure, style, options, found), told)


def _draw(figure: Any, style: Style, options: Options, found: dict[int, Trace]) -> None:
    panels = figure.subplots(1, len(options.losses), sharey=True, squeeze=False)[0]
    for axes, loss in zip(panels, options.losses, strict=True):
        for number, (age, trace) in enumerate(found.items()):
            axes.plot(trace.steps, trace.norms[loss], ["-", "--", "-."][number % 3], color=style.colors[number],
                      label=f"G after {age} rounds")
        axes.set(title=loss.replace("_", "-"), xlabel="steps of the new discriminator", yscale="log")
        axes.set_xscale("symlog", linthresh=1)
        axes.set_xlim(0, options.steps)
    panels[0].set_ylabel("norm of G's gradient")
    panels[0].legend(loc="lower left", fontsize=18)
