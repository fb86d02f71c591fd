"""`gan sample`: images, or texts, drawn from a trained generator.

Legend: N images, C channels, H height, W width, P coordinates of a point, T tokens of a sequence.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gancli.errors import check_choice, check_range
from gancli.explore.animations import ANIMATED
from gancli.explore.codes import spread_codes
from gancli.explore.labels import spread_labels
from gancli.explore.layout import Grid, pictures_of
from gancli.explore.loaded import Loaded, load
from gancli.explore.options import StyleOptions
from gancli.explore.room import check_room
from gancli.explore.staged import save_stages
from gancli.explore.styles import with_changed_styles
from gancli.explore.targets import FOLDER, checkpoint_stem, choose_target, default_target, refuse_kind
from gancli.explore.textures import save_textures
from gancli.explore.writing import as_rows, save_folder, save_lines, save_npz, writing
from gancli.game.abilities import able
from gancli.monitor.grids import Picture, save_png, scatter
from gancli.options import typed
from gancli.precision import COMPUTED

ENDINGS, OF_TOKENS = (".png", ".npz"), (".txt", ".npz")


@dataclass
class SampleOptions(StyleOptions):
    """What `gan sample` draws; the defaults stand in conf/sample.yaml."""

    n: int  # images
    seed: int
    label: Any  # a class (name or index), a list of classes, or None for every class of a conditional model
    code: Any  # a category of the first categorical code, a list of them, or None for random ones
    codes: Any  # values of codes by their names, or None
    domain: str | None  # of a model of two domains; None: both in a picture, else the first
    precision: str  # one of COMPUTED
    columns: int | None
    stages: bool  # how each image comes about: levels of a pyramid, steps of a canvas
    fps: float  # stages a second of a film
    size: Any  # null, a side, or [height, width]
    tile: bool  # images go on at their opposite sides

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("fps", self.fps, 0.5, 50)
        if self.stages and self.sized:
            raise ValueError("stages=true shows how images of the model's own size come about: leave size= and tile= out")
        check_choice("precision", self.precision, COMPUTED)
        check_range("seed", self.seed, 0)
        check_range("n", self.n, 1)
        check_range("columns", self.columns, 1)

    @property
    def sized(self) -> bool:
        """Whether images have another form than those of training."""
        return self.size is not None or self.tile


def sample(values: Mapping[str, Any]) -> list[Path]:
    """Draw images (or points, or texts) as conf/sample.yaml describes and return what was written.

    Raises:
        UserError: nothing has been written, unless the disk became full.
    """
    options = typed(SampleOptions, values, "")
    known = tuple(dict.fromkeys((*ENDINGS, *OF_TOKENS)))
    chosen = choose_target(options.out, (*known, *ANIMATED) if options.stages else known, options.overwrite)
    loaded = with_changed_styles(load(options.ckpt, options.device, options.weights).computing_in(options.precision), options)
    if options.sized:
        return [save_textures(loaded, options, chosen)]
    endings = OF_TOKENS if loaded.spec.kind == "tokens" else ENDINGS
    kind = chosen.kind if chosen else endings[0]
    check_room(loaded, options.n, "n", Path(options.out or "."), kind != ".png")
    labels = spread_labels(options.label, loaded.model, loaded.name, options.n)
    codes = spread_codes(options.code, options.codes, loaded.model, loaded.name, options.n)
    target = chosen or default_target("sample", f"{checkpoint_stem(loaded)}-seed{options.seed}", kind)
    if options.stages:
        return [save_stages(loaded, options, target, labels, codes)]
    refuse_kind(loaded, target, endings)

    domains = _domains(loaded, options.domain, target.kind)
    images = (x for domain in domains
              for _, _, x in loaded.sample_batches(options.n, options.seed, labels, options.batch_size, codes, domain))
    with writing(target.path):
        if target.kind == ".npz":
            save_npz(target.path, _arrays(loaded, options, labels, codes, images), options.n)
        elif target.kind == ".txt":
            save_lines(target.path, chain.from_iterable(loaded.spec.texts(x) for x in images))
        elif target.kind == FOLDER:
            names = None if labels is None else (loaded.spec.classes[label] for label in labels.tolist())
            save_folder(target.path, images, options.n, names)
        else:
            varied = (values for values in codes.values() if len(values.unique()) > 1)
            rows = next(varied, None) if labels is None else labels
            save_png(target.path, _picture(loaded, options, rows, images, len(domains)))
    return [target.path]


def _domains(loaded: Loaded, domain: str | None, kind: str) -> Sequence[str | None]:
    """Return the domains that are shown: the one that is named, else all in a picture, else the model's first."""
    if domain is not None:
        loaded.maker(domain)  # or it is refused
        return [domain]
    return loaded.spec.domains if kind == ".png" and able(loaded.model, "domains") else [None]


def _arrays(loaded: Loaded, options: SampleOptions, labels: Tensor | None, codes: Mapping[str, Tensor],
            images: Iterator[Tensor]) -> dict[str, Any]:
    """Return what an archive holds: images [N, H, W, C] uint8, or points or tokens, with z, seed, and labels if there are any.

    Points are [N, P] float32 and tokens [N, T] int64, whose symbols the vocabulary [V] tells.
    """
    arrays = {
        loaded.spec.kind: map(as_rows, images),
        "z": (z.numpy() for z in loaded.latent_batches(options.n, options.seed, options.batch_size, codes)),
        "seed": np.asarray(options.seed),
    }
    arrays |= {"vocabulary": np.asarray(loaded.spec.vocabulary)} if loaded.spec.vocabulary else {}
    return arrays if labels is None else arrays | {"labels": labels.numpy()}


def _picture(loaded: Loaded, options: SampleOptions, rows: Tensor | None, images: Iterator[Tensor], domains: int) -> Picture:
    """Return a grid of all images, one class (or value of a code) a row where there are several; a plot of points.

    Args:
        domains: of which images come one after the other; they share columns, each row with the other domain's below.
    """
    if not loaded.spec.is_image:
        return scatter(torch.cat(list(images)), size=512 * (options.zoom or 1))
    columns, cells = _arrange(options.n, rows, options.columns)
    cells = [(domains * (cell // columns) + number) * columns + cell % columns for number in range(domains) for cell in cells]
    grid = Grid.of(loaded.spec.shape, max(cells) + 1, columns, options.zoom)
    grid.check("out=FOLDER or out=FILE.npz")
    return grid.draw(pictures_of(images), cells)


def _arrange(n: int, labels: Tensor | None, columns: int | None) -> tuple[int, list[int]]:
    """Return the columns of a grid and the cell of each image: every class begins a row where that fills the grid."""
    counts = [] if labels is None else torch.unique_consecutive(labels, return_counts=True)[1].tolist()
    if len(counts) < 2 or max(counts) == 1:
        return columns or math.ceil(math.sqrt(n)), list(range(n))
    columns = columns or max(counts)
    cells, row = [], 0
    for count in counts:
        cells += [row * columns + place for place in range(count)]
        row += math.ceil(count / columns)
    return columns, cells
