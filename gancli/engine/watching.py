"""What a run holds is watched at ticks, as its losses and gradients are at every turn: running statistics diverge, too."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from gancli.engine.averages import Average
from gancli.engine.players import NonFinite
from gancli.game.model import Model
from gancli.runs.checkpoint import CheckpointFolder


def check_state(model: Model, average: Average | None) -> None:
    """Raise NonFinite where a weight, a running statistic or an average of one is not finite (waits for the device)."""
    held = dict([*model.named_parameters(), *model.named_buffers()])
    averaged = {} if average is None else {f"the average of {name}": tensor for name, tensor in average.tensors().items()}
    bad = not_finite(held | averaged)
    if bad:
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        raise NonFinite(f"What the model holds is no longer finite: {bad[0]}{more}. It was not saved. Try a lower "
                        "optimizer.lr, trainer.clip_grad_norm=1 or trainer.precision=fp32.")


@torch.no_grad()
def not_finite(tensors: dict[str, Tensor]) -> list[str]:
    """Return the names of the tensors that hold what is not finite; one wait for the device."""
    floating = {name: tensor for name, tensor in tensors.items() if tensor.is_floating_point() and tensor.numel()}
    if not floating:
        return []
    # The largest absolute value of each: a NaN or an infinity is its own.
    norms = torch.stack([norm.float() for norm in torch._foreach_norm(list(floating.values()), float("inf"))])
    return [name for name, finite in zip(floating, norms.isfinite().tolist(), strict=True) if not finite]


@contextmanager
def naming_what_is_good(run_dir: Path) -> Iterator[None]:
    """Let a number that is not finite end a run with a word on its last checkpoint."""
    try:
        yield
    except NonFinite as error:
        error.args = (f"{error} {last_good(run_dir)}",)
        raise


def last_good(run_dir: Path) -> str:
    """Return a sentence that says what of a run can be gone on with."""
    saved = CheckpointFolder(run_dir).list()
    return f"The last checkpoint is good: {saved[-1].name}." if saved else "The run had no checkpoint yet."
