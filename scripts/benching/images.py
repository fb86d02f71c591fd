"""Synthetic images, since speed does not depend on what they show: arrays on disk and folders of files."""

from pathlib import Path

import numpy as np
from PIL import Image

BLOCK = 10_000


def write_array(path: Path, count: int, shape: tuple[int, int, int]) -> Path:
    """Write `count` random images uint8 [N, H, W, C] as .npy, block by block, unless it is there."""
    channels, height, width = shape
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        array = np.lib.format.open_memmap(path, "w+", np.uint8, (count, height, width, channels))
        random = np.random.default_rng(0)
        for start in range(0, count, BLOCK):
            stop = min(start + BLOCK, count)
            array[start:stop] = random.integers(0, 256, (stop - start, height, width, channels), np.uint8)
        array.flush()
    return path


def write_folder(folder: Path, count: int, shape: tuple[int, int, int]) -> Path:
    """Write `count` random PNG files of the shape (C, H, W), unless they are there."""
    channels, height, width = shape
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    for i in range(len(list(folder.iterdir())), count):
        pixels = random.integers(0, 256, (height, width, channels), np.uint8)
        Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels).save(folder / f"{i:06}.png", compress_level=1)
    return folder
