"""Pictures of any size through a network that enlarges them, a tile at a time, in bounded memory.

A tile is made of its own pixels and of those around them that it depends on (the network's reach), so that it is what the
whole picture at once would give; beyond the picture's border there is nothing, as there.

Legend: N tiles, H, W sides of the picture, C channels, f the factor.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gancli.monitor.grids import to_uint8

Place = tuple[slice, slice, slice]  # along one side: what the network sees, what it makes of use, where that goes


def enlarged_by(make: Callable[[Tensor], Tensor], picture: NDArray[np.uint8], factor: int, reach: int, tile: int | None,
                batch_size: int = 1) -> NDArray[np.uint8]:
    """Return a picture [H, W, C] enlarged to [f H, f W, C].

    Args:
        make: images [N, C, h, w] in [-1, 1] to [N, C, f h, f w], both on the CPU.
        reach: pixels of the input to each side on which an output depends.
        tile: pixels of a tile's side, without those around it; None: the whole picture at once.
        batch_size: tiles made at once.
    """
    height, width, channels = picture.shape
    found = np.empty((factor * height, factor * width, channels), np.uint8)
    rows, columns = (list(_places(side, factor, reach, tile)) for side in (height, width))
    places = [(row, column) for row in rows for column in columns]
    for start in range(0, len(places), batch_size):
        some = places[start:start + batch_size]
        seen = torch.from_numpy(np.stack([picture[row[0], column[0]] for row, column in some])).permute(0, 3, 1, 2)
        made = to_uint8(make(seen.float() / 127.5 - 1)).permute(0, 2, 3, 1).numpy()
        for each, (row, column) in zip(made, some, strict=True):
            found[row[2], column[2]] = each[row[1], column[1]]
    return found


def _places(side: int, factor: int, reach: int, tile: int | None) -> Iterator[Place]:
    """Yield where each tile lies along one side; all see equally many pixels, those at an end more than they need."""
    tile = side if tile is None else min(tile, side)
    seen = min(side, tile + 2 * reach)
    for start in range(0, side, tile):
        stop = min(start + tile, side)
        first = min(max(0, start - reach), side - seen)
        yield (slice(first, first + seen), slice(factor * (start - first), factor * (stop - first)),
               slice(factor * start, factor * stop))
