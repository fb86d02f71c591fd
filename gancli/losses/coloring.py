"""Colors of images changed by one affine map of each image (Karras 2020, appendix B).

Parameters are given for each image and 0 where nothing happens.

Legend: N batch, H height, W width.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

COLORS = ("brightness", "contrast", "luma_flip", "hue", "saturation")  # in the order in which they happen


def recolored(x: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
    """Return images [N, 1 or 3, H, W] with their colors changed; a gray one has the mean of the three channels' maps.

    Args:
        parameters: [N] each, those that are missing are 0: brightness is added; contrast scales by a power of 2, and so does
            saturation, away from the gray axis; luma_flip 1 mirrors along the gray axis; hue turns around it, in radians.
    """
    parameters = {key: parameters[key].to(x.dtype) for key in COLORS if key in parameters}
    if not parameters:
        return x
    matrix, offset = color_map(parameters)
    if x.shape[1] == 1:
        matrix, offset = matrix.sum(2, keepdim=True).mean(1, keepdim=True), offset.mean(1, keepdim=True)
    y = (matrix @ x.flatten(2) + offset).view_as(x)
    changed = (torch.stack(list(parameters.values()), 1) != 0).any(1)
    return torch.where(changed.view(-1, 1, 1, 1), y, x)


def color_map(parameters: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Return the matrices [N, 3, 3] and offsets [N, 3, 1] of all changes, one after the other."""
    some = next(iter(parameters.values()))
    unit = torch.eye(3, dtype=some.dtype, device=some.device)
    gray = torch.full_like(unit, 1 / 3)  # projects onto the gray axis
    matrix, offset = unit.repeat(len(some), 1, 1), some.new_zeros(len(some), 3, 1)
    for key, value in parameters.items():
        value = value.view(-1, 1, 1)
        match key:
            case "brightness":
                offset = offset + value
                continue
            case "contrast":
                step = unit * torch.exp2(value)
            case "luma_flip":
                step = unit - 2 * gray * value
            case "hue":
                step = gray + (unit - gray) * value.cos() + _cross(unit) * value.sin()
            case "saturation":
                step = gray + (unit - gray) * torch.exp2(value)
        matrix, offset = step @ matrix, step @ offset
    return matrix, offset


def _cross(unit: Tensor) -> Tensor:
    """Return the matrix of the cross product with the gray axis of length 1 (Rodrigues' formula)."""
    return (unit.roll(1, 0) - unit.roll(-1, 0)) / 3**0.5
