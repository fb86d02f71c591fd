"""Vectors for TensorBoard's PROJECTOR tab, with the name, the class and a thumbnail of each.

Legend: N vectors, Z their size, H height, W width, C channels.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

LARGEST_SPRITE = 8192  # pixels of a side of the one picture that holds all thumbnails: what the projector reads


def write_projector(folder: Path, vectors: Tensor, metadata: Sequence[tuple[str, str]], images: NDArray | None) -> None:
    """Write vectors [N, Z] with (name, class) of each and images uint8 [N, H, W, C], if there are any, into a folder."""
    rows = [[_cell(cell) for cell in row] for row in metadata]
    writer = SummaryWriter(str(folder))
    writer.add_embedding(vectors, rows, None if images is None else _thumbnails(images), tag="latents",
                         metadata_header=["example", "class"])
    writer.close()


def _thumbnails(images: NDArray) -> Tensor:
    """Return images as squares [N, 3, S, S] in [0, 1], on black; two and four channels show the first one and three."""
    count, height, width, channels = images.shape
    colors = images[..., :3] if channels >= 3 else np.repeat(images[..., :1], 3, axis=3)
    side = max(height, width)
    squares = np.zeros((count, side, side, 3), np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    squares[:, top:top + height, left:left + width] = colors
    return torch.from_numpy(squares).permute(0, 3, 1, 2).float() / 255


def _cell(text: str) -> str:
    """Return text that keeps to its cell of the table."""
    return " ".join(text.split()) or "-"
