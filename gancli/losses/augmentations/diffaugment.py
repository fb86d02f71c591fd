"""Differentiable augmentation for data-efficient training (Zhao 2020, 2006.10738), by the formulas of the authors' code.

Legend: N batch, C channels, H height, W width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from gancli.losses.augmentation import Draw, ImageAugmentation, check_policy
from gancli.ranks import shards
from gancli.registry import augmentations

POLICY = ("color", "translation", "cutout")
SHIFT = 0.125  # largest translation, of the side
CUT = 0.5  # side of the square that is cut out, of the image's


@dataclass
class DiffAugmentOptions:
    """Which changes, in which order."""

    name: str
    policy: list[str]  # of POLICY

    def __post_init__(self) -> None:
        check_policy(self.policy, POLICY)


@augmentations.register("diffaugment", options=DiffAugmentOptions)
class DiffAugment(ImageAugmentation):
    """Every image changed by all of the policy in its order; nothing is clamped, and what is missing is 0, a mid-gray."""

    def __init__(self, options: DiffAugmentOptions, shape: tuple[int, ...]) -> None:
        super().__init__(shape[0])
        self.policy = options.policy

    def draw(self, n: int, height: int, width: int, device: torch.device) -> Draw:
        drawn: Draw = {}
        for name in self.policy:
            if name == "color":
                drawn |= {key: shards.rand(n, device=device) for key in ("brightness", "saturation", "contrast")}
            elif name == "translation":
                drawn |= {"down": _shift(n, height, device), "right": _shift(n, width, device)}
            else:
                drawn |= {"top": _corner(n, height, device), "left": _corner(n, width, device)}
        return drawn

    def change(self, x: Tensor, draw: Draw) -> Tensor:
        for name in self.policy:
            if name == "translation":
                x = translate(x, draw["down"], draw["right"])
            elif name == "cutout":
                x = cut_out(x, draw["top"], draw["left"])
            elif x.shape[1] == self.channels:
                x = recolor(x, draw["brightness"], draw["saturation"], draw["contrast"])
        return x

    def describe(self) -> str:
        gray = "; saturation changes nothing on one channel" if self.channels == 1 and "color" in self.policy else ""
        return f"{', '.join(self.policy)} on all images that discriminators see{gray}"


def recolor(x: Tensor, brightness: Tensor, saturation: Tensor, contrast: Tensor) -> Tensor:
    """Return x with brightness, then saturation, then contrast changed by uniform numbers [N] in [0, 1)."""
    brightness, saturation, contrast = (u.to(x.dtype).view(-1, 1, 1, 1) for u in (brightness, saturation, contrast))
    x = x + (brightness - 0.5)
    mean = x.mean(1, keepdim=True)
    x = (x - mean) * (2 * saturation) + mean
    mean = x.mean((1, 2, 3), keepdim=True)
    return (x - mean) * (contrast + 0.5) + mean


def translate(x: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Return x moved by so many pixels [N], with 0 where there was nothing: row i is row i + down of x.

    Products with zeros and a single one copy exactly, and can be differentiated any number of times.
    """
    return _moves(x, down, x.shape[2]) @ x @ _moves(x, right, x.shape[3]).mT


def cut_out(x: Tensor, top: Tensor, left: Tensor) -> Tensor:
    """Return x with 0 in a rectangle of half its height and width whose first row and column [N] may lie outside."""
    inside = _within(x, top, x.shape[2])[:, :, None] & _within(x, left, x.shape[3])[:, None, :]  # [N, H, W]
    return x * (~inside).to(x.dtype)[:, None]


def _shift(n: int, side: int, device: torch.device) -> Tensor:
    most = int(side * SHIFT + 0.5)
    return shards.randint(2 * most + 1, n, device=device) - most


def _corner(n: int, side: int, device: torch.device) -> Tensor:
    """Return the first row or column of a cut whose middle is anywhere in the image."""
    cut = int(side * CUT + 0.5)
    return shards.randint(side + 1 - cut % 2, n, device=device) - cut // 2


def _moves(x: Tensor, shift: Tensor, side: int) -> Tensor:
    """Return [N, 1, side, side] with a one where a row or column of the result meets the one that it comes from."""
    places = torch.arange(side, device=x.device)
    return (places[None, :, None] + shift[:, None, None] == places[None, None, :]).to(x.dtype)[:, None]


def _within(x: Tensor, start: Tensor, side: int) -> Tensor:
    places = torch.arange(side, device=x.device)[None] - start[:, None]
    return (places >= 0) & (places < int(side * CUT + 0.5))  # [N, side]
