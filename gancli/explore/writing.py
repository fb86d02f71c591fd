"""Samples to disk in bounded memory: npz archives and folders of PNG files.

Legend: N images, C channels, H height, W width.
"""

import re
import zipfile
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gancli.monitor.grids import Picture, save_png, to_pictures, to_uint8
from gancli.runs.atomic import write_atomic

OWN_NAME = re.compile(r"\d{6,}(-[\w.-]+)?\.png")


def save_npz(path: Path, batches: Iterable[tuple[Tensor, Tensor | None, Tensor]], latents: Iterable[Tensor], n: int,
             seed: int) -> None:
    """Write images [N, H, W, C] uint8 (points [N, P] float32), z, seed and labels (where there are any).

    Args:
        batches: (latents, labels, images) of all n, in order.
        latents: the same latents again, in batches.
    """
    labels: list[Tensor] = []

    def rows(batches: Iterable[tuple[Tensor, Tensor | None, Tensor]]) -> Iterator[NDArray]:
        for _, part, x in batches:
            if part is not None:
                labels.append(part)
            yield (to_uint8(x).permute(0, 2, 3, 1) if x.dim() == 4 else x).numpy()

    def fill(file: BinaryIO) -> None:
        begin = list(islice(iterator, 1))
        z, _, x = begin[0]
        shape = (n, *x.shape[2:], x.shape[1]) if x.dim() == 4 else (n, *x.shape[1:])
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            _write_array(archive, "images" if x.dim() == 4 else "points", rows(chain(begin, iterator)), shape)
            _write_array(archive, "z", (part.numpy() for part in latents), (n, *z.shape[1:]))
            _write_array(archive, "seed", [np.asarray(seed)], ())
            if labels:
                _write_array(archive, "labels", (part.numpy() for part in labels), (n,))

    iterator = iter(batches)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, fill)


def _write_array(archive: zipfile.ZipFile, name: str, parts: Iterable[NDArray], shape: tuple[int, ...]) -> None:
    """Write the array that `parts` are rows of, as np.load reads it; its type is that of the first part."""
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        for index, part in enumerate(parts):
            if index == 0:
                header = {"descr": np.lib.format.dtype_to_descr(part.dtype), "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_2_0(file, header)
            file.write(np.ascontiguousarray(part).tobytes())


def save_folder(folder: Path, batches: Iterable[tuple[Tensor | None, Tensor | None, Tensor]], n: int,
                classes: tuple[str, ...] = ()) -> None:
    """Write one PNG an image, `000000.png` or `000000-<class>.png`; pictures of an earlier command are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if OWN_NAME.fullmatch(path.name):
            path.unlink()
    digits, index = max(6, len(str(n - 1))), 0
    for _, labels, x in batches:
        for place, picture in enumerate(_exact(x)):
            name = "" if labels is None else "-" + re.sub(r"[^\w.]+", "_", classes[int(labels[place])])
            save_png(folder / f"{index:0{digits}d}{name}.png", picture)
            index += 1


def _exact(x: Tensor) -> Picture:
    """Return images as pictures [N, H, W, C] with every channel that a PNG can hold (1, 3, or 4 with opacity)."""
    return to_uint8(x).permute(0, 2, 3, 1).contiguous().numpy() if x.shape[1] in (1, 3, 4) else to_pictures(x)
