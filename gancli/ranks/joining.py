"""Joining the ranks of a run, and the device that each of them has."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as distributed

from gancli.errors import UserError
from gancli.ranks import shards
from gancli.ranks.nodes import has_name_that_leads_here, interface_toward, meeting_point
from gancli.ranks.shards import Place

TIMEOUT = timedelta(minutes=30)  # rank 0 may decode, evaluate or write for so long while the others wait
MEETING = timedelta(minutes=5)  # nodes start their ranks within it


@contextmanager
def joined(place: Place, store: distributed.Store | None = None) -> Iterator[None]:
    """Be one of the ranks: on a GPU by NCCL, on the CPU, and for all that is decided there, by gloo.

    After an error the group is left as it is: taking it down would wait for ranks that may hang.
    """
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    if store is None:
        _join_nodes(backend, place)
    else:
        distributed.init_process_group(backend, timeout=TIMEOUT, store=store, rank=place.rank, world_size=place.world)
    with shards.taking(place):
        yield
    distributed.destroy_process_group()


def _join_nodes(backend: str, place: Place) -> None:
    """Join ranks that torchrun or srun has started, perhaps on several nodes."""
    told = all(name in os.environ for name in shards.LAUNCHER)
    address, port = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])) if told else meeting_point(os.environ)
    interface = None if has_name_that_leads_here() else interface_toward(address)
    if interface is not None:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)
    if told:
        distributed.init_process_group(backend, timeout=TIMEOUT)
        return
    store = distributed.TCPStore(address, port, place.world, is_master=place.rank == 0, timeout=MEETING,
                                 wait_for_workers=False)
    distributed.init_process_group(backend, timeout=TIMEOUT, store=store, rank=place.rank, world_size=place.world)


@contextmanager
def under_launcher() -> Iterator[None]:
    """Join the ranks that torchrun or srun has started, if one of them has started this process."""
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
