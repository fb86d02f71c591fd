"""`gan upscale`: tiles, modes, and figures beside the originals."""

import csv

import numpy as np
import pytest
import torch
from data_composing import CONF, dataset_values
from omegaconf import OmegaConf
from PIL import Image
from small_runs import config_of, save_run

from gancli.data.spec import DataSpec
from gancli.errors import UsageError, UserError
from gancli.explore.planes import taken_apart
from gancli.explore.tiles import enlarged_by
from gancli.explore.upscale import upscale
from gancli.networks.srgan import SRResNet


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A launch directory with runs of a color and a gray model that enlarge twice, and of one that samples."""
    for name, model, channels in (("color", "srgan", 3), ("gray", "srgan", 1), ("dcgan", "dcgan", 1)):
        data = dataset_values("digits", size=8, channels=channels, holdout=0.1)
        changes = {"factor": 2} if model == "srgan" else {}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("small_runs.config_of", lambda *given, **more: config_of(*given, **more) | {"dataset": data})  # noqa: B023
            spec = DataSpec((channels, 8, 8), 9, tuple("0123456789"))
            save_run(tmp_path / "outputs/train" / f"run-{name}", model, spec=spec, **changes)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def pictures(here):
    """Pictures of several modes and sizes, one broken."""
    (here / "mine/deep").mkdir(parents=True)
    random = np.random.default_rng(0)
    for name, mode, size in (("one.png", "RGB", (30, 21)), ("deep/gray.png", "L", (50, 9)), ("alpha.png", "RGBA", (9, 9)),
                             ("both.png", "LA", (5, 6)), ("ink.jpg", "CMYK", (12, 40)), ("one.gif", "P", (8, 8)),
                             ("dot.png", "L", (1, 1))):
        values = random.integers(0, 256, (*size[::-1], 4), dtype=np.uint8)
        Image.fromarray(values).convert(mode).save(here / "mine" / name)
    (here / "mine/broken.png").write_bytes(b"\x89PNG no more")
    Image.new("RGB", (18, 18)).save(here / "elsewhere.png")
    return here / "mine"


def run(name, **changes):
    config = OmegaConf.load(CONF / "upscale.yaml")
    for key in ("defaults", "hydra"):
        del config[key]
    return upscale(OmegaConf.merge(config, {"device": "cpu", "ckpt": f"run-{name}"}, changes))


@pytest.mark.parametrize("size, tile, batch", [((50, 37), 8, 3), ((23, 64), 16, 1), ((9, 9), 8, 2)])
def test_tiles_are_what_the_whole_picture_gives(size, tile, batch):
    torch.manual_seed(0)
    net = SRResNet(3, 4, 1, 2, "batch").eval().requires_grad_(False)
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    sizes = []

    def make(x):
        sizes.append(x.shape[2:])
        return net(x)
    whole = enlarged_by(make, picture, 2, net.reach, None)
    tiled = enlarged_by(make, picture, 2, net.reach, tile, batch)
    assert whole.shape == (2 * size[0], 2 * size[1], 3)
    assert np.abs(whole.astype(int) - tiled).max() <= 1 and (whole != tiled).mean() < 1e-3
    assert max(max(each) for each in sizes[1:]) <= tile + 2 * net.reach and len(set(sizes[1:])) == 1
    if min(size) > tile + 2 * net.reach:
        short = enlarged_by(make, picture, 2, 1, tile, batch)
        assert (whole != short).mean() > 0.01, "without the reach, tiles show"


@pytest.mark.parametrize("name", ["color", "gray"])
def test_every_mode_stays_what_it_is(name, pictures):
    report = run(name, input="mine", out="large")
    sizes = {path.relative_to("large").as_posix(): (Image.open(path).mode, Image.open(path).size)
             for path in sorted(report.files[0].rglob("*.png"))}
    assert sizes == {"one.png": ("RGB", (16, 16)), "one-2.png": ("RGB", (60, 42)), "deep/gray.png": ("L", (100, 18)),
                     "alpha.png": ("RGBA", (18, 18)), "both.png": ("LA", (10, 12)), "ink.png": ("RGB", (24, 80)),
                     "dot.png": ("L", (2, 2))}
    assert report.count == 7 and not report.figures and len(report.files) == 1 and "broken.png" in report.notes[0]
    assert ("luminance" in report.notes[-1]) == (name == "gray")


def test_opacity_and_colors_that_the_network_does_not_take_are_bicubic():
    random = np.random.default_rng(0)
    image = Image.fromarray(random.integers(0, 256, (6, 8, 4), dtype=np.uint8), "RGBA")
    planes = taken_apart(image, 3)
    assert planes.seen.shape == (6, 8, 3)
    joined = planes.joined(planes.seen.repeat(2, 0).repeat(2, 1))
    assert np.array_equal(np.asarray(joined)[..., :3], planes.seen.repeat(2, 0).repeat(2, 1))
    expected = image.getchannel("A").resize((16, 12), Image.Resampling.BICUBIC)
    assert np.array_equal(np.asarray(joined.getchannel("A")), np.asarray(expected))
    gray = taken_apart(image.convert("RGB"), 1)
    same = gray.joined(gray.seen.repeat(1, 0))
    assert np.abs(np.asarray(same).astype(int) - np.asarray(image.convert("RGB"))).max() <= 3, "the rest of YCbCr came back"
    assert taken_apart(image.convert("L"), 3).joined(np.zeros((12, 16, 3), np.uint8)).mode == "L"
    assert taken_apart(image.convert("L"), 4).seen.shape == (6, 8, 4)


def test_originals_alone_are_reduced_first_and_compared(pictures):
    report = run("color", originals="mine", out="large")
    assert report.count == 6 and "dot.png" in report.notes[0], "one pixel cannot be halved"
    rows = list(csv.DictReader((report.files[1]).open()))
    assert [row["image"] for row in rows][-1] == "mean" and len(rows) == 7
    assert float(rows[-1]["psnr"]) == pytest.approx(report.mean()[0], abs=1e-3)
    low = Image.open("mine/one.png").crop((0, 0, 30, 20)).resize((15, 10), Image.Resampling.BICUBIC)
    low.save("low.png")
    again = run("color", input="low.png", originals="mine/one.png", out="one.png")
    assert again.figures["low"] == pytest.approx(report.figures["one-2"]) and again.files == [again.files[0]]
    assert Image.open("one.png").size == (30, 20)
    y = [np.asarray(image.convert("RGB")).astype(float) @ [65.481, 128.553, 24.966] / 255 + 16
         for image in (low.resize((30, 20), Image.Resampling.BICUBIC), Image.open("mine/one.png").crop((0, 0, 30, 20)))]
    error = ((y[0] - y[1])[2:-2, 2:-2] ** 2).mean()
    assert again.figures["low"][2] == pytest.approx(10 * np.log10(255**2 / error), abs=1e-9)


def test_held_out_images_without_input(here):
    report = run("gray", n=3, tile=None)
    assert report.count == 3 and sorted(report.figures) == ["000000", "000001", "000002"]
    assert report.files[0].parts[-2:] == ("upscale", "run-gray-kimg-000002")


@pytest.mark.parametrize("name, changes, told", [
    ("dcgan", {"input": "mine"}, "dcgan cannot enlarge images; srgan can"), ("color", {"input": "nowhere"}, "input=nowhere"),
    ("color", {"originals": "nowhere"}, "originals=nowhere"), ("color", {"input": "mine", "tile": 3}, "tile must be"),
    ("color", {"input": "mine", "out": "x.jpg"}, "end it in .png"), ("color", {"input": "mine", "out": "x.png"}, "holds one"),
    ("color", {"input": "mine/broken.png"}, "Nothing can be enlarged"), ("color", {"input": 3}, "no path"),
    ("color", {"input": "mine", "dataset": {"split": "train"}}, "give one of them"),
    ("color", {"input": "mine", "originals": "elsewhere.png"}, "holds no file named as")])
def test_what_is_refused_leaves_nothing(name, changes, told, pictures):
    before = set(pictures.parent.rglob("*"))
    with pytest.raises((UserError, UsageError), match=told):
        run(name, **changes)
    assert set(pictures.parent.rglob("*")) == before


def test_an_original_of_another_size_is_named(pictures):
    report = run("color", input=["mine/one.png", "mine/alpha.png"], originals=["mine/alpha.png"], out="large")
    assert report.count == 2 and not report.figures
    assert "one.png (no original of its name)" in report.notes[0] and "9x9 and not 18x18" in report.notes[0]


def test_originals_are_found_by_the_names_that_such_sets_have(here):
    random = np.random.default_rng(0)
    for folder, names, size in (("low/X2", ["0801x2", "0802x2"], (9, 8)), ("high", ["0801", "0803"], (19, 17))):
        (here / folder).mkdir(parents=True)
        for name in names:
            Image.fromarray(random.integers(0, 256, (*size[::-1], 3), dtype=np.uint8)).save(here / folder / f"{name}.png")
    report = run("color", input="low", originals="high", out="large")
    assert report.count == 2 and sorted(report.figures) == ["X2/0801x2"]
    assert "0802x2.png (no original of its name)" in " ".join(report.notes)
