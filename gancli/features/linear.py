"""The published linear weights of LPIPS (Zhang 2018): how much each channel of an extractor's layers counts.

They are read where somebody has put them: data_dir/weights/lpips-<extractor>.pth, the files `alex.pth` and `vgg.pth` of
github.com/richzhang/PerceptualSimilarity (lpips/weights/v0.1), which the package `lpips` carries, too.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from gancli.errors import UserError
from gancli.features.weights import FOLDER, digest

LARGEST = 1 << 20  # bytes; the published ones have less than a tenth
UNIFORM = "uniform: no file {file} in {folder}"


@dataclass(frozen=True)
class Linear:
    """Weights of the channels of every layer, or none."""

    weights: tuple[Tensor, ...] | None  # [C] each
    told: str  # what a protocol says of them


def read_linear(extractor: str, channels: Sequence[int], data_dir: Path) -> Linear:
    """Return an extractor's linear weights; uniform ones where there is no file of its name.

    Raises:
        UserError: the file holds something else.
    """
    path = data_dir / FOLDER / f"lpips-{extractor}.pth"
    if not path.is_file():
        return Linear(None, UNIFORM.format(file=path.name, folder=FOLDER))
    stored, found = _stored(path), []
    for layer, count in enumerate(channels):
        tensor = stored.get(f"lin{layer}.model.1.weight")
        if not isinstance(tensor, Tensor) or tensor.shape != (1, count, 1, 1) or not tensor.is_floating_point():
            raise UserError(f"{path} holds no linear weights of {extractor}: lin{layer}.model.1.weight should be "
                            f"[1, {count}, 1, 1]. Remove it for uniform weights.")
        if not bool(torch.isfinite(tensor).all()) or bool((tensor < 0).any()):
            raise UserError(f"{path} holds weights in lin{layer} that are negative or not finite: get the file anew, or "
                            "remove it for uniform weights.")
        found.append(tensor.flatten().float())
    return Linear(tuple(found), f"sha256 {digest(path)}")


def _stored(path: Path) -> dict:
    refused = UserError(f"{path} is no file of linear weights that torch can read, of tensors and nothing else: remove it for "
                        "uniform ones.")
    if path.stat().st_size > LARGEST:
        raise refused
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of formats that torch has left behind
            stored = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # pickles of strangers fail in many ways, and torch's advice is to trust them
        raise refused from None
    if not isinstance(stored, dict):
        raise refused
    return stored
