"""Pictures of batches: grids, plots of points, PNG, GIF and MP4 files.

Legend: N batch, C channels, H height, W width, P coordinates of a point.
"""

import io
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

Picture = NDArray[np.uint8]  # [H, W, 1 or 3]

PREVIEW_SIDE = 512  # pixels that a preview's longer side should at least have
BINS = 100  # of a histogram


def to_uint8(images: Tensor) -> Tensor:
    """Map images from [-1, 1] to uint8 on their device: (x + 1) * 127.5, halves rounded up, clamped; NaN is black."""
    scaled = torch.nan_to_num((images.float() + 1) * 127.5, nan=0.0)
    return (scaled + 0.5).floor().clamp(0, 255).to(torch.uint8)


def to_pictures(images: Tensor) -> Picture:
    """Return images [N, C, H, W] in [-1, 1] as uint8 pictures [N, H, W, 1 or 3].

    Two channels become red and green, four are color and opacity over white, of more the first three are shown.
    """
    channels = images.shape[1]
    if channels == 2:
        images = torch.cat([images, torch.full_like(images[:, :1], -1)], dim=1)
    elif channels == 4:
        opacity = (images[:, 3:] + 1) / 2  # [N, 1, H, W]
        images = (images[:, :3] * opacity + (1 - opacity)).clamp(-1, 1)
    elif channels > 4:
        images = images[:, :3]
    return to_uint8(images).permute(0, 2, 3, 1).contiguous().cpu().numpy()


def image_grid(images: Tensor, columns: int, padding: int = 2, zoom: int = 1, fill: int = 255,
               cells: Sequence[int] | None = None) -> Picture:
    """Return images [N, C, H, W] in [-1, 1] as one picture, row by row.

    Args:
        columns: images a row (the last row may be shorter).
        padding: pixels between images and around them, before the zoom.
        zoom: each pixel becomes a square of this side; see `preview_zoom`.
        fill: gray value of the padding and of empty cells.
        cells: where each image goes, cells counted row by row; 0, 1, 2, ... by default.
    """
    return picture_grid(to_pictures(images), columns, padding, zoom, fill, cells)


def picture_grid(pictures: Picture, columns: int, padding: int = 2, zoom: int = 1, fill: int = 255,
                 cells: Sequence[int] | None = None) -> Picture:
    """Return pictures [N, H, W, 1 or 3] as one picture; the arguments are those of `image_grid`."""
    count, height, width, channels = pictures.shape
    if count < 1 or columns < 1:
        raise ValueError(f"a grid needs images and columns, not {count} images and {columns} columns")
    cells = range(count) if cells is None else cells
    columns = min(columns, max(cells) + 1)
    rows = max(cells) // columns + 1
    size = rows * (height + padding) + padding, columns * (width + padding) + padding
    grid = np.full((*size, channels), fill, np.uint8)
    for picture, cell in zip(pictures, cells, strict=True):
        top = padding + cell // columns * (height + padding)
        left = padding + cell % columns * (width + padding)
        grid[top:top + height, left:left + width] = picture
    return grid if zoom == 1 else grid.repeat(zoom, axis=0).repeat(zoom, axis=1)


def grid_size(height: int, width: int, count: int, columns: int, padding: int = 2) -> tuple[int, int]:
    """Return (height, width) of the grid that `image_grid` makes of `count` images, before the zoom."""
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    return rows * (height + padding) + padding, columns * (width + padding) + padding


def preview_zoom(height: int, width: int) -> int:
    """Return the whole zoom that makes a picture's longer side at least PREVIEW_SIDE and less than twice that."""
    return max(1, math.ceil(PREVIEW_SIDE / max(height, width)))


def scatter_limits(reference: Tensor, margin: float = 0.15) -> list[tuple[float, float]]:
    """Return (low, high) for each coordinate of points [N, P], so that every frame of a run has the same axes."""
    low, high = reference.float().amin(0).cpu(), reference.float().amax(0).cpu()
    pad = (high - low).clamp_min(1e-3) * margin
    return [(float(a), float(b)) for a, b in zip(low - pad, high + pad, strict=True)]


def scatter(points: Tensor, reference: Tensor | None = None, limits: Sequence[tuple[float, float]] | None = None,
            size: int = 512, title: str = "") -> Picture:
    """Return a plot [size, size, 3] of points [N, P]: a scatter of the first two coordinates, a histogram for P = 1.

    Args:
        points: drawn over the reference; points that are not finite are left out.
        reference: real points [M, P].
        limits: of the axes; those of the reference (else of the points) by default.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    points = points.detach().float().cpu()
    points = points[points.isfinite().all(1)]
    known = points if reference is None else reference.detach().float().cpu()
    if limits is None:
        limits = scatter_limits(known) if len(known) else [(-1.0, 1.0)] * points.shape[1]
    figure = Figure(figsize=(size / 100, size / 100), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    draw = _histogram if points.shape[1] == 1 else _points
    draw(axes, points.numpy(), None if reference is None else known.numpy(), limits)
    if title:
        axes.set_title(title, fontsize=9)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[:, :, :3])


def _points(axes, points: NDArray, reference: NDArray | None, limits: Sequence[tuple[float, float]]) -> None:
    if reference is not None:
        axes.scatter(reference[:, 0], reference[:, 1], s=4, c="#bbbbbb", linewidths=0, label="real")
    axes.scatter(points[:, 0], points[:, 1], s=4, c="#c0392b", alpha=0.6, linewidths=0, label="generated")
    axes.set_xlim(*limits[0])
    axes.set_ylim(*limits[1])
    axes.legend(loc="upper right", fontsize=7)


def _histogram(axes, points: NDArray, reference: NDArray | None, limits: Sequence[tuple[float, float]]) -> None:
    bins = np.linspace(*limits[0], BINS + 1)
    peak = 0.0
    for values, color, label in ((reference, "#bbbbbb", "real"), (points, "#c0392b", "generated")):
        if values is None:
            continue
        density = np.histogram(values[:, 0], bins)[0] / max(len(values), 1) / (bins[1] - bins[0])
        peak = peak or float(density.max())  # of the reference where there is one: the axis then never jumps
        axes.stairs(density, bins, fill=label == "real", color=color, label=label)
    axes.set_xlim(*limits[0])
    axes.set_ylim(0, 1.5 * peak or 1)
    axes.legend(loc="upper right", fontsize=7)


def quick_png(picture: Picture) -> bytes:
    """Return a picture [H, W, 1 or 3] as a PNG file's bytes, made in a quarter of the usual time and an eighth larger."""
    file = io.BytesIO()
    _image(picture).save(file, format="PNG", compress_level=2)
    return file.getvalue()


def save_png(path: Path | str, picture: Picture) -> None:
    """Write a picture [H, W, 1 or 3] as PNG, making its folder."""
    with _whole(path) as written:
        _image(picture).save(written, format="PNG")


def save_gif(path: Path | str, frames: Iterable[Picture], fps: float = 20, loop: bool = True, hold: float = 0.0) -> None:
    """Write pictures [H, W, 1 or 3] of one size as an animated GIF; its times are whole hundredths of a second.

    Args:
        hold: seconds that the last frame is shown at least.
    """
    images = [_image(frame) for frame in frames]
    if not images:
        raise ValueError("an animation needs a frame")
    forever = {"loop": 0} if loop else {}
    each = max(20, 10 * round(100 / fps))  # players show less than 20 ms as 100 ms
    durations = [each] * (len(images) - 1) + [max(each, 10 * round(100 * hold))]
    with _whole(path) as written:
        images[0].save(written, format="GIF", save_all=True, append_images=images[1:], optimize=False, disposal=1,
                       duration=durations if hold else each, **forever)


def save_mp4(path: Path | str, frames: Iterable[Picture], fps: float = 20) -> None:
    """Write pictures [H, W, 1 or 3] of one size as MP4 (H.264, else MPEG-4); an odd side loses its last pixel."""
    import av

    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    with _whole(path) as written, av.open(str(written), "w", format="mp4") as container:
        stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1000))
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "16"} if codec == "libx264" else {"q:v": "2"}
        for index, picture in enumerate(frames):
            height, width = (side - side % 2 for side in picture.shape[:2])
            if index == 0:
                stream.height, stream.width = height, width
            color = np.broadcast_to(picture[:height, :width], (height, width, 3))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(color), format="rgb24")))
        container.mux(stream.encode())


@contextmanager
def _whole(path: Path | str) -> Iterator[Path]:
    """Give a name beside `path` to write to and put that file in its place, which stays as it was after any error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.with_name(f".{path.name}.tmp")
    try:
        yield written
        os.replace(written, path)
    except BaseException:
        written.unlink(missing_ok=True)
        raise


def _image(picture: Picture) -> Image.Image:
    return Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)
