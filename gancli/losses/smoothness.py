"""What is asked of a single image: that neighboring pixels are alike.

Legend: N batch, C channels, H height, W width.
"""

from torch import Tensor


def total_variation(x: Tensor) -> Tensor:
    """Return the mean squared difference of vertical neighbors plus that of horizontal ones, for images [N, C, H, W]."""
    return (x[:, :, 1:] - x[:, :, :-1]).square().mean() + (x[..., 1:] - x[..., :-1]).square().mean()
