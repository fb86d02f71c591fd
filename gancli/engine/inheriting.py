"""A new run that begins with the weights of another one: what fits by name and shape is taken, the rest begins anew.

Weights and batch statistics are taken, the averaged ones too; optimizers, pools of earlier images, the strength of an adaptive
augmentation and all else that tells of the other run's course are not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from gancli.engine.averages import Average, statistics
from gancli.game.model import Model
from gancli.runs.checkpoint import Checkpoint, read

SHOWN = 4  # names that a sentence gives


@dataclass(frozen=True)
class Inheritance:
    """Which tensors of a model another run's weights have, by name."""

    taken: list[str]
    new: list[str]  # the other run has none of that name and shape
    left: list[str]  # of the other run, which the model has no place for
    share: float  # of the model's numbers that are taken, 0 to 1

    def describe(self) -> str:
        """Return what is taken and what is not, in a clause or two."""
        count = len(self.taken) + len(self.new)
        told = f"{len(self.taken)} of {count} tensors ({self.share:.1%} of the weights)"
        told += f"; new here: {_named(self.new)}" if self.new else ""
        return told + (f"; left there: {_named(self.left)}" if self.left else "")


def inheritance(model: Model, shapes: Mapping[str, tuple[int, ...]]) -> Inheritance:
    """Return what a model takes of the tensors `model/NAME` of these shapes; a blueprint will do."""
    wanted = _lasting(model)
    there = {name.removeprefix("model/"): shape for name, shape in shapes.items() if name.startswith("model/")}
    taken = [name for name, tensor in wanted.items() if there.get(name) == tuple(tensor.shape)]
    all_numbers = sum(tensor.numel() for tensor in wanted.values())
    share = sum(wanted[name].numel() for name in taken) / max(1, all_numbers)
    buffers = {name for name, _ in model.named_buffers()} - wanted.keys()
    left = [name for name in there if name not in taken and name not in buffers
            and not name.startswith("objective.") and not name.endswith(".num_batches_tracked")]
    return Inheritance(taken, [name for name in wanted if name not in taken], left, share)


@torch.no_grad()
def inherit(model: Model, average: Average | None, path: Path) -> None:
    """Put what fits of a checkpoint's weights, and of its averaged ones, in place of the first weights."""
    checkpoint = read(path, prefixes=("model/", "ema/"))
    names = inheritance(model, {name: tuple(tensor.shape) for name, tensor in checkpoint.tensors.items()}).taken
    mine = _lasting(model)
    for name in names:
        mine[name].copy_(checkpoint.tensors[f"model/{name}"])
    if average is not None:
        _follow(average, names, checkpoint)


def _follow(average: Average, names: list[str], checkpoint: Checkpoint) -> None:
    """Let the average begin with the other run's, or with its weights where it kept none."""
    averaged = average.tensors()
    for name in names:
        theirs = checkpoint.tensors.get(f"ema/{name}", checkpoint.tensors[f"model/{name}"])
        if name in averaged and averaged[name].shape == theirs.shape:
            averaged[name].copy_(theirs)


def _lasting(model: Model) -> dict[str, Tensor]:
    """Return a model's weights and batch statistics by name."""
    kept = statistics(model)
    parameters = {name: tensor for name, tensor in model.named_parameters() if not name.startswith("objective.")}
    return {**parameters, **{name: tensor for name, tensor in model.named_buffers() if name in kept}}


def _named(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
