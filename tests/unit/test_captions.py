"""Words around grids: the picture itself is untouched, names stand beside their rows, and the last frame of a film is held."""

import numpy as np
import pytest
from PIL import Image

from gancli.monitor.captions import LEAST, captioned
from gancli.monitor.grids import save_gif


def grid(height: int, width: int, channels: int = 1) -> np.ndarray:
    return np.full((height, width, channels), 100, np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_picture_is_untouched_and_words_stand_around_it(channels):
    picture = grid(400, 512, channels)
    framed = captioned(picture, "200 kimg: samples", ["cat", "dog"], 4)
    top, left = framed.shape[0] - 400, framed.shape[1] - 512
    assert top >= 2 * LEAST and left > 2 * LEAST and framed.shape[2] == channels
    assert (framed[top:, left:] == 100).all()
    beside = framed[top:, :left, 0] < 128
    halves = beside[:200].any(1), beside[200:].any(1)
    assert all(half.any() for half in halves), "a name stands in the middle of each of two rows"
    assert abs(int(np.flatnonzero(halves[0]).mean()) - 100) < 15
    assert (framed[:top] < 128).any(), "and the heading above"


def test_letters_grow_with_the_picture():
    """A share of the picture, so that a projector that shows all of it shows them as large."""
    shares = [(captioned(grid(side, side), "x").shape[0] - side) / side for side in (512, 1000)]
    assert all(0.06 < share < 0.09 for share in shares)


def test_long_names_and_control_characters_stay_within_bounds():
    framed = captioned(grid(512, 512), "a\x1b" * 400, ["name " * 100, "b"], 2)
    assert framed.shape[1] < 512 * 1.6 and framed.shape[0] < 512 * 1.2


def test_the_last_frame_of_a_film_is_held(tmp_path):
    save_gif(tmp_path / "film.gif", [np.full((8, 8, 1), value, np.uint8) for value in (0, 100, 200)], fps=8, hold=3)
    with Image.open(tmp_path / "film.gif") as film:
        times = []
        for number in range(film.n_frames):
            film.seek(number)
            times.append(film.info["duration"])
    assert times == [120, 120, 3000]
