"""`gan upscale`: pictures of any size and mode enlarged, and compared with their originals where these are given.

Legend: N images, C channels, H height, W width.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from gancli.capacity import free_bytes
from gancli.data.decode import MODES, BrokenImage, open_upright
from gancli.data.listing import Entry, ignored, list_names, shown
from gancli.data.resolutions import fits, partners
from gancli.errors import UserError, check_range
from gancli.explore.dataset import DatasetPlace, data_place
from gancli.explore.examples import run_data
from gancli.explore.inputs import find_files
from gancli.explore.loaded import Loaded, load
from gancli.explore.options import CommandOptions
from gancli.explore.planes import flat, taken_apart
from gancli.explore.stages import Stages
from gancli.explore.targets import FOLDER, Target, checkpoint_stem, choose_target, default_target
from gancli.explore.tiles import enlarged_by
from gancli.explore.writing import free_stem, writing
from gancli.game.abilities import able, refusal
from gancli.metrics.measures.luminance import compared
from gancli.monitor.grids import to_uint8
from gancli.options import typed
from gancli.runs.atomic import write_atomic

BICUBIC = Image.Resampling.BICUBIC
FIGURES_FILE = "figures.csv"
FIGURES = ("psnr", "ssim", "bicubic_psnr", "bicubic_ssim")
PICTURE_BYTES = 12  # of a pixel of the result while it is put together, written and compared
Figures = tuple[float, ...]


@dataclass
class UpscaleOptions(CommandOptions):
    """What `gan upscale` enlarges; the defaults stand in conf/upscale.yaml."""

    input: Any  # a folder, a file or a list of files
    originals: Any  # likewise: of input=, or without it those that are reduced first
    n: int | None  # images at most
    tile: int | None  # pixels of a tile's side; None: whole pictures
    data_dir: str | None
    dataset: DatasetPlace

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("n", self.n, 1)
        check_range("tile", self.tile, 8)
        for key in ("input", "originals"):
            value = getattr(self, key)
            if not isinstance(value, (str, list, tuple, type(None))):
                raise ValueError(f"{key}={value} is no path: give a folder, a file or a list of files")
            if value is not None and (self.dataset.path is not None or self.dataset.split is not None):
                raise ValueError(f"{key}= and dataset.path= or dataset.split= both say what to enlarge: give one of them")


@dataclass
class Report:
    """What was enlarged, and how near it came to the originals."""

    count: int
    factor: int
    figures: dict[str, Figures]  # of FIGURES, by picture
    files: list[Path]
    notes: list[str]

    def mean(self) -> Figures:
        """Return the means over all pictures."""
        return tuple(sum(column) / len(self.figures) for column in zip(*self.figures.values(), strict=True))


@dataclass
class Work:
    """One picture to enlarge."""

    name: str
    low: Image.Image
    original: Image.Image | None


@dataclass
class Pictures:
    """What there is to enlarge, one picture in memory at a time; `left_out` and `unmeasured` fill while they come."""

    count: int
    ignored: int = 0
    left_out: list[str] = field(default_factory=list)  # "file (reason)"
    unmeasured: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def works(self) -> Iterator[Work]:
        """Yield the pictures that can be read."""
        raise NotImplementedError

    def told(self) -> list[str]:
        """Return sentences on what was left out."""
        notes = [*self.notes, *([ignored(self.ignored)] if self.ignored else [])]
        if self.left_out:
            notes.append(f"Skipped {len(self.left_out)}: {list_names(self.left_out)}.")
        if self.unmeasured:
            notes.append(f"Not compared: {list_names(self.unmeasured)}.")
        return notes


class OfFiles(Pictures):
    """Files of low resolution with their originals, where these are given, or originals to be reduced first."""

    def __init__(self, options: UpscaleOptions, factor: int) -> None:
        self.factor, self.reduces = factor, options.input is None
        key = "originals" if self.reduces else "input"
        self.entries, ignored = find_files(key, getattr(options, key), options.n)
        super().__init__(len(self.entries), ignored)
        self.originals: dict[Entry, Entry] | None = None
        if not self.reduces and options.originals is not None:
            self.originals = self._partners(find_files("originals", options.originals)[0])

    def _partners(self, originals: list[Entry]) -> dict[Entry, Entry]:
        """Return the originals of the inputs: of the same name but for what tells the resolution, or one file of either."""
        if len(originals) == len(self.entries) == 1:
            return {self.entries[0]: originals[0]}
        known = partners(self.entries, originals)
        if not known:
            raise UserError(f"originals= holds no file named as one of input= ({shown(self.entries[0].name)}; there is "
                            f"{shown(originals[0].name)}): give files of the same names, or originals= alone, which are then "
                            "reduced and enlarged again.")
        return known

    def works(self) -> Iterator[Work]:
        for entry in self.entries:
            try:
                yield self._work(entry, open_upright(entry.path, None))
            except BrokenImage as error:
                self.left_out.append(f"{shown(entry.name)} ({error})")

    def _work(self, entry: Entry, image: Image.Image) -> Work:
        if self.reduces:
            original = _whole(image, self.factor)
            return Work(entry.name, _reduced(original, self.factor), original)
        original = None
        if self.originals is not None:
            original, why = self._original(self.originals.get(entry), image)
            if original is None:
                self.unmeasured.append(f"{shown(entry.name)} ({why})")
        return Work(entry.name, image, original)

    def _original(self, entry: Entry | None, low: Image.Image) -> tuple[Image.Image | None, str]:
        """Return the original of a picture, without rows and columns that its reduction may have cut off; else why not."""
        if entry is None:
            return None, "no original of its name"
        try:
            image = open_upright(entry.path, None)
        except BrokenImage as error:
            return None, f"its original: {error}"
        size = (self.factor * low.width, self.factor * low.height)
        if not fits(image.size, low.size, self.factor):
            return None, f"its original is {image.width}x{image.height} and not {size[0]}x{size[1]}"
        return image.crop((0, 0, *size)), ""


class OfData(Pictures):
    """Images of the run's data that it was not trained on, reduced first."""

    def __init__(self, options: UpscaleOptions, loaded: Loaded, stages: Stages) -> None:
        place = options.dataset
        self.found = run_data(loaded, place, data_place(loaded, options.data_dir), place.split is None, stages)
        super().__init__(min(options.n or self.found.count, self.found.count), notes=list(self.found.notes))
        self.factor = loaded.model.factor

    def works(self) -> Iterator[Work]:
        data = self.found.data
        for row in range(self.count):
            original, *given = map(_picture, (x[0] for x in data.domains(torch.tensor([row]))))
            low = given[0].resize(_low_size(original, self.factor), Image.Resampling.NEAREST) if given else None
            yield Work(f"{row:06d}", low or _reduced(original, self.factor), original)


def upscale(values: Mapping[str, Any]) -> Report:
    """Enlarge as conf/upscale.yaml describes: one PNG a picture, and figures.csv where there are originals.

    Raises:
        UserError: anything that is wrong is found before anything is written, unless the disk becomes full.
    """
    options = typed(UpscaleOptions, values, "")
    chosen = choose_target(options.out, (".png",), options.overwrite)
    loaded = load(options.ckpt, options.device, options.weights)
    if not able(loaded.model, "upscale"):
        raise UserError(refusal(loaded.name, "upscale"))
    target = chosen or default_target("upscale", checkpoint_stem(loaded), "")
    with Stages() as stages:
        of_files = options.input is not None or options.originals is not None
        pictures = OfFiles(options, loaded.model.factor) if of_files else OfData(options, loaded, stages)
        if target.kind != FOLDER and pictures.count > 1:
            raise UserError(f"out={options.out} holds one picture and there are {pictures.count:,}: give a folder, or n=1.")
        with writing(target.path):
            report = _enlarge(pictures, loaded, options, target, stages)
    if not report.count:
        raise UserError(" ".join(["Nothing can be enlarged.", *report.notes]))
    return report


def _enlarge(pictures: Pictures, loaded: Loaded, options: UpscaleOptions, target: Target, stages: Stages) -> Report:
    report, taken, colored = Report(0, loaded.model.factor, {}, [target.path], []), set[PurePosixPath](), 0
    for number, work in enumerate(pictures.works()):
        stages.told("enlarging", number, pictures.count)
        why = _too_large(work.low, loaded.model.factor)
        if why:
            pictures.left_out.append(f"{shown(work.name)} ({why})")
            continue
        made = _enlarged(work.low, loaded, options)
        name = str(free_stem(work.name, taken))
        _save(target.path / f"{name}.png" if target.kind == FOLDER else target.path, made)
        if work.original is not None:
            report.figures[shown(name)] = _figures(work, made, loaded.model.factor)
        report.count += 1
        colored += loaded.spec.shape[0] == 1 and work.low.mode in ("RGB", "RGBA")
    stages.told("enlarging", pictures.count, pictures.count)
    report.notes = pictures.told()
    if colored:
        report.notes.append(f"The model is gray: of {colored} color images it enlarged the luminance, and bicubic "
                            "interpolation the colors.")
    if report.figures and target.kind == FOLDER:
        report.files.append(target.path / FIGURES_FILE)
        _save_figures(report.files[-1], report)
    return report


def _enlarged(low: Image.Image, loaded: Loaded, options: UpscaleOptions) -> Image.Image:
    planes, model = taken_apart(low, loaded.spec.shape[0]), loaded.model
    made = enlarged_by(lambda x: loaded.upscale(x, options.batch_size), planes.seen, model.factor, model.reach, options.tile,
                       options.batch_size)
    return planes.joined(made)


def _figures(work: Work, made: Image.Image, factor: int) -> Figures:
    """Return PSNR and SSIM on Y of what was made and of bicubic interpolation."""
    assert work.original is not None  # the caller sees to it
    gray = work.original.mode in ("L", "LA")
    wanted = _tensor(work.original, gray)
    found: Figures = ()
    for image in (made, work.low.resize(made.size, BICUBIC)):
        found += tuple(value.item() for value in compared(_tensor(image, gray), wanted, factor))
    return found


def _too_large(low: Image.Image, factor: int) -> str:
    """Return why an enlarged picture has no room in memory; empty where it has."""
    needed, free = PICTURE_BYTES * factor**2 * low.width * low.height, free_bytes()
    if free is None or needed <= free:
        return ""
    return (f"{factor * low.width}x{factor * low.height} pixels need {needed / 2**30:.1f} GiB of memory and "
            f"{free / 2**30:.1f} are free")


def _whole(image: Image.Image, factor: int) -> Image.Image:
    """Return an original without the rows and columns that make no whole pixel of its reduction."""
    width, height = (side // factor * factor for side in image.size)
    if not width or not height:
        raise BrokenImage(f"{image.width}x{image.height} pixels are too few to be reduced")
    return image.crop((0, 0, width, height))


def _reduced(image: Image.Image, factor: int) -> Image.Image:
    return image.resize(_low_size(image, factor), BICUBIC)


def _low_size(image: Image.Image, factor: int) -> tuple[int, int]:
    return image.width // factor, image.height // factor


def _picture(x: Tensor) -> Image.Image:
    """Return an image [C, H, W] in [-1, 1] as a picture."""
    values = to_uint8(x).cpu().permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(values[:, :, 0] if values.shape[2] == 1 else values, MODES[values.shape[2]])


def _tensor(image: Image.Image, gray: bool) -> Tensor:
    return torch.from_numpy(flat(image, gray)).permute(2, 0, 1)[None]


def _save(path: Path, picture: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, lambda file: picture.save(file, format="PNG"))


def _save_figures(path: Path, report: Report) -> None:
    """Write a row for each picture, and one of the means."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("image", *FIGURES))
    for name, figures in {**report.figures, "mean": report.mean()}.items():
        writer.writerow((name, *(f"{value:.4f}" for value in figures)))
    write_atomic(path, lambda file: file.write(text.getvalue().encode()))
