"""Whether there is room for what a command is asked to draw, before anything of that size is made."""

import math
import shutil
from pathlib import Path

from gancli.capacity import free_bytes
from gancli.errors import UserError
from gancli.explore.loaded import Loaded

ROW_BYTES = 64  # of an example beside its picture: its label, its latents at least, its place


def check_room(loaded: Loaded, examples: int, key: str, folder: Path, on_disk: bool, each: int | None = None) -> None:
    """Raise a UserError for more examples than the disk, or the memory that holds a picture of them all, has room for.

    Args:
        key: the option to make smaller, for the message.
        folder: where the files go.
        on_disk: the examples are written as they are made; only what tells them apart is held in memory.
        each: bytes of an example; None: as those that the model was trained on.
    """
    each = math.prod(loaded.spec.shape) * (1 if loaded.spec.is_image else 4) if each is None else each
    held = examples * (ROW_BYTES if on_disk else each + ROW_BYTES)
    free = free_bytes()
    if free is not None and held > free:
        raise UserError(f"{examples:,} examples need {held / 2**30:,.1f} GiB of memory and {free / 2**30:,.1f} GiB are free: "
                        f"give a smaller {key}.")
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    disk = shutil.disk_usage(folder).free
    if on_disk and examples * each / 50 > disk:  # no picture packs better than that by much
        raise UserError(f"{examples:,} examples need about {examples * each / 2**30:,.1f} GiB and {disk / 2**30:,.1f} GiB are "
                        f"free in {folder}: give a smaller {key}.")
