"""Strokes of a brush as constraints on an image: from a picture with transparency, or from a list of strokes in JSON.

Legend: C channels, H height, W width, P points of a stroke.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ImageColor
from torch import Tensor
from torch.nn.functional import grid_sample

from gancli.data.dataset import normalized
from gancli.data.decode import BrokenImage, open_upright
from gancli.data.geometry import fit_image, set_channels
from gancli.errors import UserError

TOOLS = ("color", "sketch", "warp", "erase")
LARGEST_FILE = 4 << 20  # bytes of a list of strokes
MOST_POINTS = 20_000
LONGEST_SIDE = 16_384  # of the picture that strokes were painted on
WIDEST = 1e4


@dataclass(frozen=True)
class Stroke:
    """A path of the brush, in pixels of the model's images: the middle of the first one is (0.5, 0.5)."""

    tool: str  # one of TOOLS
    points: NDArray[np.float64]  # [P, 2] to the right and down
    radius: float
    color: tuple[int, int, int]


@dataclass
class Strokes:
    """What an edited image should be like, and where."""

    color: Tensor  # [C, H, W] in [-1, 1]
    color_mask: Tensor  # [1, H, W] from 0 to 1
    sketch: Tensor  # [1, H, W] in [-1, 1]: lines that are drawn as edges, white on black
    sketch_mask: Tensor  # [1, H, W] from 0 to 1

    @property
    def touched(self) -> Tensor:
        """Where anything is asked for, [1, H, W]."""
        return torch.maximum(self.color_mask, self.sketch_mask)


def read_strokes(given: str, picture: Tensor, fit: str) -> Strokes:
    """Return the strokes of a file over a picture [C, H, W] in [-1, 1].

    Args:
        given: *.json, or an image whose opaque parts are strokes of color.
        fit: how images of other sizes are brought to the model's (dataset.fit), strokes painted on them likewise.

    Raises:
        UserError: no such file, not of this form, or without a stroke.
    """
    path = Path(given).expanduser()
    if not path.is_file():
        raise UserError(f"There is no file {path}: strokes= takes a PNG with transparency, or a JSON list of strokes, which "
                        "gan edit page=edit.html lets you paint.")
    if picture.shape[0] > 4:
        raise UserError(f"Strokes have colors, and this model's images have {picture.shape[0]} channels.")
    strokes = _of_json(path, picture) if path.suffix.lower() == ".json" else _of_image(path, picture, fit)
    if strokes.touched.max() == 0:
        raise UserError(f"There is no stroke in {path}: nothing in it is opaque, or all was erased.")
    return strokes


def _of_image(path: Path, picture: Tensor, fit: str) -> Strokes:
    try:
        image = open_upright(path, None)
    except BrokenImage as error:
        raise UserError(f"{path} cannot be read ({error}): strokes= takes a PNG with transparency, or JSON.") from None
    if image.mode not in ("LA", "RGBA"):
        raise UserError(f"{path} has no transparency: strokes are what is opaque on a transparent picture. To project a whole "
                        "picture use gan project.")
    pixels = np.asarray(fit_image(image.convert("RGBA"), tuple(picture.shape[1:]), fit, (0, 0, 0, 0)))
    mask = torch.from_numpy(pixels[:, :, 3].copy())[None] / 255
    nothing = torch.zeros_like(mask)
    return Strokes(_in_channels(pixels[None, :, :, :3], len(picture))[0], mask, nothing - 1, nothing)


def _of_json(path: Path, picture: Tensor) -> Strokes:
    if path.stat().st_size > LARGEST_FILE:
        raise UserError(f"{path} has more than {LARGEST_FILE >> 20} MiB: give fewer strokes.")
    try:
        return paint(parse_strokes(json.loads(path.read_text(encoding="utf-8")), *picture.shape[1:]), picture)
    except (ValueError, RecursionError) as error:  # among them what is no JSON and no text
        raise UserError(f"{path} is no list of strokes: {str(error).splitlines()[0].rstrip('.')}.") from None


def parse_strokes(value: Any, height: int, width: int) -> list[Stroke]:
    """Return the strokes that a JSON value describes, in pixels of images of that size.

    The value is {"width": w, "height": h, "strokes": [{"tool", "points": [[x, y], ...], "radius", "color"}, ...]}, in
    pixels of a picture of w x h (if they are missing, of the model's size).

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(value, dict) or not isinstance(value.get("strokes"), list):
        raise ValueError('it needs {"strokes": [...]}')
    wide, high = (_number(value.get(key, side), key, 1, LONGEST_SIDE) for key, side in (("width", width), ("height", height)))
    scale = np.array([width / wide, height / high])
    strokes = [_stroke(each, number, scale) for number, each in enumerate(value["strokes"], 1)]
    if sum(len(stroke.points) for stroke in strokes) > MOST_POINTS:
        raise ValueError(f"it has more than {MOST_POINTS:,} points")
    return strokes


def _stroke(value: Any, number: int, scale: NDArray) -> Stroke:
    where = f"stroke {number}"
    if not isinstance(value, dict):
        raise ValueError(f"{where} is no object")
    tool = value.get("tool", "color")
    if tool not in TOOLS:
        raise ValueError(f"{where} has the tool {str(tool)[:40]}, and there are {', '.join(TOOLS)}")
    points = value.get("points")
    if not isinstance(points, list) or not points or any(not isinstance(point, list) or len(point) != 2 for point in points):
        raise ValueError(f"{where} needs points as [[x, y], ...]")
    if len(points) > MOST_POINTS:
        raise ValueError(f"{where} has more than {MOST_POINTS:,} points")
    if tool == "warp" and len(points) < 2:
        raise ValueError(f"{where} warps from its first point to its last one and has only one")
    places = np.array([[_number(each, f"{where}: a coordinate", -LONGEST_SIDE, 2 * LONGEST_SIDE) for each in point]
                       for point in points]) * scale
    radius = _number(value.get("radius", 1), f"{where}: radius", 0, WIDEST)
    return Stroke(tool, places, radius * float(scale.mean()), _rgb(value.get("color", "#000000"), where))


def _number(value: Any, what: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ValueError(f"{what} must be a number from {low:g} to {high:g}, not {str(value)[:40]}")
    return float(value)


def _rgb(value: Any, where: str) -> tuple[int, int, int]:
    if isinstance(value, list) and len(value) == 3:
        red, green, blue = (int(_number(each, f"{where}: a color's value", 0, 255)) for each in value)
        return red, green, blue
    try:
        red, green, blue = ImageColor.getrgb(str(value)[:40])[:3]
    except ValueError:
        raise ValueError(f"{where} has the color {str(value)[:40]}: give #rrggbb") from None
    return red, green, blue


def paint(strokes: Sequence[Stroke], picture: Tensor) -> Strokes:
    """Return what strokes ask for, painted in their order over a picture [C, H, W]: later ones cover, `erase` takes away."""
    channels, height, width = picture.shape
    color, mask = torch.zeros(channels, height, width), torch.zeros(1, height, width)  # color is multiplied by its mask
    sketch = torch.zeros(1, height, width)
    for stroke in strokes:
        if stroke.tool == "warp":
            end = stroke.points[-1:]
            covered = torch.from_numpy(coverage(end, stroke.radius, height, width))[None].float()
            paint_of = shifted(picture, end[0] - stroke.points[0])
        else:
            covered = torch.from_numpy(coverage(stroke.points, stroke.radius, height, width))[None].float()
            paint_of = _in_channels(np.array(stroke.color, np.uint8).reshape(1, 1, 1, 3), channels)[0]
        if stroke.tool == "sketch":
            sketch = torch.maximum(sketch, covered)
            continue
        added = stroke.tool != "erase"
        color = color * (1 - covered) + added * covered * paint_of
        mask = mask * (1 - covered) + added * covered
        sketch = sketch if added else sketch * (1 - covered)
    return Strokes(color / mask.clamp_min(1e-6), mask, 2 * sketch - 1, sketch)


def coverage(points: NDArray[np.float64], radius: float, height: int, width: int) -> NDArray[np.float64]:
    """Return how much of each pixel [H, W] a round brush covers along points [P, 2], about.

    A pixel whose middle is d from the path is covered by radius + 1/2 - d, from 0 to 1.
    """
    covered = np.zeros((height, width))
    reach = radius + 0.5
    starts, ends = points, np.concatenate((points[1:], points[-1:]))
    for (x0, y0), (x1, y1) in zip(starts, ends, strict=True):
        left, right = (int(np.clip(np.floor(x), 0, width)) for x in (min(x0, x1) - reach, max(x0, x1) + reach + 1))
        top, bottom = (int(np.clip(np.floor(y), 0, height)) for y in (min(y0, y1) - reach, max(y0, y1) + reach + 1))
        if left >= right or top >= bottom:
            continue
        x, y = np.arange(left, right) + 0.5 - x0, np.arange(top, bottom)[:, None] + 0.5 - y0
        dx, dy = x1 - x0, y1 - y0
        along = np.clip((x * dx + y * dy) / max(dx * dx + dy * dy, 1e-12), 0, 1)
        apart = np.hypot(x - along * dx, y - along * dy)
        part = covered[top:bottom, left:right]
        np.maximum(part, np.clip(reach - apart, 0, 1), out=part)
    return covered


def shifted(picture: Tensor, by: NDArray[np.float64]) -> Tensor:
    """Return a picture [C, H, W] moved by pixels to the right and down; its edges go on outside."""
    _, height, width = picture.shape
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    places = torch.stack(((x - float(by[0])) * 2 / width - 1, (y - float(by[1])) * 2 / height - 1), -1)
    return grid_sample(picture[None], places[None].to(picture), mode="bilinear", padding_mode="border", align_corners=False)[0]


def _in_channels(colors: NDArray[np.uint8], channels: int) -> Tensor:
    """Return colors [N, H, W, 3] as images [N, C, H, W] in [-1, 1]."""
    return normalized(torch.from_numpy(np.ascontiguousarray(set_channels(colors, channels, (255, 255, 255))))).float()
