"""Points that a search has found, as an archive that other commands can begin with.

Legend: N images, Z latent size (any shape), S style size, L layers that take a style.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gancli.explore.writing import save_npz


def save_points(path: Path, space: str, points: Tensor, labels: Tensor | None, maps: Sequence[Tensor],
                more: Mapping[str, NDArray]) -> None:
    """Write points: `z` [N, *Z], or styles `w` [N, S] or [N, L, S] with noise maps `noise0`, `noise1`, ... where they moved.

    Args:
        labels: [N] int64, where images are made with them.
        more: arrays that describe them.
    """
    arrays: dict[str, NDArray] = {"z" if space == "z" else "w": points.numpy()}
    arrays |= {} if labels is None else {"labels": labels.numpy()}
    arrays |= {f"noise{number}": each.numpy() for number, each in enumerate(maps)}
    save_npz(path, {**arrays, **more}, len(points))
