"""Joining the ranks of a run, and the device that each of them has."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as distributed

from gancli.errors import UserError
from gancli.ranks import shards
from gancli.ranks.shards import Place

TIMEOUT = timedelta(minutes=30)  # rank 0 may decode, evaluate or write for so long while the others wait



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
