"""What a discriminator returns: logits, and the features of the pass that other losses read."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

Inputs = tuple[Tensor, ...]
Judge = Callable[..., "Tensor | Output"]  # from inputs to logits, with features or without


class Output(NamedTuple):
    """Logits with features; a plain tensor of logits will do where there are none."""

    logits: Tensor  # [N], or [N, 1, h, w] of a patch discriminator
    features: tuple[Tensor, ...] = ()  # [N, ...] each, from any layers: the model's own, which its losses read
    watched: tuple[Tensor, ...] = ()  # [N, ...] each, from layers that the objective watches (loss.feature_matching)


class Judged(NamedTuple):
    """A player's loss, its parts, and the outputs that it was computed from."""

    loss: Tensor
    scalars: dict[str, Tensor]  # detached
    real: Output | None  # None where the loss does not look at real examples
    fake: Output


def outputs_of(judge: Judge, inputs: Inputs) -> Output:
    """Return the judge's outputs with float32 logits."""
    found = judge(*inputs)
    return found._replace(logits=found.logits.float()) if isinstance(found, Output) else Output(found.float())


def logits_only(judge: Judge) -> Callable[..., Tensor]:
    """Return the judge without its features, for what differentiates it."""
    return lambda *inputs: outputs_of(judge, inputs).logits


def parted(both: Output, first: int, second: int) -> tuple[Output, Output]:
    """Return the outputs of the first examples of a batch and of the others, which a judge may give several of each."""
    n = len(both.logits) * first // (first + second)
    every = (both.logits, *both.features, *both.watched)
    own = 1 + len(both.features)
    before, behind = ([part[:n] for part in every], [part[n:] for part in every])
    return (Output(before[0], tuple(before[1:own]), tuple(before[own:])),
            Output(behind[0], tuple(behind[1:own]), tuple(behind[own:])))
