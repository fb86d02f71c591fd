"""One run on several ranks: joining them, and what they must agree on.

Ranks are equal but for writing: each has the same weights, learns the same gradients and decides the same things at the
same time.  What one of them alone can know (a signal, a plan, a name) is told to the others here.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as distributed
from torch import Tensor, nn

from gancli import shards
from gancli.engine.plan import Plan
from gancli.errors import UserError
from gancli.runs.status import read_status, write_status
from gancli.shards import Place

TIMEOUT = timedelta(minutes=30)  # rank 0 may decode, evaluate or write for so long while the others wait
T = TypeVar("T")


class ToldElsewhere(UserError):
    """Rank 0 met a user's mistake and tells it; the other ranks end with its exit code."""

    silent = True


# Joining


@contextmanager
def joined(place: Place, store: distributed.Store | None = None) -> Iterator[None]:
    """Be one of the ranks: on a GPU by NCCL, on the CPU, and for all that is decided there, by gloo.

    After an error the group is left as it is: taking it down would wait for ranks that may hang.
    """
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    if store is None:
        distributed.init_process_group(backend, timeout=TIMEOUT)
    else:
        distributed.init_process_group(backend, timeout=TIMEOUT, store=store, rank=place.rank, world_size=place.world)
    with shards.taking(place):
        yield
    distributed.destroy_process_group()


@contextmanager
def under_launcher() -> Iterator[None]:
    """Join the ranks that torchrun has started, if it has started this process."""
    place = shards.launched()
    if place is None:
        yield
        return
    with joined(place):
        yield


def own_device(device: torch.device) -> torch.device:
    """Return this rank's device of a kind: the CPU, or the GPU of its number on its machine, made current for NCCL.

    Raises:
        UserError: its machine has not so many, or one device is asked for.
    """
    if shards.world() == 1 or device.type == "cpu":
        return device
    if device.type != "cuda" or device.index is not None:
        raise UserError(f"{shards.world()} ranks cannot share device={device}: give device=cuda, or device=cpu.")
    if shards.local_rank() >= torch.cuda.device_count():
        raise UserError(f"Rank {shards.rank()} has no GPU of its own: its machine has {torch.cuda.device_count()}. "
                        "Start no more ranks than GPUs.")
    torch.cuda.set_device(shards.local_rank())
    return torch.device("cuda", shards.local_rank())


# Agreeing


def from_first(value: T) -> T:
    """Return rank 0's value on every rank (any object that can be pickled)."""
    if shards.world() == 1:
        return value
    box: list[Any] = [value]
    with shards.answered():
        distributed.broadcast_object_list(box, src=0, device=torch.device("cpu"))
    return box[0]


def made_by_first(make: Callable[[], Plan]) -> Plan:
    """Return the plan that rank 0 makes; the others look at nothing, and say nothing if rank 0 finds a mistake."""
    if shards.world() == 1:
        return make()
    if shards.rank() > 0:
        plan, exit_code = from_first(None)
        if plan is None:
            error = ToldElsewhere("rank 0 says why")
            error.exit_code = exit_code
            raise error
        return plan
    try:
        plan = make()
    except Exception as error:
        from_first((None, getattr(error, "exit_code", 1)))
        raise
    from_first((plan, 0))
    return plan


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
        return signal.Signals(number.item()).name if number.item() else None


# Failing


def tell_failure(plan: Plan, why: str, trace: str) -> None:
    """Write into a run's record what rank 0 cannot know: why another rank, or rank 0 itself, has ended."""
    status = read_status(plan.run_dir)
    if status is None:  # it failed before there was a record
        return
    write_status(plan.run_dir, status.end("failed", why))
    with open(plan.run_dir / "log.txt", "a", encoding="utf-8") as file:
        file.write(f"{why}\n{trace}")


def sentence(error: BaseException) -> str:
    """Return an error in one line, with its kind unless a user's mistake."""
    first = str(error).splitlines()[0] if str(error) else ""
    return first if isinstance(error, UserError) else f"{type(error).__name__}: {first}"
