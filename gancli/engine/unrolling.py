"""Looking ahead through the discriminators' next steps, with gradients (Metz 2017, section 2.2).

The generator minimizes its loss against the discriminators as they will be after K steps of their own optimizers on the
same batch and the same noise, and its gradient runs through all of these steps (second order).  The optimizers' moments
start from the present ones; nothing of the look is kept.  The gradient of a penalty on input gradients is followed
through the discriminator's weights and not through the points at which it is taken.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from gancli.data.spec import Batch
from gancli.engine.players import Player
from gancli.game.looking import untouched
from gancli.game.model import Progress
from gancli.ranks import shards

State = dict[str, Tensor | float]  # of one parameter: the optimizer's moments and its steps


def looked_ahead(judges: Sequence[Player], batch: Batch, progress: Progress, steps: int,
                 reseed: Callable[[], None]) -> dict[str, Tensor]:
    """Return the judges' weights after so many steps, by their names in the model, differentiable in all other weights.

    Args:
        reseed: makes the next loss draw the same random numbers as the one before.
    """
    ahead: dict[str, Tensor] = {}
    states: dict[str, State] = {}
    for player in judges:
        for name, parameter in _named(player):
            ahead[name] = parameter.detach().clone().requires_grad_(True)
            states[name] = dict(player.optimizer.state.get(parameter, {}))
    for _ in range(steps):
        for player in judges:
            names = [name for name, _ in _named(player)]
            reseed()
            with _unheard(player):
                loss, _ = player.loss(batch, progress, ahead=ahead)
            found = torch.autograd.grad(loss, [ahead[name] for name in names], create_graph=True, materialize_grads=True)
            for name, gradient in zip(names, _over_ranks(found), strict=True):
                ahead[name] = _stepped(player, ahead[name], gradient, states[name], player.lr(progress))
    reseed()
    return ahead


def _unheard(player: Player) -> AbstractContextManager:
    """Return a context in which an augmentation does not learn from what a discriminator says."""
    augment = player.model.objective.augment
    return nullcontext() if augment is None else untouched(augment)


def _named(player: Player) -> list[tuple[str, Tensor]]:
    own = {id(parameter) for parameter in player.parameters}
    return [(name, parameter) for name, parameter in player.model.named_parameters() if id(parameter) in own]


def _over_ranks(gradients: Sequence[Tensor]) -> list[Tensor]:
    """Return the gradients' means over the ranks, differentiable."""
    if shards.world() == 1:
        return list(gradients)
    whole = shards.stacked(torch.cat([gradient.flatten() for gradient in gradients])).mean(0)
    pieces = whole.split([gradient.numel() for gradient in gradients])
    return [piece.view_as(gradient) for piece, gradient in zip(pieces, gradients, strict=True)]


def _stepped(player: Player, value: Tensor, gradient: Tensor, state: State, lr: float) -> Tensor:
    """Return a parameter after the step that the player's optimizer would take, and move its state likewise."""
    options = player.options
    if options.name == "adamw":
        value = value * (1 - lr * options.weight_decay)
    elif options.weight_decay:
        gradient = gradient + options.weight_decay * value
    match options.name:
        case "adam" | "adamw":
            first, second = player.optimizer.param_groups[0]["betas"]  # as the phase has them
            step = state["step"] = float(state.get("step", 0)) + 1
            mean = state["exp_avg"] = first * state.get("exp_avg", 0) + (1 - first) * gradient
            square = state["exp_avg_sq"] = second * state.get("exp_avg_sq", 0) + (1 - second) * gradient.square()
            return value - lr / (1 - first**step) * mean / (_root(square / (1 - second**step), options.eps) + options.eps)
        case "rmsprop":
            square = state["square_avg"] = (options.alpha * state.get("square_avg", 0)
                                            + (1 - options.alpha) * gradient.square())
            gradient = gradient / (_root(square, options.eps) + options.eps)
    if options.momentum:
        buffer = state.get("momentum_buffer")
        gradient = state["momentum_buffer"] = gradient if buffer is None else options.momentum * buffer + gradient
    return value - lr * gradient


def _root(square: Tensor, eps: float) -> Tensor:
    """Return the square root, with a slope of 0 where it is lost beside eps (at 0 it would be infinite)."""
    return square.clamp_min(eps**2).sqrt()
