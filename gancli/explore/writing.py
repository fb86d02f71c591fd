"""Results to disk in bounded memory: npz archives and folders of PNG files.

Legend: N images, C channels, H height, W width, P coordinates of a point.
"""

import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, repeat
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gancli.errors import UserError
from gancli.monitor.grids import Picture, save_png, to_pictures, to_uint8
from gancli.runs.atomic import write_atomic

OWN_NAME = re.compile(r"\d{6,}(-[\w.-]+)?\.png")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a full disk or a folder that cannot be made into a UserError."""
    try:
        yield
    except OSError as error:
        raise UserError(f"Writing {path} failed: {error.strerror or error}.") from None


def free_stem(name: str, taken: set[PurePosixPath]) -> PurePosixPath:
    """Return a file's name without its ending; names that differ by their ending alone get a number, and all are noted."""
    path = PurePosixPath(name).with_suffix("") if "." in name else PurePosixPath(name)
    number, free = 1, path
    while free in taken:
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    taken.add(free)
    return free


def as_rows(x: Tensor) -> NDArray:
    """Return images [N, C, H, W] as an archive holds them, [N, H, W, C] uint8; points [N, P] and tokens [N, T] as they are."""
    return (to_uint8(x).permute(0, 2, 3, 1) if x.dim() == 4 else x).numpy()


def save_npz(path: Path, arrays: Mapping[str, NDArray | Iterable[NDArray]], n: int) -> None:
    """Write an archive of whole arrays and of arrays of n rows that come in batches, of which only one is kept."""

    def fill(file: BinaryIO) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, array in arrays.items():
                whole = isinstance(array, np.ndarray)
                _write_array(archive, name, iter([array] if whole else array), None if whole else n)

    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, fill)


def _write_array(archive: zipfile.ZipFile, name: str, parts: Iterator[NDArray], n: int | None) -> None:
    """Write the n rows that `parts` hold, as np.load reads them; the first part decides on their type and shape.

    Args:
        n: None: the only part is the array.
    """
    first = next(parts)
    shape = first.shape if n is None else (n, *first.shape[1:])
    header = {"descr": np.lib.format.dtype_to_descr(first.dtype), "fortran_order": False, "shape": shape}
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array_header_2_0(file, header)
        file.write(np.ascontiguousarray(first).tobytes())
        del first
        for part in parts:
            file.write(np.ascontiguousarray(part).tobytes())


def save_lines(path: Path, lines: Iterable[str]) -> None:
    """Write texts, one a line, as they come."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, lambda file: file.writelines(f"{line}\n".encode(errors="replace") for line in lines))


def save_folder(folder: Path, batches: Iterable[Tensor], n: int, names: Iterable[str] | None = None, each: int = 1) -> None:
    """Write one PNG an image, `000000.png` or `000000-<name>.png`; pictures of an earlier command are removed.

    Args:
        batches: images [N, C, H, W], n in all.
        names: of the images in order, such as their classes.
        each: pictures that have one number, and tell each other apart by their names.
    """
    save_pictures(folder, chain.from_iterable(map(_exact, batches)), n, names, each)


def save_pictures(folder: Path, pictures: Iterable[Picture], n: int, names: Iterable[str] | None = None,
                  each: int = 1) -> None:
    """Write one PNG a picture [H, W, C], n in all, as `save_folder` does."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if OWN_NAME.fullmatch(path.name):
            path.unlink()
    digits = max(6, len(str((n - 1) // each)))
    endings = repeat("") if names is None else ("-" + re.sub(r"[^\w.]+", "_", name) for name in names)
    for index, (picture, ending) in enumerate(zip(pictures, endings, strict=False)):
        save_png(folder / f"{index // each:0{digits}d}{ending}.png", picture)


def save_named(folder: Path, batches: Iterable[tuple[list[str], Tensor]]) -> int:
    """Write one PNG an image under its own name, of which a number is made where two differ in their ending alone.

    Args:
        batches: names of files, and images [N, C, H, W].

    Returns:
        How many were written.
    """
    made, taken = 0, set[PurePosixPath]()
    for names, x in batches:
        for name, picture in zip(names, to_pictures(x), strict=True):
            place = folder / f"{free_stem(name, taken)}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            save_png(place, picture)
            made += 1
    return made


def _exact(x: Tensor) -> Picture:
    """Return images as pictures [N, H, W, C] with every channel that a PNG can hold (1, 3, or 4 with opacity)."""
    return to_uint8(x).permute(0, 2, 3, 1).contiguous().numpy() if x.shape[1] in (1, 3, 4) else to_pictures(x)
