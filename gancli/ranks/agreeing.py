"""What the ranks of a run must agree on: what one of them alone can know (a signal, a plan, a name) is told here.

Ranks are equal but for writing: each has the same weights, learns the same gradients and decides the same things at the
same time.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as distributed
from torch import Tensor, nn

from gancli.errors import UserError
from gancli.ranks import shards

T = TypeVar("T")


class ToldElsewhere(UserError):
    """Rank 0 met a user's mistake and tells it; the other ranks end with its exit code."""

    silent = True



def from_first(value: T) -> T:
    """Return rank 0's value on every rank (any object that can be pickled)."""
    if shards.world() == 1:
        return value
    box: list[Any] = [value]
    with shards.answered():
        distributed.broadcast_object_list(box, src=0, device=torch.device("cpu"))
    return box[0]


def to_first(value: T) -> list[T]:
    """Return every rank's value (any object that can be pickled) on rank 0, in their order; elsewhere nothing."""
    if shards.world() == 1:
        return [value]
    values: list[Any] | None = [None] * shards.world() if shards.leads() else None
    with shards.answered():
        distributed.gather_object(value, values, dst=0)
    return values or []


def made_by_first(make: Callable[[], T]) -> T:
    """Return what rank 0 makes (a plan); the others look at nothing, and say nothing if rank 0 finds a mistake."""
    if shards.world() == 1:
        return make()
    if shards.rank() > 0:
        told: tuple[T | None, int] = from_first((None, 0))
        made, exit_code = told
        if made is None:
            error = ToldElsewhere("rank 0 says why")
            error.exit_code = exit_code
            raise error
        return made
    try:
        made = make()
    except Exception as error:
        from_first((None, getattr(error, "exit_code", 1)))
        raise
    from_first((made, 0))
    return made


@contextmanager
def first_goes_first() -> Iterator[None]:
    """Let rank 0 pass before the others: it downloads and decodes what they then find."""
    if shards.rank() > 0:
        from_first(None)
    yield
    if shards.rank() == 0:
        from_first(None)


def check_same(value: str, what: str) -> None:
    """Raise a UserError on a rank whose value differs from rank 0's."""
    if from_first(value) != value:
        raise UserError(f"Rank {shards.rank()} has {what} than rank 0.")


@torch.no_grad()
def share_weights(model: nn.Module) -> None:
    """Give every rank rank 0's weights: two kinds of processor may draw or round them differently."""
    for tensor in model.state_dict().values() if shards.world() > 1 else ():
        whole = tensor.contiguous()
        with shards.answered():
            distributed.broadcast(whole, 0)
        tensor.copy_(whole)


def mean_figures(figures: dict[str, float]) -> dict[str, float]:
    """Return the means of the figures over the ranks; what is not finite on one is not finite in its mean."""
    if shards.world() == 1:
        return figures
    values = torch.tensor(list(figures.values()), dtype=torch.float64)
    shards.average(values)
    return dict(zip(figures, values.tolist(), strict=True))


class Stops:
    """Requests to stop, which may reach any rank: all of them hear of one after the same round, one round later.

    The exchange is gloo's, between processors, and runs while the next round is played: nothing waits for a device.
    """

    def __init__(self) -> None:
        self._asked: tuple[distributed.Work, Tensor] | None = None

    def agreed(self, why: str | None) -> str | None:
        """Tell the others of this rank's request (a signal's name) and return the one that all have heard of."""
        if shards.world() == 1:
            return why
        heard, number = self._heard(), torch.tensor(signal.Signals[why].value if why else 0)
        with shards.answered():
            work = distributed.all_reduce(number, distributed.ReduceOp.MAX, async_op=True)
        self._asked = work, number
        return heard

    def settle(self) -> None:
        """Wait for the last exchange."""
        self._heard()

    def _heard(self) -> str | None:
        if self._asked is None:
            return None
        (work, number), self._asked = self._asked, None
        with shards.answered():
            work.wait()
        heard = int(number.item())
        return signal.Signals(heard).name if heard else None
