"""`gan mix`: the table of mixed styles, images of the rows with some layers' styles of the columns (Karras 2019, figure 3).

Legend: R rows, K columns, Z latent size, S style size, L layers that take a style.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gancli.errors import check_range
from gancli.explore.labels import class_indices
from gancli.explore.layout import Grid, pictures_of
from gancli.explore.loaded import load
from gancli.explore.options import StyleOptions
from gancli.explore.room import check_room
from gancli.explore.styles import layers_of, require_styles, swapped, with_styles_for_latents
from gancli.explore.targets import checkpoint_stem, choose_target, default_target, refuse_kind
from gancli.explore.writing import writing
from gancli.monitor.grids import save_png
from gancli.options import typed


@dataclass
class MixOptions(StyleOptions):
    """Which images `gan mix` mixes; the defaults stand in conf/mix.yaml."""

    rows: list[int]  # seeds, whose first images stand at the left: all layers but `layers` are theirs
    cols: list[int]  # seeds, whose first images stand at the top: `layers` are theirs
    layers: Any  # coarse, middle, fine, numbers as 0-3, or a list of such
    label: Any  # a class (name or index) for all images; None: the first of a conditional model

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("rows", "cols"):
            if not getattr(self, key):
                raise ValueError(f"{key} names no seeds: give {key}=[0,1,2]")
            for seed in getattr(self, key):
                check_range(key, seed, 0)
        if isinstance(self.label, (list, tuple)):
            raise ValueError("label is one class for the whole table: give label=NAME")


def mix(values: Mapping[str, Any]) -> list[Path]:
    """Draw a table of mixed styles as conf/mix.yaml describes and return what was written.

    Raises:
        UserError: nothing has been written, unless the disk became full.
    """
    options = typed(MixOptions, values, "")
    chosen = choose_target(options.out, (".png",), options.overwrite)
    loaded = load(options.ckpt, options.device, options.weights)
    require_styles(loaded, "gan mix")
    layers = layers_of(options.layers, loaded.model.style_layers)
    target = chosen or default_target("mix", f"{checkpoint_stem(loaded)}-{_word(layers)}", ".png")
    refuse_kind(loaded, target, ())
    columns = len(options.cols) + 1
    cells = columns * (len(options.rows) + 1)
    grid = Grid.of(loaded.spec.shape, cells, columns, options.zoom)
    grid.check("fewer rows or cols")
    check_room(loaded, cells, "rows", target.path.parent, on_disk=False)
    label = class_indices(options.label, loaded.model, loaded.name)
    rows, cols = (_styles(loaded, seeds, label) for seeds in (options.rows, options.cols))
    maker = with_styles_for_latents(loaded, options)
    table = _table(loaded, rows, cols, layers)
    images = (x for styles in table for x in maker.generate_batches(styles, None, options.batch_size))
    with writing(target.path):
        save_png(target.path, grid.draw(pictures_of(images), range(1, cells)))  # the corner stays empty
    return [target.path]


def _table(loaded: Any, rows: Tensor, cols: Tensor, layers: list[int]) -> Iterator[Tensor]:
    """Yield the styles of a table's rows [., L, S]: the columns' own, then each row's own and its mixtures."""
    yield loaded.model.every_layer(cols)
    for row in rows:
        own = row.expand(len(cols), -1)
        yield torch.cat((loaded.model.every_layer(row[None]), swapped(loaded.model, own, cols, layers)))


def _styles(loaded: Any, seeds: list[int], label: list[int] | None) -> Tensor:
    """Return the styles [R, S] of the first image of each seed."""
    z = torch.cat([loaded.latents(1, seed) for seed in seeds])
    given = torch.full((len(z),), 0 if label is None else label[0]) if loaded.model.needs.labels else None
    return loaded.styles(z, given)


def _word(layers: list[int]) -> str:
    """Return layers as a part of a file's name."""
    whole = layers == list(range(layers[0], layers[-1] + 1))
    return f"layers{layers[0]}-{layers[-1]}" if whole else "layers" + "_".join(map(str, layers))
