"""`gan translate`: images of one domain as another one would show them.

Legend: N images, C channels, H height, W width, R renderings of each image.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor

from gancli.errors import UserError, check_range
from gancli.explore.dataset import DatasetPlace, data_place
from gancli.explore.examples import run_data
from gancli.explore.inputs import Inputs, find_inputs
from gancli.explore.layout import Grid, pictures_of
from gancli.explore.loaded import Loaded, load
from gancli.explore.options import PictureOptions
from gancli.explore.renderings import Rendering, domains_of, renderings_of
from gancli.explore.room import check_room
from gancli.explore.stages import Stages
from gancli.explore.targets import checkpoint_stem, choose_target, default_target
from gancli.explore.writing import free_stem, writing
from gancli.game.showcase import interleave_rows
from gancli.game.translating import among_domains, sources
from gancli.monitor.grids import save_png, to_pictures
from gancli.options import typed

SHOWN = 128  # images and translations of a grid without n=
Named = Iterator[tuple[list[str], Tensor]]  # names and images [N, C, H, W]
Translated = Iterator[tuple[list[str], Tensor, list[Tensor]]]  # the same with R batches of translations


@dataclass
class TranslateOptions(PictureOptions):
    """What `gan translate` translates; the defaults stand in conf/translate.yaml."""

    input: Any  # a folder, a file or a list of files; None: the run's held-out images
    to: Any  # a domain, a list of them or "all"; None: the last one that the model translates into
    style: Any  # images whose styles are taken, as input=; None: styles of latents
    styles: int | None  # how many
    seed: int | None  # of the latents
    n: int | None  # images at most; None: all, of a grid as many as 128 cells show
    columns: int | None
    data_dir: str | None
    dataset: DatasetPlace

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("n", "columns", "styles"):
            check_range(key, getattr(self, key), 1)
        check_range("seed", self.seed, 0)
        for key in ("input", "style"):
            given = getattr(self, key)
            if not isinstance(given, (str, list, tuple, type(None))):
                raise ValueError(f"{key}={given} is no path: give a folder, a file or a list of files")


@dataclass
class Report:
    """What was translated."""

    count: int
    domain: str  # into which, or several
    files: list[Path]  # a picture or a folder
    notes: list[str]


@dataclass
class Source:
    """Images to translate."""

    count: int  # broken files included
    take: Callable[[int], Named]  # so many of them, and more where some may turn out broken
    told: Callable[[], list[str]]  # what is to be said of them at the end


def translate(values: Mapping[str, Any]) -> Report:
    """Translate as conf/translate.yaml describes: a grid with every image above its translations, or PNGs of each image.

    Raises:
        UserError: anything that is wrong is found before anything is written, unless the disk becomes full.
    """
    options = typed(TranslateOptions, values, "")
    chosen = choose_target(options.out, (".png",), options.overwrite)
    loaded = load(options.ckpt, options.device, options.weights)
    domains = domains_of(loaded, options.to)
    name = domains[0] if len(domains) == 1 else f"{len(domains)}-domains"
    target = chosen or default_target("translate", f"{checkpoint_stem(loaded)}-{_plain(name)}", "")
    in_grid = target.kind == ".png"
    with Stages() as stages:
        renderings, notes = renderings_of(loaded, options, domains, in_grid)
        source = _source(loaded, options, domains, stages)
        if not source.count:
            raise UserError(" ".join(["Nothing can be translated.", *source.told()]))
        most = max(1, SHOWN // (1 + len(renderings))) if in_grid else source.count
        count = min(options.n or most, source.count)
        shown = _counted(_translated(loaded, options, source.take(count), renderings), count, stages)
        check_room(loaded, (1 + len(renderings)) * count, "n", target.path, not in_grid)
        grid = _grid(loaded, options, count, renderings) if in_grid else None
        with writing(target.path):
            made = (_save_folder(target.path, shown, renderings) if grid is None
                    else _save_grid(target.path, shown, renderings, grid, options))
    notes += source.told()
    if not made:
        raise UserError(" ".join(["Nothing can be translated.", *notes]))
    return Report(made, ", ".join(domains), [target.path], notes)


# What is translated


def _source(loaded: Loaded, options: TranslateOptions, domains: Sequence[str], stages: Stages) -> Source:
    """Return the user's files, else images of the run that it was not trained on, or of the part that is named."""
    if options.input is not None:
        return _of_files(find_inputs(options.input, loaded))
    if len(domains) > 1 and not among_domains(loaded.model):
        raise UserError(f"to={','.join(domains)} would translate each domain's own images: give one of them, or input=FOLDER.")
    held = run_data(loaded, options.dataset, data_place(loaded, options.data_dir), options.dataset.split is None, stages)
    data, notes = held.data, list(held.notes)
    rows, place = sources(loaded.model, data, domains[0]) if len(domains) == 1 else (torch.arange(data.counts[0]), 0)
    spread = among_domains(loaded.model)  # whose images may lie class by class
    if spread and len(rows) < data.counts[0]:
        notes.append(f"Left out {data.counts[0] - len(rows):,} images that are {domains[0]} already.")

    def take(count: int) -> Named:
        some = rows[torch.arange(count) * len(rows) // count] if spread else rows[:count]
        for part in some.split(options.batch_size):
            yield [f"{row:06d}" for row in part.tolist()], data.examples(part, place).float().cpu()

    return Source(len(rows), take, lambda: notes)


def _of_files(files: Inputs) -> Source:
    def take(count: int) -> Named:
        for entries, x in files.batches():
            yield [entry.name for entry in entries], x

    return Source(len(files.entries), take, files.notes)


def _translated(loaded: Loaded, options: TranslateOptions, images: Named, renderings: Sequence[Rendering]) -> Translated:
    for names, x in images:
        yield names, x, [loaded.translate(x, each.domain, options.batch_size, each.style) for each in renderings]


def _counted(done: Translated, count: int, stages: Stages) -> Translated:
    """Yield what is translated up to so many images, and show how far it is."""
    total = 0
    for names, x, made in done:
        left = count - total
        yield names[:left], x[:left], [y[:left] for y in made]
        total += len(names[:left])
        stages.told("translating", total, count)
        if total == count:
            return


# Where it goes


def _grid(loaded: Loaded, options: TranslateOptions, count: int, renderings: Sequence[Rendering]) -> Grid:
    rows = 1 + len(renderings)
    columns = min(options.columns or max(1, math.floor(math.sqrt(rows * count))), count)
    wide = columns + (renderings[0].reference is not None)  # the references stand before their rows
    grid = Grid.of(loaded.spec.shape, rows * wide * math.ceil(count / columns), wide, options.zoom)
    grid.check("out=FOLDER")
    return grid


def _save_grid(path: Path, done: Translated, renderings: Sequence[Rendering], grid: Grid, options: TranslateOptions) -> int:
    """Write one picture: a row of images, a row for each rendering below it, and so on."""
    parts = [(x, *made) for _, x, made in done]
    if not parts:
        return 0
    batches = [torch.cat(images) for images in zip(*parts, strict=True)]
    count, white = len(batches[0]), torch.ones_like(batches[0][:1])
    guided = renderings[0].reference is not None
    columns = grid.columns - guided
    missing = -count % columns  # of the last rows
    batches = [torch.cat((images, white.expand(missing, -1, -1, -1))) for images in batches]
    if guided:
        references = [white[0], *(each.reference for each in renderings if each.reference is not None)]
        batches = [_led(images, reference, columns) for images, reference in zip(batches, references, strict=True)]
    save_png(path, grid.draw(pictures_of([interleave_rows(grid.columns, *batches)])))
    return count


def _led(images: Tensor, first: Tensor, columns: int) -> Tensor:
    """Return images [N, C, H, W] with another one [C, H, W] before each row of so many."""
    rows = images.unflatten(0, (-1, columns))
    return torch.cat((first.to(rows).expand(len(rows), 1, -1, -1, -1), rows), 1).flatten(0, 1)


def _save_folder(folder: Path, done: Translated, renderings: Sequence[Rendering]) -> int:
    """Write PNGs of each image under its own name; files of one name but for the ending get a number.

    Several domains are folders of their own, and several styles are numbered.
    """
    made, taken = 0, set[PurePosixPath]()
    several = len({each.domain for each in renderings}) > 1, len({each.number for each in renderings}) > 1
    for names, _, batches in done:
        paths = [free_stem(name, taken) for name in names]
        for each, y in zip(renderings, batches, strict=True):
            for path, picture in zip(paths, to_pictures(y), strict=True):
                place = folder / (_plain(each.domain) if several[0] else "") / path.parent
                place.mkdir(parents=True, exist_ok=True)
                save_png(place / f"{path.name}{f'-style{each.number}' if several[1] else ''}.png", picture)
        made += len(names)
    return made


def _plain(name: str) -> str:
    """Return a domain's name as a file may be called: T-shirt/top becomes T-shirt_top."""
    return re.sub(r"[^\w.-]+", "_", name).strip(".") or "_"
