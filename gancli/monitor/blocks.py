"""A picture in the terminal: two pixels a character, the upper half in its color over the lower half's."""

import numpy as np
from rich.text import Text

from gancli.monitor.grids import Picture

UPPER_HALF = "\N{UPPER HALF BLOCK}"


def in_blocks(picture: Picture) -> Text:
    """Return a picture [H, W, 1 or 3] as text of W columns and H / 2 lines, for a terminal with colors."""
    if picture.shape[0] % 2:
        picture = np.concatenate([picture, picture[-1:]])
    picture = np.broadcast_to(picture, (*picture.shape[:2], 3)).astype(int)
    text = Text(no_wrap=True)
    for upper, lower in zip(picture[::2], picture[1::2]):
        for above, below in zip(upper, lower):
            text.append(UPPER_HALF, style=f"rgb({above[0]},{above[1]},{above[2]}) on rgb({below[0]},{below[1]},{below[2]})")
        text.append("\n")
    return text
