"""Points that a search has found, as an archive that other commands can begin with.

Legend: N images, Z latent size (any shape), S style size, L layers that take a style.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gancli.data.sizes import UNREADABLE, check_arrays
from gancli.errors import UserError
from gancli.explore.loaded import Loaded
from gancli.explore.writing import save_npz
from gancli.game.abilities import able


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


@dataclass
class Points:
    """Points of an archive."""

    space: str  # z, w or w+
    points: Tensor  # [N, *P] float32
    labels: Tensor | None  # [N] int64
    maps: list[Tensor]  # noise maps [N, 1, h, w], where the archive has some


def read_points(given: str, loaded: Loaded) -> Points:
    """Return the points of an archive that `save_points` or `gan sample out=*.npz` wrote, checked against the model.

    Raises:
        UserError: there is no such file, it holds no points, or they are of another model's shape.
    """
    path = Path(given).expanduser()
    if not path.is_file() or path.suffix.lower() != ".npz":
        raise UserError(f"There is no archive {path}: latents= takes a *.npz that gan project, gan edit or gan sample wrote.")
    check_arrays(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            kept = {name: archive[name] for name in archive.files if name in ("z", "w", "labels") or name.startswith("noise")}
    except UNREADABLE:
        raise UserError(f"{path} is no archive of latents: give one that gan project, gan edit or gan sample wrote.") from None
    if "z" not in kept and "w" not in kept:
        raise UserError(f"{path} holds no latents z and no styles w: give an archive of gan project, gan edit or gan sample.")
    space = "z" if "z" in kept else "w" if kept["w"].ndim == 2 else "w+"
    points = _floats(kept["z" if space == "z" else "w"], path)
    labels = None
    if "labels" in kept and kept["labels"].dtype.kind in "iu" and kept["labels"].ndim == 1:
        labels = torch.from_numpy(kept["labels"].astype(np.int64))
    maps = [_floats(kept[name], path) for name in (f"noise{number}" for number in range(len(kept))) if name in kept]
    _check(loaded, Points(space, points, labels, maps), path)
    return Points(space, points, labels if loaded.model.needs.labels and space == "z" else None, maps)


def _floats(array: NDArray, path: Path) -> Tensor:
    if array.dtype.kind != "f" or array.ndim < 1 or not np.isfinite(array).all():
        raise UserError(f"{path} holds something else than finite numbers for latents.")
    return torch.from_numpy(array.astype(np.float32))


def _check(loaded: Loaded, found: Points, path: Path) -> None:
    """Raise a UserError unless the model can make images of these points."""
    if found.space != "z" and not able(loaded.model, "styles"):
        raise UserError(f"{path} holds styles and model={loaded.name} has none: give an archive of this model.")
    wanted = tuple(loaded.latents(1).shape[1:])
    if found.space != "z":
        style = tuple(loaded.styles(loaded.latents(1), 0 if loaded.model.needs.labels else None).shape[1:])
        wanted = style if found.space == "w" else (loaded.model.style_layers, *style)
    sizes = [tuple(each.shape[1:]) for each in loaded.model.noise_maps()] if found.maps and found.space != "z" else []
    fits = tuple(found.points.shape[1:]) == wanted and len(found.points) > 0
    if not fits or found.maps and [tuple(each.shape[1:]) for each in found.maps] != sizes:
        raise UserError(f"{path} holds {len(found.points)} points of shape {tuple(found.points.shape[1:])} and "
                        f"model={loaded.name} takes {wanted}: give an archive of this model.")
    if not loaded.model.needs.labels or found.space != "z":
        return
    labels, classes = found.labels, len(loaded.spec.classes)
    if labels is None or len(labels) != len(found.points) or not bool(((labels >= 0) & (labels < classes)).all()):
        raise UserError(f"The labels in {path} are none of this model's classes.")
