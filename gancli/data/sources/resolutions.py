"""Own images in two resolutions: what is to be learned, and what it is to be learned from, as given and not made here.

The low resolution is the second domain, each of its pixels repeated so many times in both directions that it has the size
of the first, as all pairs have one size.  Nothing is ever resized: the middle of larger images is cut out, whole pixels of
the low resolution.

Legend: H height, W width, C channels.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from gancli.data.decode import BrokenImage, Frame, framed, open_upright, probe
from gancli.data.files import SAMPLE, FileSource, Group, cannot_decode
from gancli.data.listing import Entry, Listing, list_images, list_names, require_images, shown
from gancli.data.options import FileOptions
from gancli.data.resolutions import FACTORS, HIGH, LOW, factor_of, partners, refuse_unlike
from gancli.data.sources.folder import checked_folder
from gancli.data.sources.pairs import folders_in
from gancli.data.spec import DataSpec
from gancli.errors import UserError
from gancli.registry import datasets

DOMAINS = ("high", "low")
EXAMPLE = "dataset.high=DIV2K_train_HR dataset.low=DIV2K_train_LR_bicubic/X4"


@dataclass
class ResolutionsOptions(FileOptions):
    """Options of dataset=resolutions."""

    high: str | None  # sub-folder of the originals; null: found by its name, HR, or files whose names end in HR
    low: str | None  # sub-folder of their low resolution; null: likewise, LR

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.high is None) != (self.low is None):
            raise ValueError("dataset.high and dataset.low are two sub-folders of dataset.path: give both, or neither")


@datasets.register("resolutions", options=ResolutionsOptions)
class Resolutions(FileSource):
    """Originals in one folder and their low resolution in another, or both in one, by the names that such sets have."""

    options: ResolutionsOptions
    paired, domains = True, DOMAINS

    def __init__(self, options: ResolutionsOptions, data_dir: Path) -> None:
        super().__init__(options, data_dir)
        self.broken = options.broken
        self.folder = checked_folder(options.path, data_dir)

    def place(self) -> str:
        return f"{self.folder}|{self.options.high}|{self.options.low}"

    def listed(self) -> list[Group]:
        high, low = self.both()
        found = partners(low, high)
        if not found:
            raise UserError(f"No image of low resolution in {self.folder} (such as {shown(low[0].name)}) belongs to an "
                            f"original (such as {shown(high[0].name)}): give both the same name, or one that ends in x2, x3 "
                            "or x4, _LR or _HR.")
        alone = len(high) + len(low) - 2 * len(found)
        if alone:
            self.notes.append(f"Left out {alone} files of {self.folder} without one in the other resolution.")
        return [Group(0, [(original, small) for small, original in found.items()])]

    def both(self) -> tuple[list[Entry], list[Entry]]:
        """Return the originals and the images of low resolution."""
        if self.options.high is not None and self.options.low is not None:
            return self.read(self.options.high), self.read(self.options.low)
        present = folders_in(self.folder)
        named = [[name for name in present if pattern.search(name)] for pattern in (HIGH, LOW)]
        if all(len(names) == 1 for names in named):
            return self.read(named[0][0]), self.read(named[1][0])
        if not any(named):
            images = list_images(self.folder).images
            high, low = ([entry for entry in images if pattern.search(entry.key)] for pattern in (HIGH, LOW))
            if high and low:
                return high, low
        raise UserError(f"{self.folder} has {list_names(present) or 'no sub-folders'}, of which it is not certain where the "
                        f"originals lie and where their low resolution: give sub-folders, as {EXAMPLE}.")

    def read(self, name: str) -> list[Entry]:
        """Return the images of a sub-folder, of which there must be some."""
        folder = checked_folder(str(self.folder / name), self.data_dir)
        listing: Listing = list_images(folder)
        require_images(folder, listing)
        return listing.images

    @cached_property
    def pairs(self) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        """The sizes (H, W) of a few originals and of their low resolution, evenly spread over all."""
        rows, broken, found = self.everything[0].rows, [], []
        count = min(SAMPLE, len(rows))
        for row in (rows[at * len(rows) // count] for at in range(count)):
            try:
                headers = [probe(entry.path, 1) for entry in row]
            except BrokenImage as error:
                broken.append((row[0], error))
                continue
            found.append(((headers[0].height, headers[0].width), (headers[1].height, headers[1].width)))
        if not found:
            raise cannot_decode(*broken[0])
        return found

    @cached_property
    def factor(self) -> int:
        """How many times larger the originals are; a UserError where that is not one number for the images looked at."""
        factors = {factor_of(*pair): pair for pair in self.pairs}
        if len(factors) == 1 and None not in factors:
            return next(iter(factors))  # type: ignore[return-value]
        if None in factors:
            (height, width), (h, w) = factors[None]
            raise UserError(f"An original of {width}x{height} pixels is not {FACTORS[0]} to {FACTORS[-1]} times as large as "
                            f"its low resolution of {w}x{h}: dataset=resolutions takes sizes that are whole multiples.")
        raise UserError(f"The originals are {' and '.join(map(str, sorted(factors)))} times as large as their low resolution: "
                        f"give folders of one factor, as {EXAMPLE}.")

    @cached_property
    def spec(self) -> DataSpec:
        _ = self.groups
        factor = self.factor
        sides = [min(high[side] // factor * factor for high, _ in self.pairs) for side in (0, 1)]
        size = self.options.size or (sides[0], sides[1])
        if any(side % factor for side in size):
            fit = "x".join(str(side // factor * factor) for side in size)
            raise UserError(f"dataset.size={list(size)} is not whole pixels of images {factor} times smaller: give {fit}.")
        if any(have < want for have, want in zip(sides, size, strict=True)):
            raise UserError(f"dataset.size={list(size)} is larger than an image of {sides[0]}x{sides[1]}, and images of two "
                            f"resolutions are cut and never enlarged: give dataset.size=[{sides[0]},{sides[1]}] or less.")
        channels = self.options.channels or self.seen_channels()
        return DataSpec((channels, *size), max(self.counts()), domains=DOMAINS, paired=True, reduction=factor)

    def images_of(self, group: Group) -> int:
        return 2

    def decode(self, row: tuple[Entry, ...], frame: Frame) -> tuple[np.ndarray, ...]:
        """Return an original and its low resolution, each uint8 [H, W, C], the latter's pixels repeated."""
        original, low = (open_upright(entry.path, None) for entry in row)
        factor, (height, width) = self.factor, frame.size
        refuse_unlike((original.height, original.width), (low.height, low.width), factor)
        h, w = height // factor, width // factor
        if low.height < h or low.width < w:
            raise BrokenImage(f"{original.width}x{original.height} pixels are fewer than {width}x{height}")
        top, left = (low.height - h) // 2, (low.width - w) // 2
        small = _cut(low, top, left, replace(frame, size=(h, w), least=1))
        return (_cut(original, factor * top, factor * left, frame),
                small.repeat(factor, axis=0).repeat(factor, axis=1))


def _cut(image: Image.Image, top: int, left: int, frame: Frame) -> np.ndarray:
    height, width = frame.size
    return framed(image.crop((left, top, left + width, top + height)), frame)
