"""Grids, plots and animations hold the pixels they should."""

import io

import av
import numpy as np
import pytest
import torch
from PIL import Image

from gancli.monitor.grids import (
    grid_size,
    image_grid,
    preview_zoom,
    quick_png,
    save_gif,
    save_mp4,
    save_png,
    scatter,
    scatter_limits,
    to_uint8,
)


def test_to_uint8_rounds_half_up_clamps_and_inverts_the_normalization():
    levels = torch.arange(256)
    assert torch.equal(to_uint8(levels / 127.5 - 1).long(), levels)
    x = torch.tensor([-5.0, -1.0, 0.0, 1.0, 7.0, float("nan"), float("inf"), -float("inf")])
    assert to_uint8(x).tolist() == [0, 0, 128, 255, 255, 0, 255, 0]


def test_grid_places_images_row_by_row():
    images = torch.linspace(-1, 1, 5).view(5, 1, 1, 1).expand(5, 1, 3, 4)
    grid = image_grid(images, columns=3, padding=2, fill=7)
    assert grid.shape == (2 * 5 + 2, 3 * 6 + 2, 1) and grid.dtype == np.uint8
    assert grid.shape[:2] == grid_size(3, 4, 5, 3)
    for index, level in enumerate(to_uint8(images[:, 0, 0, 0]).tolist()):
        top, left = 2 + index // 3 * 5, 2 + index % 3 * 6
        assert (grid[top:top + 3, left:left + 4] == level).all()
    assert (grid[7:10, 14:] == 7).all() and (grid[:2] == 7).all()


def test_cells_leave_gaps_and_zoom_repeats_pixels():
    images = torch.ones(3, 1, 2, 2)
    grid = image_grid(images, columns=2, padding=0, fill=0, cells=[0, 2, 3])
    assert grid[:, :, 0].tolist() == [[255, 255, 0, 0]] * 2 + [[255] * 4] * 2
    zoomed = image_grid(images, columns=2, padding=0, fill=0, cells=[0, 2, 3], zoom=3)
    assert (zoomed == grid.repeat(3, 0).repeat(3, 1)).all()
    with pytest.raises(ValueError, match="0 images"):
        image_grid(images[:0], columns=2)


CHANNELS = [(1, 1), (2, 3), (3, 3), (4, 3), (5, 3)]


@pytest.mark.parametrize(("channels", "shown"), CHANNELS)
def test_any_number_of_channels_makes_a_picture(channels, shown):
    assert image_grid(torch.zeros(2, channels, 4, 4), 2, padding=0).shape == (4, 8, shown)


def test_transparent_pixels_are_white():
    images = torch.full((1, 4, 1, 2), -1.0)
    images[0, 3, 0, 1] = 1.0  # opaque black beside transparent black
    assert image_grid(images, 1, padding=0)[0, :, 0].tolist() == [255, 0]


def test_preview_zoom_makes_small_pictures_large_enough_to_see():
    for side in (8, 34, 274, 511, 512, 700, 2000):
        zoom = preview_zoom(side, side // 2)
        assert side * zoom >= 512 and (zoom == 1 or side * zoom < 1024)


def test_png_round_trip(tmp_path):
    for channels in (1, 3):
        grid = image_grid(torch.rand(4, channels, 5, 6) * 2 - 1, 2)
        save_png(tmp_path / "new" / "a.png", grid)
        with Image.open(tmp_path / "new" / "a.png") as image:
            assert (np.asarray(image).reshape(grid.shape) == grid).all()
        with Image.open(io.BytesIO(quick_png(grid))) as image:
            assert (np.asarray(image).reshape(grid.shape) == grid).all()


def frames(count: int, height: int = 33, width: int = 48) -> list[np.ndarray]:
    return [np.full((height, width, 1), 20 * i, np.uint8) for i in range(count)]


def test_gif_holds_every_frame(tmp_path):
    for loop in (True, False):
        save_gif(tmp_path / "a.gif", frames(6), fps=10, loop=loop)
        with Image.open(tmp_path / "a.gif") as image:
            assert image.n_frames == 6 and image.info["duration"] == 100
            assert ("loop" in image.info) == loop
            for index, frame in enumerate(frames(6)):
                image.seek(index)
                assert (np.asarray(image.convert("L")) == frame[:, :, 0]).all()
    with pytest.raises(ValueError, match="frame"):
        save_gif(tmp_path / "b.gif", [])


def test_mp4_holds_every_frame_at_an_even_size(tmp_path):
    save_mp4(tmp_path / "a.mp4", frames(6), fps=12.5)
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].average_rate == 12.5
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert [frame.shape for frame in decoded] == [(32, 48, 3)] * 6
    for frame, original in zip(decoded, frames(6), strict=True):
        assert abs(int(frame.mean()) - int(original.mean())) <= 3


@pytest.mark.parametrize("coordinates", [1, 2, 3])
def test_scatter_draws_points_on_axes_that_do_not_move(coordinates):
    real = torch.randn(200, coordinates, generator=torch.Generator().manual_seed(0))
    limits = scatter_limits(real)
    assert all(low < real[:, i].min() and real[:, i].max() < high for i, (low, high) in enumerate(limits))
    pictures = [scatter(real + shift, real) for shift in (0.0, 0.5)]
    broken = torch.full((3, coordinates), float("nan"))
    pictures += [scatter(broken, real), scatter(broken)]
    assert {picture.shape for picture in pictures} == {(512, 512, 3)} and pictures[0].dtype == np.uint8
    assert (pictures[0][-20:] == pictures[1][-20:]).all()  # the axis with its numbers stands still
    assert (pictures[0] != pictures[1]).any() and (pictures[0] != pictures[2]).any()
