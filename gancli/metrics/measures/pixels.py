"""Whether pairs of generated images agree, pixel by pixel.

Legend: N pairs, C channels, H height, W width.
"""

import torch
from torch import Tensor

MIDDLE = 128  # of 8 bits: from here on a value counts as light


def agreeing_pixels(first: Tensor, second: Tensor) -> Tensor:
    """Return the share of values on which two uint8 images are both light or both dark, for each pair [N], float64.

    Args:
        first, second: [N, C, H, W].
    """
    return ((first >= MIDDLE) == (second >= MIDDLE)).flatten(1).to(torch.float64).mean(1)
