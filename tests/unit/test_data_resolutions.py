"""Images in two resolutions: which files belong together, what is cut out of them, and what srgan makes of them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from composing import compose_model
from data_composing import dataset_values, load
from PIL import Image

from gancli.data.dataset import open_source
from gancli.data.listing import Entry
from gancli.data.resolutions import factor_of, partners, scene
from gancli.errors import UsageError, UserError

SIZES = {"0001": (30, 26), "0002": (25, 40), "0003": (33, 33)}  # width, height of low resolution
FACTOR = 3


def entry(name):
    return Entry(name, Path(name), 0, 0)


def picture(size, start):
    width, height = size
    gray = np.add.outer(np.arange(height) * 7, np.arange(width) * 3 + start).astype(np.uint8)
    return gray[..., None] + np.uint8([0, 60, 120])


@pytest.fixture
def div2k(tmp_path):
    """A folder as DIV2K's, whose originals have a row more than their low resolution times the factor."""
    for number, (name, (width, height)) in enumerate(SIZES.items()):
        low = picture((width, height), 11 * number)
        high = low.repeat(FACTOR, 0).repeat(FACTOR, 1)
        high = np.concatenate((high, high[-1:]))
        for folder, pixels, ending in (("DIV2K_train_HR", high, ""), ("DIV2K_train_LR_bicubic/X3", low, "x3")):
            (tmp_path / "div" / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / "div" / folder / f"{name}{ending}.png")
    return tmp_path / "div"


PLACES = {"high": "DIV2K_train_HR", "low": "DIV2K_train_LR_bicubic/X3"}


@pytest.mark.parametrize("low, high", [("0001x4", "0001"), ("0801x2m", "0801x2m"), ("img_001_SRF_4_LR", "img_001_SRF_4_HR"),
                                       ("baby_LR", "baby_HR"), ("X4/baby", "HR/baby"), ("bird_LRBI_x2", "bird"),
                                       ("X4/box2x4", "box2")])
def test_files_of_one_scene(low, high):
    assert partners([entry(f"{low}.png")], [entry(f"{high}.png"), entry("other.png")]) == {
        entry(f"{low}.png"): entry(f"{high}.png")}


def test_names_alone_are_no_resolution():
    assert [scene(name) for name in ("HR", "x4", "hour", "a/LR", "mirror")] == ["HR", "x4", "hour", "a/LR", "mirror"]
    assert not partners([entry("bird.png")], [entry("baby.png")])
    with pytest.raises(UserError, match="may both be the original of 0001x4"):
        partners([entry("0001x4.png")], [entry("a/0001_HR.png"), entry("b/0001_HR.png")])
    assert len(partners([entry("0001x2.png"), entry("0001x4.png")], [entry("0001.png")])) == 2
    assert [factor_of((480, 321), (h, w)) for h, w in ((120, 80), (240, 160), (160, 107), (120, 79), (480, 321))] == [
        4, 2, 3, None, None]


def test_the_middle_of_both_is_cut_and_nothing_resized(div2k, tmp_path):
    data = load("resolutions", tmp_path, path=str(div2k), size=60, **PLACES)
    assert data.spec.shape == (3, 60, 60) and data.spec.count == 3 and data.spec.reduction == FACTOR and data.spec.paired
    high, repeated = data.domains(torch.arange(3))
    assert torch.equal(high, repeated), "the originals were made by repetition"
    low = picture(SIZES["0002"], 11)[(40 - 20) // 2:][:20, (25 - 20) // 2:][:, :20]
    given = ((repeated[1, :, ::3, ::3] + 1) * 127.5).round().to(torch.uint8)
    assert torch.equal(given, torch.from_numpy(low).permute(2, 0, 1))
    assert load("resolutions", tmp_path, path=str(div2k), **PLACES).spec.shape == (3, 78, 75), "the least of all sides"


def test_crops_keep_whole_pixels_of_the_low_resolution(div2k, tmp_path):
    data = load("resolutions", tmp_path, path=str(div2k), crops=24, flip=True, **PLACES)
    high, repeated = data.batch(0, 64).domains
    assert high.shape == (64, 3, 24, 24) and torch.equal(high, repeated)
    cells = repeated.unfold(2, 3, 3).unfold(3, 3, 3)
    assert torch.equal(cells, cells[..., :1, :1].expand_as(cells)), "no crop begins within a pixel"
    with pytest.raises(UserError, match="multiples of 3"):
        open_source(dataset_values("resolutions", path=str(div2k), crops=25, **PLACES), tmp_path).inspect()


def test_one_folder_of_both_and_a_file_of_another_size(tmp_path):
    for name, size in (("img_001_SRF_2_HR", (32, 24)), ("img_001_SRF_2_LR", (16, 12)), ("img_002_SRF_2_HR", (32, 24)),
                       ("img_002_SRF_2_LR", (16, 12)), ("img_003_SRF_2_HR", (40, 24)), ("alone_HR", (32, 24))):
        Image.fromarray(picture(size, 0)).save(tmp_path / f"{name}.png")
    data = load("resolutions", tmp_path / "cache", path=str(tmp_path))
    assert data.spec.count == 2 and data.spec.reduction == 2 and any("Left out 2" in note for note in data.notes)
    Image.fromarray(picture((15, 12), 0)).save(tmp_path / "img_003_SRF_2_LR.png")
    with pytest.raises(UserError, match="40x24 pixels is not 2 to 8 times"):
        load("resolutions", tmp_path / "cache", path=str(tmp_path))


@pytest.mark.parametrize("changes, told", [
    ({"high": "DIV2K_train_HR"}, "give both"), ({}, "not certain"),
    ({"high": "DIV2K_train_HR", "low": "none"}, "does not exist"),
    ({**PLACES, "size": 61}, "whole pixels"), ({**PLACES, "size": 90}, "never enlarged")])
def test_what_is_refused(changes, told, div2k, tmp_path):
    with pytest.raises((UserError, UsageError), match=told):
        open_source(dataset_values("resolutions", path=str(div2k), **changes), tmp_path).inspect()


def test_srgan_learns_from_what_is_given_and_from_nothing_of_another_factor(tmp_path):
    for name, size in (("a_HR", (32, 32)), ("a_LR", (16, 16))):
        Image.fromarray(255 - picture(size, 5)).save(tmp_path / f"{name}.png")
    data = load("resolutions", tmp_path / "cache", path=str(tmp_path))
    model = compose_model("srgan", spec=data.spec, factor=2)
    batch = data.first(2)
    x, made = model.prepare(batch)
    assert torch.equal(x, batch.domains[1][..., ::2, ::2]) and made.shape == batch.real.shape
    assert not torch.equal(x, model.reduce(batch.real))
    with pytest.raises(UserError, match="give model.factor=2"):
        compose_model("srgan", spec=data.spec, factor=4)
