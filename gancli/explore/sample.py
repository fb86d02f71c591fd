"""`gan sample`: images drawn from a trained generator.

Legend: N images, C channels, H height, W width, P coordinates of a point.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gancli.errors import check_range
from gancli.explore.codes import spread_codes
from gancli.explore.labels import spread_labels
from gancli.explore.layout import Grid, pictures_of
from gancli.explore.loaded import Loaded, load
from gancli.explore.options import StyleOptions
from gancli.explore.room import check_room
from gancli.explore.styles import with_changed_styles
from gancli.explore.targets import FOLDER, checkpoint_stem, choose_target, default_target, refuse_points
from gancli.explore.writing import as_rows, save_folder, save_npz, writing
from gancli.monitor.grids import Picture, save_png, scatter
from gancli.options import typed

ENDINGS = (".png", ".npz")


@dataclass
class SampleOptions(StyleOptions):
    """What `gan sample` draws; the defaults stand in conf/sample.yaml."""

    n: int  # images
    seed: int
    label: Any  # a class (name or index), a list of classes, or None for every class of a conditional model
    code: Any  # a category of the first categorical code, a list of them, or None for random ones
    codes: Any  # values of codes by their names, or None
    columns: int | None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("seed", self.seed, 0)
        check_range("n", self.n, 1)
        check_range("columns", self.columns, 1)


def sample(values: Mapping[str, Any]) -> list[Path]:
    """Draw images as conf/sample.yaml describes and return what was written.

    Raises:
        UserError: nothing has been written, unless the disk became full.
    """
    options = typed(SampleOptions, values, "")
    chosen = choose_target(options.out, ENDINGS, options.overwrite)
    loaded = with_changed_styles(load(options.ckpt, options.device, options.weights), options)
    kind = chosen.kind if chosen else ".png"
    check_room(loaded, options.n, "n", Path(options.out or "."), kind != ".png")
    labels = spread_labels(options.label, loaded.model, loaded.name, options.n)
    codes = spread_codes(options.code, options.codes, loaded.model, loaded.name, options.n)
    target = chosen or default_target("sample", f"{checkpoint_stem(loaded)}-seed{options.seed}", ".png")
    refuse_points(loaded, target, ENDINGS)

    images = (x for _, _, x in loaded.sample_batches(options.n, options.seed, labels, options.batch_size, codes))
    with writing(target.path):
        if target.kind == ".npz":
            save_npz(target.path, _arrays(loaded, options, labels, codes, images), options.n)
        elif target.kind == FOLDER:
            names = None if labels is None else (loaded.spec.classes[label] for label in labels.tolist())
            save_folder(target.path, images, options.n, names)
        else:
            varied = (values for values in codes.values() if len(values.unique()) > 1)
            save_png(target.path, _picture(loaded, options, next(varied, None) if labels is None else labels, images))
    return [target.path]


def _arrays(loaded: Loaded, options: SampleOptions, labels: Tensor | None, codes: Mapping[str, Tensor],
            images: Iterator[Tensor]) -> dict[str, Any]:
    """Return what an archive holds: images [N, H, W, C] uint8 (points [N, P] float32), z, seed, labels if there are any."""
    arrays = {
        "images" if loaded.spec.is_image else "points": map(as_rows, images),
        "z": (z.numpy() for z in loaded.latent_batches(options.n, options.seed, options.batch_size, codes)),
        "seed": np.asarray(options.seed),
    }
    return arrays if labels is None else arrays | {"labels": labels.numpy()}


def _picture(loaded: Loaded, options: SampleOptions, rows: Tensor | None, images: Iterator[Tensor]) -> Picture:
    """Return a grid of all images, one class (or value of a code) a row where there are several; a plot of points."""
    if not loaded.spec.is_image:
        return scatter(torch.cat(list(images)), size=512 * (options.zoom or 1))
    columns, cells = _arrange(options.n, rows, options.columns)
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
