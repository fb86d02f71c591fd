"""How images come about, stage by stage: the levels of a pyramid, the steps of a canvas (`gan sample stages=true`).

Legend: N images, S stages, C channels, H height, W width.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from gancli.explore.animations import ANIMATED, check_frames, save_animation
from gancli.explore.layout import Grid, pictures_of
from gancli.explore.loaded import Loaded
from gancli.explore.room import check_room
from gancli.explore.targets import FOLDER, Target
from gancli.explore.writing import as_rows, save_folder, save_npz, writing
from gancli.monitor.grids import Picture, save_png, to_pictures


def save_stages(loaded: Loaded, options: Any, target: Target, labels: Tensor | None, codes: Mapping[str, Tensor]) -> Path:
    """Write the stages of images as the target's kind says and return where they are.

    Args:
        options: a command's, with n, seed, batch_size, columns, zoom and fps.

    Raises:
        UserError: the model has no stages, or there is no room for them; nothing has been written.
    """
    names, n = loaded.stage_names(), options.n
    check_room(loaded, n * len(names), "n", target.path, target.kind not in (".png", *ANIMATED))
    if target.kind in ANIMATED:
        check_frames(loaded, n, options.zoom)
    grid = _grid(loaded, options, len(names)) if target.kind == ".png" else None
    batches = loaded.stage_batches(n, options.seed, labels, options.batch_size, codes)
    with writing(target.path):
        if target.kind == ".npz":
            rows = (np.stack([as_rows(stage) for stage in batch.unbind(1)], 1) for batch in batches)
            arrays = {"stages": rows, "names": np.array(names), "seed": np.asarray(options.seed)}
            save_npz(target.path, arrays if labels is None else arrays | {"labels": labels.numpy()}, n)
        elif target.kind == FOLDER:
            endings = (f"{number}-{name}" for _ in range(n) for number, name in enumerate(names, 1))
            save_folder(target.path, (batch.flatten(0, 1) for batch in batches), n * len(names), endings, len(names))
        elif grid is None:
            save_animation(target, _frames(loaded, options, batches), options.fps)
        else:
            save_png(target.path, grid.draw(pictures_of(batch.flatten(0, 1) for batch in batches)))
    return target.path


def _grid(loaded: Loaded, options: Any, stages: int) -> Grid:
    """Lay out the stages of an image side by side, and as many images in a row as make the grid about square."""
    images = max(1, options.columns // stages) if options.columns else math.ceil(math.sqrt(options.n / stages))
    grid = Grid.of(loaded.spec.shape, options.n * stages, images * stages, options.zoom)
    grid.check("out=FOLDER or out=FILE.npz")
    return grid


def _frames(loaded: Loaded, options: Any, batches: Iterator[Tensor]) -> Iterator[Picture]:
    """Yield a grid of all images for each stage, from the first to the last."""
    stages = np.concatenate([to_pictures(batch.flatten(0, 1)).reshape(*batch.shape[:2], *batch.shape[3:], -1)
                             for batch in batches])  # [N, S, H, W, 1 or 3]
    grid = Grid.of(loaded.spec.shape, options.n, options.columns, options.zoom)
    for stage in stages.swapaxes(0, 1):
        yield grid.draw(stage)
