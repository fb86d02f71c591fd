"""Images of the user's own for a trained model: found, and brought to the size and channels that it was trained on.

Legend: N images, C channels, H height, W width.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageColor
from torch import Tensor

from gancli.data.dataset import normalized
from gancli.data.decode import BrokenImage, Frame, decode_image, decode_many, framed, open_upright
from gancli.data.listing import Entry, find_path, ignored, list_images, list_names, require_images, shown
from gancli.errors import UserError
from gancli.explore.loaded import Loaded

MIDDLE = 127  # gray of masks
ANY_SIDE = 1  # pixels: what is fed to a trained model may be as small as it likes
PLAIN = {"fit": "crop", "background": "white"}  # of runs on data that have no such options


@dataclass
class Inputs:
    """Image files in order; `skipped` fills while they are read."""

    entries: list[Entry]
    frame: Frame
    ignored: int = 0  # files that are no images by their ending
    skipped: list[str] = field(default_factory=list)  # "file (reason)"

    def batches(self) -> Iterator[tuple[list[Entry], Tensor]]:
        """Yield some files and their images [N, C, H, W] in [-1, 1] at a time; those that cannot be decoded are skipped."""
        start = 0
        for results in decode_many(self.entries, lambda entry: (decode_image(entry.path, self.frame),)):
            files = self.entries[start:start + len(results)]
            start += len(results)
            kept = [(entry, result[0]) for entry, result in zip(files, results, strict=True)
                    if not isinstance(result, BrokenImage)]
            self.skipped += [f"{shown(entry.name)} ({result})" for entry, result in zip(files, results, strict=True)
                             if isinstance(result, BrokenImage)]
            if kept:
                yield [entry for entry, _ in kept], normalized(torch.from_numpy(np.stack([image for _, image in kept])))

    def notes(self) -> list[str]:
        """Return sentences on what was left out."""
        notes = [ignored(self.ignored)] if self.ignored else []
        if self.skipped:
            notes.append(f"Skipped {len(self.skipped)} that could not be decoded: {list_names(self.skipped)}.")
        return notes


def find_inputs(given: str | Sequence[str], loaded: Loaded, n: int | None = None) -> Inputs:
    """Return the image files that `input=` names: all of a folder and those below it, one file, or a list of files.

    They are brought to the model's size as the run's own images were: its dataset.fit and dataset.background.

    Args:
        n: how many of a folder at most, evenly spread; None for all.

    Raises:
        UserError: nothing is there, or no image; or the model works on no images.
    """
    if not loaded.spec.is_image:
        raise UserError(f"input={given} takes images and this model was trained on {loaded.spec.describe()}: leave it out.")
    entries, ignored = find_files("input", given, n)
    return Inputs(entries, _frame(loaded), ignored)


def find_files(key: str, given: str | Sequence[str], n: int | None = None) -> tuple[list[Entry], int]:
    """Return the image files that an option names, and how many others lie beside them; arguments as of `find_inputs`."""
    if not isinstance(given, str):
        if not given:
            raise UserError(f"{key}=[] names no image: give a folder, a file or a list of files.")
        return [_entry(key, path) for path in given], 0
    path = find_path(key, given, Path.cwd())
    if not path.is_dir():
        return [_entry(key, given)], 0
    listing = list_images(path)
    require_images(path, listing)
    count = len(listing.images)
    chosen = listing.images if n is None or n >= count else [listing.images[i * count // n] for i in range(n)]
    return chosen, listing.ignored


def read_whole(key: str, given: str | None, channels: int, background: tuple[int, int, int] = (255, 255, 255)) -> Tensor:
    """Return one image at its own size, upright, as uint8 [C, H, W].

    Args:
        key: the option that names the file, for messages.
        background: behind what is transparent.

    Raises:
        UserError: there is no such file, or no image in it.
    """
    path = find_path(key, given, Path.cwd(), "file")
    try:
        image = open_upright(path, None)
        pixels = framed(image, Frame((image.height, image.width), channels, "stretch", background, ANY_SIDE))
    except BrokenImage as error:
        raise UserError(f"{key}={given} cannot be used ({error}): give an image.") from None
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)


def read_mask(key: str, given: str | None) -> Tensor:
    """Return a file's mask [1, H, W] of 0 and 1.

    It is 1 where the image is lighter than a middle gray, and not transparent; in a file that has no lighter gray than 1 of
    255, where it is 1.
    """
    gray = read_whole(key, given, 1, (0, 0, 0))
    return (gray > (0 if gray.max() <= 1 else MIDDLE)).float()


def find_mask(given: str, loaded: Loaded) -> Tensor:
    """Return a file's mask [1, 1, H, W] of 0 and 1, brought to the model's size as its images are."""
    mask = Image.fromarray((255 * read_mask("mask", given)[0]).to(torch.uint8).numpy())
    pixels = framed(mask, replace(_frame(loaded), channels=1, rgb=(0, 0, 0)))
    return torch.from_numpy(pixels > MIDDLE).permute(2, 0, 1)[None].float()


def folders_of(entries: Sequence[Entry]) -> list[str]:
    """Return the names of the first sub-folders, sorted, if all files lie in some; else none."""
    found = {entry.name.split("/", 1)[0] for entry in entries if "/" in entry.name}
    return sorted(found) if all("/" in entry.name for entry in entries) else []


def labels_of(entries: Sequence[Entry], classes: Sequence[str]) -> tuple[list[int] | None, str]:
    """Return each file's class where the sub-folders are named as classes, else None and why not, if there are any."""
    folders = {entry.name.split("/", 1)[0] for entry in entries if "/" in entry.name}
    if not folders or not classes:
        return None, ""
    if any("/" not in entry.name for entry in entries):
        return None, "No accuracy: some images lie beside the sub-folders that would name their classes."
    unknown = sorted(folders - set(classes))
    if unknown:
        return None, (f"No accuracy: the sub-folders {list_names(unknown)} are none of the run's classes "
                      f"({list_names(classes, 20)}).")
    return [list(classes).index(entry.name.split("/", 1)[0]) for entry in entries], ""


def _frame(loaded: Loaded) -> Frame:
    """Return what the run's own images were brought to."""
    options = PLAIN | {key: value for key, value in dict(loaded.config.get("dataset") or {}).items() if key in PLAIN}
    return Frame(loaded.spec.shape[1:], loaded.spec.shape[0], options["fit"], _rgb(options["background"]), ANY_SIDE)


def _entry(key: str, given: str) -> Entry:
    path = find_path(key, given, Path.cwd(), "file")
    status = path.stat()
    return Entry(path.name, path, status.st_size, status.st_mtime_ns)


def _rgb(color: Any) -> tuple[int, int, int]:
    return ImageColor.getrgb(str(color))[:3]
