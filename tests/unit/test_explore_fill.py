"""`gan inpaint` and `gan blend`, from a composed configuration to files."""

import shutil

import numpy as np
import pytest
import torch
from data_composing import CONF, dataset_values
from omegaconf import OmegaConf
from PIL import Image
from small_runs import config_of, save_run

from gancli.data.spec import DataSpec
from gancli.errors import UsageError, UserError
from gancli.explore.blend import blend
from gancli.explore.inpaint import inpaint
from gancli.explore.loaded import load
from gancli.game.abilities import measurable, models_able, next_command
from gancli.registry import models

RUNS = {"middle": ("context_encoder", {}), "blobs": ("context_encoder", {"mask": "random"}), "blend": ("gpgan", {}),
        "dcgan": ("dcgan", {})}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with runs, pictures of several modes and sizes, a broken one, masks, and a pair to blend."""
    tmp_path = tmp_path_factory.mktemp("fill")
    data = dataset_values("digits", size=8, holdout=0.1)
    for run, (name, changes) in RUNS.items():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("small_runs.config_of", lambda *given, **more: config_of(*given, **more) | {"dataset": data})  # noqa: B023
            save_run(tmp_path / "outputs/train" / f"run-{run}", name, spec=DataSpec((1, 8, 8), 9), **changes)
    random = np.random.default_rng(0)
    (tmp_path / "mine/deep").mkdir(parents=True)
    for name, mode, size in (("one.png", "RGB", (30, 20)), ("one.gif", "P", (8, 8)), ("deep/gray.png", "L", (16, 16)),
                             ("alpha.png", "RGBA", (9, 9))):
        Image.fromarray(random.integers(0, 256, (*size[::-1], 4), dtype=np.uint8)).convert(mode).save(tmp_path / "mine" / name)
    (tmp_path / "mine/broken.png").write_bytes(b"\x89PNG no more")
    for name, size, box in (("mask.png", (16, 16), (4, 6, 12, 10)), ("none.png", (16, 16), (0, 0, 0, 0)),
                            ("part.png", (50, 37), (12, 9, 40, 30)), ("black.png", (50, 37), (0, 0, 0, 0))):
        image = Image.new("L", size)
        image.paste(255, box)
        image.save(tmp_path / name)
        image.point(lambda gray: gray // 255).save(tmp_path / f"01-{name}")  # of grays 0 and 1, as some programs write masks
    Image.linear_gradient("L").resize((50, 37)).convert("RGB").save(tmp_path / "source.png")
    Image.linear_gradient("L").rotate(90).resize((50, 37)).convert("RGB").save(tmp_path / "target.jpg")
    return tmp_path


@pytest.fixture
def here(made, tmp_path, monkeypatch):
    """A launch directory with all of that."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(command, name, **changes):
    config = OmegaConf.load(CONF / f"{command.__name__}.yaml")
    for key in ("defaults", "hydra"):
        del config[key]
    return command(OmegaConf.merge(config, {"device": "cpu", "ckpt": f"run-{name}"}, changes))


def pixels(path):
    return np.asarray(Image.open(path)).astype(int)


def test_a_folder_of_any_images_is_the_same_outside_of_a_files_hole(here):
    report = run(inpaint, "blobs", input="mine", mask="mask.png", out="new", batch_size=2)
    files = sorted(str(path.relative_to("new")) for path in report.files[0].rglob("*.png"))
    assert files == ["alpha.png", "deep/gray.png", "one-2.png", "one.png"] and report.count == 4
    assert len(report.notes) == 1 and "broken.png" in report.notes[0]
    before = np.asarray(Image.open("mine/deep/gray.png").resize((8, 8), Image.Resampling.BICUBIC)).astype(int)
    changed = pixels("new/deep/gray.png") != before
    hole = np.zeros((8, 8), bool)
    hole[3:5, 2:6] = True  # x 4 to 12 and y 6 to 10 of 16
    assert not changed[~hole].any() and changed[hole].mean() > 0.9
    with pytest.raises(UserError, match="not empty"):
        run(inpaint, "blobs", input="mine", out="new")


@pytest.mark.parametrize("mask, hole", [([2, 3, 3, 2], (slice(3, 5), slice(2, 5))), ("center", (slice(2, 6), slice(2, 6)))])
def test_a_grid_of_held_out_images_holes_and_fillings(here, mask, hole):
    report = run(inpaint, "middle", mask=mask, n=3, columns=2, zoom=1, out="grid.png")
    assert report.count == 3
    image, empty, filled = (pixels("grid.png")[top:top + 8, 2:10] for top in (2, 12, 22))
    mask = np.zeros((8, 8), bool)
    mask[hole] = True
    assert (empty[mask] == 128).all() and (filled != image)[mask].any()
    assert np.array_equal(image[~mask], filled[~mask]) and np.array_equal(image[~mask], empty[~mask])


def test_random_holes_depend_on_seed_and_number_alone(here):
    assert run(inpaint, "blobs", out="a", n=5).count == run(inpaint, "blobs", out="b", n=5, batch_size=2).count == 5
    assert run(inpaint, "blobs", out="c", n=5, mask="random").count == run(inpaint, "blobs", out="d", n=5, seed=1).count == 5
    names = sorted(path.name for path in (here / "a").iterdir())
    assert len(names) == 5 and all(len(name) == len("000000.png") for name in names)
    assert all(np.abs(pixels(f"a/{name}") - pixels(f"{other}/{name}")).max() <= 1 for name in names for other in "bc")
    assert any((pixels(f"a/{name}") != pixels(f"d/{name}")).any() for name in names)


@pytest.mark.parametrize("name, changes, told", [
    ("dcgan", {}, "dcgan cannot fill holes in images; context_encoder can"),
    ("middle", {"mask": "random"}, "within .2,2,4,4."),
    ("middle", {"mask": [0, 0, 3, 3]}, "mask=center"), ("blobs", {"mask": [6, 6, 3, 3]}, "does not lie within"),
    ("blobs", {"mask": [1, 2, 3]}, "is no mask"), ("blobs", {"mask": 7}, "is no mask"),
    ("blobs", {"mask": [0, 0, 1.5, 2]}, "is no mask"),
    ("blobs", {"mask": "nowhere.png"}, "nowhere.png"), ("blobs", {"mask": "none.png"}, "has no hole"),
    ("blobs", {"mask": "mine/broken.png"}, "cannot be used"), ("blobs", {"out": "x.gif"}, "end it in .png"),
    ("blobs", {"input": "mine/broken.png"}, "could be decoded"), ("blobs", {"seed": -1}, "seed must be")])
def test_what_inpaint_refuses_leaves_nothing(name, changes, told, here):
    before = set(here.rglob("*"))
    with pytest.raises((UserError, UsageError), match=told):
        run(inpaint, name, **changes)
    assert set(here.rglob("*")) == before


PAIR = {"source": "source.png", "target": "target.jpg", "mask": "part.png"}


def test_a_blend_has_the_pictures_size_and_less_of_a_seam(here):
    report = run(blend, "blend", **PAIR, out="steps")
    assert [path.name for path in report.files] == ["blend.png", "copy-paste.png", "small-copy-paste.png", "small-blend.png"]
    assert Image.open("steps/blend.png").size == (50, 37) and Image.open("steps/small-blend.png").size == (8, 8)
    assert report.size == (37, 50) and report.seam_blended < report.seam_pasted / 4 and report.seam_target < 0.01
    again = run(blend, "blend", **{**PAIR, "mask": "01-part.png"}, out="again")
    assert again.seam_blended == report.seam_blended and np.array_equal(pixels("again/blend.png"), pixels("steps/blend.png"))
    report = run(blend, "blend", **PAIR, out="one.png", beta=0.5)
    assert report.files[0].name == "one.png" and (pixels("one.png") != pixels("steps/blend.png")).any()
    with pytest.raises(UserError, match="exists"):
        run(blend, "blend", **PAIR, out="one.png")
    loaded = load("run-blend")
    small, wanted = (torch.from_numpy(pixels(f"steps/small-{name}.png")) for name in ("copy-paste", "blend"))
    assert ((loaded.blend((small / 127.5 - 1).float()[None, None])[0, 0] + 1) * 127.5 - wanted).abs().max() < 3


@pytest.mark.parametrize("name, changes, told", [
    ("dcgan", {}, "dcgan cannot blend a part of one image into another; gpgan can"),
    ("blend", {"source": "mine/one.png"}, "30x20"),
    ("blend", {"mask": "mask.png"}, "mask= has 16x16"), ("blend", {"mask": None}, "mask has no value"),
    ("blend", {"target": "mine"}, "target=mine"), ("blend", {"target": "mine/broken.png"}, "cannot be used"),
    ("blend", {"mask": "black.png"}, "shows nothing"), ("blend", {"beta": 0}, "beta must be"),
    ("blend", {"out": "x.npz"}, "in .png")])
def test_what_blend_refuses_leaves_nothing(name, changes, told, here):
    before = set(here.rglob("*"))
    with pytest.raises((UserError, UsageError), match=told):
        run(blend, name, **{**PAIR, **changes})
    assert set(here.rglob("*")) == before


def test_who_can():
    builds = {name: models.get(name).build for name in ("context_encoder", "gpgan")}
    assert models_able("inpaint") == ["context_encoder"] and models_able("blend") == ["gpgan"]
    assert [next_command(build) for build in builds.values()] == ["inpaint", "blend"]
    assert [measurable(build) for build in builds.values()] == [True, False]
