"""`gan arithmetic` from a composed configuration to files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from data_composing import dataset_values, save_images
from omegaconf import OmegaConf
from PIL import Image
from small_runs import save_run

from gancli.config.paths import quote_paths
from gancli.data.spec import DataSpec
from gancli.errors import UserError
from gancli.explore.arithmetic import ArithmeticOptions, arithmetic, around, result
from gancli.explore.groups import members, read_group
from gancli.explore.loaded import load
from gancli.monitor.grids import to_pictures
from gancli.options import typed
from gancli.runs.checkpoint import CheckpointFolder, read

CONF = Path(__file__).parents[2] / "conf"
RUNS = {"dcgan": {}, "cgan": {"backbone": "conv"}, "bigan": {}, "gan": {}, "autoencoder": {}}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    root = tmp_path_factory.mktemp("workplace")
    for name, changes in RUNS.items():
        save_run(root / "outputs/train" / f"20260101T000000Z-aaaaaa-{name}-digits", name,
                 spec=DataSpec((2,), 9) if name == "gan" else None, **changes)
    return root


@pytest.fixture
def here(workplace, tmp_path, monkeypatch):
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs/train").symlink_to(workplace / "outputs/train")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def values(**changes):
    config = OmegaConf.load(CONF / "arithmetic.yaml")
    for key in ("defaults", "hydra"):
        del config[key]
    return OmegaConf.merge(config, {"device": "cpu", "plus": [1, 2], "minus": [3], "to": 4}, changes)


def run(**changes) -> Path:
    (path,) = arithmetic(values(**changes))
    return path


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_conf_and_schema_have_the_same_keys():
    config = values(ckpt="x")
    assert set(config) == set(ArithmeticOptions.__dataclass_fields__) and typed(ArithmeticOptions, config, "").noise == 0.25


def test_sums_by_hand():
    means = torch.tensor([[1.0, 2], [3, 4], [5, 6]], dtype=torch.float64)
    assert result(means, 1.0).tolist() == [3, 4] and result(means, -0.5).tolist() == [6, 7]
    near = around(torch.zeros(100), 0.25, seed=3)
    assert near.shape == (9, 100) and not near[0].any() and 0.2 < near[1:].abs().max() <= 0.25
    again, other = (around(torch.zeros(100), 0.25, seed) for seed in (3, 4))
    assert torch.equal(near, again) and not torch.equal(near, other)


def test_the_figure_shows_groups_means_and_the_result(here):
    loaded = load("dcgan")
    path = run(ckpt="dcgan", zoom=1)
    assert path == Path("outputs/arithmetic/20260101T000000Z-aaaaaa-dcgan-digits-kimg-000002.png")
    grid, side = pixels(path), 16
    assert grid.shape == (4 * 18 + 2, 9 * 18 + 2)

    def cell(row, column):
        top, left = 2 + 18 * row, 2 + 18 * column
        return grid[top:top + side, left:left + side]

    def image(z):
        return to_pictures(loaded.generate(z))[0, :, :, 0]

    z = {seed: loaded.latents(1, seed) for seed in (1, 2, 3, 4)}
    plus = (z[1] + z[2]) / 2
    for place, latent in {(0, 0): z[1], (1, 0): z[2], (3, 0): plus, (0, 2): z[3], (3, 2): z[3], (0, 4): z[4], (3, 4): z[4],
                          (2, 7): z[4] + plus - z[3]}.items():
        assert np.abs(cell(*place).astype(int) - image(latent)).max() <= 1, place
    assert (cell(2, 0) == 255).all() and set(np.unique(cell(3, 1))) == {0, 255}  # nothing, and a sign
    assert np.abs(cell(1, 6).astype(int) - cell(2, 7)).max() > 1


def test_folders_are_encoded_and_broken_files_named(here, tmp_path, capsys):
    save_images(tmp_path / "in", [f"{number}.png" for number in range(3)], size=(20, 30), mode="L")
    (tmp_path / "in/broken.png").write_bytes(b"none")
    loaded = load("bigan")
    loaded.config["dataset"] = dataset_values("digits")
    found = members(read_group("plus", "in", loaded), loaded, None, 2)
    assert found.images.shape == (3, 1, 16, 16) and found.skipped == ["broken.png (not an image)"]
    assert torch.allclose(found.mean, loaded.encode(found.images).mean(0), atol=1e-6)


def test_folders_on_the_command_line(here, tmp_path):
    save_run(tmp_path / "mine", "bigan")
    checkpoint = read(CheckpointFolder(tmp_path / "mine").latest())
    config = {**checkpoint.config, "dataset": dataset_values("digits")}
    CheckpointFolder(tmp_path / "mine").save(3000, checkpoint.tensors, {
        "config": config, "spec": checkpoint.spec, "progress": checkpoint.progress})
    save_images(tmp_path / "in", ["1.png", "2.png"])
    assert len(list(run(ckpt=str(tmp_path / "mine"), plus="in", minus=[2], out="all").iterdir())) == 12
    assert quote_paths(["plus=a b=c", "minus=[1,2]", "to=3"], False) == [f"plus='{here}/a b=c'", "minus=[1,2]", "to=3"]


def test_labels_and_strength(here):
    loaded = load("cgan")
    path = run(ckpt="cgan", label="two", strength=0.0, noise=0.0, out="out")
    images = [pixels(path / f"{number:06d}-{name}.png") for number, name in enumerate(
        ("mean_plus", "mean_minus", "mean_to", "result", *["around"] * 8))]
    assert all(np.array_equal(images[2], each) for each in images[3:])  # nothing is added
    assert np.array_equal(images[2], to_pictures(loaded.sample(1, 4, label=2))[0, :, :, 0])


WRONG = [
    ({"ckpt": "dcgan", "plus": None}, "plus= names no latents: give seeds"),
    ({"ckpt": "bigan", "minus": []}, "or a folder of images, minus=FOLDER"),
    ({"ckpt": "dcgan", "to": [1, -1]}, "holds -1, which is no seed"),
    ({"ckpt": "dcgan", "to": [True]}, "holds True, which is no seed"),
    ({"ckpt": "dcgan", "plus": "smiling"}, "dcgan cannot encode images; .*bigan"),
    ({"ckpt": "bigan", "plus": "smiling"}, "plus=smiling is no folder"),
    ({"ckpt": "bigan", "plus": "outputs"}, "holds no images"),
    ({"ckpt": "autoencoder"}, "autoencoder cannot sample"),
    ({"ckpt": "gan"}, "this model makes points"),
    ({"ckpt": "cgan", "label": [0, 1]}, "label= names 2 classes"),
    ({"ckpt": "dcgan", "label": 1}, "takes labels"),
    ({"ckpt": "dcgan", "noise": -1}, "noise must be at least 0"),
    ({"ckpt": "dcgan", "strength": float("nan")}, "strength must be a finite number"),
    ({"ckpt": "dcgan", "out": "a.gif"}, "does not write"),
]


@pytest.mark.parametrize(("changes", "words"), WRONG)
def test_what_is_wrong_is_refused_and_nothing_created(here, changes, words):
    with pytest.raises(UserError, match=words):
        run(**changes)
    assert {path.name for path in here.rglob("*")} == {"outputs", "train"}
