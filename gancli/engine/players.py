"""A player of the game: gradients of its own networks, optimizer steps, and the guard against non-finite numbers."""

import inspect
import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.func import functional_call

from gancli.data.spec import Batch
from gancli.engine.norms import total_norm
from gancli.engine.options import OptimizerOptions, ScheduleOptions, TrainerOptions
from gancli.errors import UserError
from gancli.game.model import Model, Progress
from gancli.game.phase import Phase
from gancli.ranks import shards


class NonFinite(UserError):
    """A loss or gradient became infinite or not a number; the weights are those of before that turn."""


def lr_factor(options: ScheduleOptions, progress: Progress) -> float:
    """Return what the learning rate is multiplied by at this point of the run."""
    factor = 1.0
    if options.warmup_kimg:
        factor = min(1.0, (progress.images + 1) / (1000 * options.warmup_kimg))
    done = progress.images / progress.total
    if options.name == "constant" or done <= options.start:
        return factor
    fallen = (done - options.start) / (1 - options.start)
    return factor * (1 - fallen if options.name == "linear" else 0.5 * (1 + math.cos(math.pi * fallen)))


def build_optimizer(options: OptimizerOptions, parameters: Sequence[nn.Parameter | dict]) -> torch.optim.Optimizer:
    """Return the optimizer of parameters, or groups of them, that options name; fused where torch has a kernel for it."""
    lr, decay = options.lr, options.weight_decay
    match options.name:
        case "adam":
            return torch.optim.Adam(parameters, lr, tuple(options.betas), options.eps, decay, fused=True)
        case "adamw":
            return torch.optim.AdamW(parameters, lr, tuple(options.betas), options.eps, decay, fused=True)
        case "rmsprop":
            return torch.optim.RMSprop(parameters, lr, options.alpha, options.eps, decay, options.momentum, foreach=True)
        case "sgd":
            return torch.optim.SGD(parameters, lr, options.momentum, weight_decay=decay, fused=True)
    raise ValueError(f"there is no optimizer called {options.name}")


def average_over_ranks(gradients: list[Tensor], loss: Tensor) -> Tensor:
    """Average gradients over the ranks, in place, and return the mean loss: all in one flat bucket.

    The loss travels along so that all ranks see a number that is not finite on the same turn.  The exchange follows the
    backward pass.  Between two CPU ranks on a busy machine it took 1 to 4 % of a turn of dcgan (32x32, batch 64) and 16 to
    23 % of one of gan's, whose weights are many for their work: the most that overlapping them could save (not tried).
    """
    if shards.world() == 1:
        return loss
    bucket = torch.cat([loss.float().flatten(), *[gradient.flatten() for gradient in gradients]])
    shards.average(bucket)
    mean, *pieces = bucket.split([1, *[gradient.numel() for gradient in gradients]])
    torch._foreach_copy_(gradients, [piece.view_as(gradient) for piece, gradient in zip(pieces, gradients, strict=True)])
    return mean.view(())


class Player:
    """One player of the game: its networks' parameters, their optimizer, and how it takes a turn."""

    def __init__(self, name: str, model: Model, optimizer: OptimizerOptions, trainer: TrainerOptions,
                 precision: str) -> None:
        self.name = name
        self.model = model
        self.trainer = trainer
        self.options = optimizer.of(name, name in model.discriminators)  # its own
        self.precision = precision
        self.parameters = list(dict.fromkeys(p for module in model.players[name] for p in module.parameters()))
        self.device = self.parameters[0].device
        self.optimizer = build_optimizer(self.options, self._groups())
        self._bare_step = inspect.unwrap(type(self.optimizer).step)  # the wrappers import torch's compiler: 2 s at the start
        self.base_lr = self.options.lr  # of the phase that is played
        self.correction = 1.0  # of rate and betas, for steps on a part of the loss alone
        self.held: list[Tensor | None] = []  # the gradient that the next step takes, one a parameter
        self.rests: Tensor | None = None  # 1 where the next step is to change nothing; None: the model lets nobody rest
        self.tripped = torch.zeros((), device=self.device)  # 1 once a number was not finite (accelerators)

    def _groups(self) -> list[dict]:
        """Return the parameters in groups of one rate each, in shares of the player's (Model.rates)."""
        share = {id(p): rate for name, rate in self.model.rates.items() for p in self.model.get_submodule(name).parameters()}
        rates = [share.get(id(p), 1.0) for p in self.parameters]
        return [{"params": [p for p, mine in zip(self.parameters, rates, strict=True) if mine == rate], "rate": rate}
                for rate in dict.fromkeys(rates)]

    @property
    def optimizer_name(self) -> str:
        """The name of its optimizer."""
        return self.options.name

    def enter(self, phase: Phase, begins: bool) -> None:
        """Take a phase's rate and moments, and a fresh optimizer where it begins so.

        A part of the loss that has a step of its own in every k-th round makes k + 1 steps of k: rate and betas are
        corrected by c = k / (k + 1), to lr c and beta^c (Karras 2020, appendix B), unless the phase wants full steps.
        """
        self.base_lr = phase.lr.get(self.name, self.options.lr) * phase.lr_factor
        every = min((turn.every for turn in phase.turns if turn.player == self.name and turn.part), default=0)
        self.correction = every / (every + 1) if every and not phase.full_steps else 1.0
        for group in self.optimizer.param_groups:
            if "betas" in group:
                first, second = self.options.betas
                second = 1 - (1 - second) * phase.forgetting if phase.forgetting != 1 else second
                group["betas"] = (first**self.correction, second**self.correction)
        if begins and phase.fresh_optimizers:
            self.optimizer.state.clear()

    def loss(self, batch: Batch, progress: Progress, part: str = "",
             ahead: dict[str, Tensor] | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the player's loss on a batch and its scalars, computed in the run's precision.

        Args:
            part: of the loss alone.
            ahead: weights of other players, by their names in the model, in place of their own.
        """
        with self.precisely():
            if part:
                return self.model.part_loss(part, self.name, batch, progress)
            if ahead is not None:
                loss, scalars = functional_call(self.model, ahead, (self.name, batch, progress))
            else:
                loss, scalars = self.model.player_loss(self.name, batch, progress)
            of_weights = self.model.objective.of_weights(self.name, ahead)
        return (loss, scalars) if of_weights is None else (loss + of_weights, scalars)

    def precisely(self) -> AbstractContextManager:
        """Return a context in which networks compute in the run's precision."""
        return nullcontext() if self.precision == "fp32" else torch.autocast(self.device.type, torch.bfloat16)

    def turn(self, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """Take one turn, gradients and step; returns scalars on the device."""
        scalars = self.gradients(batch, progress)
        self.step(progress)
        return scalars

    def gradients(self, batch: Batch, progress: Progress, part: str = "",
                  ahead: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Learn the gradient that the next step takes: backward, all-reduce, clip.  Returns scalars on the device.

        Args:
            part, ahead: as `loss` takes them.
        """
        self.ask_for_gradients()
        parts = self.trainer.accumulate
        totals: dict[str, Tensor] = {}
        for piece in batch.split(parts) if parts > 1 else (batch,):
            loss, scalars = self.loss(piece, progress, part, ahead)
            (loss / parts if parts > 1 else loss).backward()
            for key, value in {"loss": loss.detach(), **scalars}.items():
                totals[key] = totals[key] + value / parts if key in totals else value / parts
        return self.hold(totals)

    def ask_for_gradients(self) -> None:
        """Let this player's weights, and no others, ask for gradients."""
        self.model.requires_grad_(False)
        for parameter in self.parameters:
            parameter.requires_grad_(True)
            parameter.grad = None

    def hold(self, scalars: dict[str, Tensor]) -> dict[str, Tensor]:
        """Average the parameters' gradients over the ranks, guard and clip them, and keep them for the next step."""
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        scalars["loss"] = average_over_ranks(gradients, scalars["loss"])
        norm = total_norm(gradients)
        scalars["gradient_norm"] = norm
        self._guard(scalars)
        if self.trainer.clip_grad_norm is not None:
            torch.nn.utils.clip_grads_with_norm_(self.parameters, self.trainer.clip_grad_norm, norm)
        self.held = [parameter.grad for parameter in self.parameters]
        self.rests = scalars.get("rests")
        return scalars

    def step(self, progress: Progress, counted: bool = True) -> None:
        """Take the optimizer's step along the gradient that is held, then enforce constraints.

        Args:
            counted: whether it ends a turn; steps that only look ahead do not.
        """
        for parameter, gradient in zip(self.parameters, self.held, strict=True):
            parameter.grad = gradient
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr(progress) * self.correction * group["rate"]
        with torch.no_grad(), self._resting():
            self._bare_step(self.optimizer)
        self.model.after_step(self.name)
        if counted:
            progress.turns[self.name] = progress.turns.get(self.name, 0) + 1

    @contextmanager
    def _resting(self) -> Iterator[None]:
        """Put weights and the optimizer's state back after the block, on the device, where the player rests.

        A gradient of zero alone would not do: moments would fade, and the first step after a rest would be too long.
        """
        if self.rests is None:
            yield
            return
        before = {key: value.detach().clone() for key, value in self._moving()}
        yield
        for key, value in self._moving():
            value.copy_(torch.where(self.rests >= 1, before.get(key, torch.zeros_like(value)), value))

    def _moving(self) -> Iterator[tuple[tuple[int, str], Tensor]]:
        """Yield what a step changes: weights, and the state that lies beside them."""
        for number, parameter in enumerate(self.parameters):
            yield (number, ""), parameter
            for name, value in self.optimizer.state.get(parameter, {}).items():
                if isinstance(value, Tensor) and value.device == self.device:
                    yield (number, name), value

    @contextmanager
    def weights_back(self) -> Iterator[None]:
        """Put the weights back to what they were before the block."""
        before = [parameter.detach().clone() for parameter in self.parameters]
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(self.parameters, before)

    def lr(self, progress: Progress) -> float:
        """Return the learning rate at this point of the run."""
        return self.base_lr * lr_factor(self.options.schedule, progress)

    def _guard(self, scalars: dict[str, Tensor]) -> None:
        """Let no step be taken on a loss or gradient that is not finite.

        On the CPU looking costs nothing, and the run ends here.  On an accelerator the look stays on the device: the
        optimizer's kernel skips the step (`found_inf`, as for gradient scaling), and the next tick reports it.
        """
        total = scalars["loss"] + scalars["gradient_norm"]
        if self.device.type == "cpu":
            if not math.isfinite(total):
                raise NonFinite(self._describe(scalars))
            return
        self.tripped.copy_(torch.maximum(self.tripped, (~torch.isfinite(total)).float()))
        self.optimizer.found_inf = self.tripped
        if not getattr(self.optimizer, "_step_supports_amp_scaling", False):  # RMSprop: freeze it by its gradients
            for parameter in self.parameters:
                if parameter.grad is not None:
                    parameter.grad = torch.where(self.tripped > 0, 0.0, parameter.grad)

    def check(self, figures: dict[str, float]) -> None:
        """Raise NonFinite if a turn since the last tick was skipped (accelerators; waits for the device).

        Args:
            figures: means since the last tick by `player/name`; what was not finite once is not finite in its mean.
        """
        if self.device.type != "cpu" and self.tripped.item():
            mine = f"{self.name}/"
            raise NonFinite(self._describe({k.removeprefix(mine): v for k, v in figures.items() if k.startswith(mine)}))

    def _describe(self, scalars: dict) -> str:
        bad = [key for key, value in scalars.items() if not math.isfinite(value) and key not in ("loss", "gradient_norm")]
        names = {id(p): name for name, p in self.model.named_parameters()}
        gradients = [names[id(p)] for p in self.parameters if p.grad is not None and not p.grad.isfinite().all()]
        what = f"{', '.join(bad)} in its loss" if bad else "its loss"
        if not bad and math.isfinite(scalars["loss"]):
            what = f"the gradient of {gradients[0]}" if gradients else "its gradient"
        return (f"The {self.name}'s turn gave a number that is not finite: {what}. No step was taken on it. "
                "Try a lower optimizer.lr, trainer.clip_grad_norm=1 or trainer.precision=fp32.")
