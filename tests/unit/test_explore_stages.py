"""`gan sample` of models whose images come about in stages, or have any size: files, blocks, tiles, refusals."""

from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from small_runs import save_run

from gancli.data.spec import DataSpec
from gancli.errors import UsageError, UserError
from gancli.explore.loaded import load
from gancli.explore.sample import sample
from gancli.game.abilities import models_able

CONF = Path(__file__).parents[2] / "conf"


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    root = tmp_path_factory.mktemp("workplace") / "outputs/train"
    save_run(root / "20260101T000000Z-aaaaaa-lapgan-digits", "lapgan", spec=DataSpec((3, 16, 16), 9))
    save_run(root / "20260102T000000Z-bbbbbb-gran-digits", "gran", steps=3)
    save_run(root / "20260103T000000Z-cccccc-spatialgan-folder", "spatialgan", layers=2, spec=DataSpec((3, 16, 20), 9))
    save_run(root / "20260104T000000Z-dddddd-lapgan-folder", "lapgan", conditional=True)
    save_run(root / "20260105T000000Z-eeeeef-dcgan-digits", "dcgan")
    return root.parent


@pytest.fixture
def here(workplace, tmp_path, monkeypatch):
    (tmp_path / "outputs").symlink_to(workplace)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_sample(**changes) -> Path:
    config = OmegaConf.load(CONF / "sample.yaml")
    for key in ("defaults", "hydra"):
        del config[key]
    (path,) = sample(OmegaConf.merge(config, changes))
    return path


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_stages_end_in_the_image_and_do_not_depend_on_the_batch(here):
    for run, names in (("aaaaaa", ["4x4", "8x8", "16x16"]), ("bbbbbb", ["step 1", "step 2", "step 3"])):
        loaded = load(run)
        stages = loaded.stages(5, seed=2)
        assert loaded.stage_names() == names and stages.shape[:2] == (5, 3) and stages.abs().max() <= 1
        assert torch.equal(stages[:, -1], loaded.sample(5, seed=2)) and not torch.equal(stages[:, 0], stages[:, 1])
        assert torch.allclose(loaded.stages(3, seed=2, batch_size=2), stages[:3], atol=1e-5)
    levels = load("aaaaaa").stages(2)
    assert torch.equal(levels[:, 0], levels[:, 0, :, ::4, ::4].repeat_interleave(4, 2).repeat_interleave(4, 3))


def test_stages_as_a_grid_a_film_files_and_arrays(here):
    grid = pixels(run_sample(ckpt="aaaaaa", stages=True, n=4, columns=6, zoom=1, out="a.png"))
    assert grid.shape == (2 * 18 + 2, 6 * 18 + 2, 3)  # two images a row, three stages each
    with Image.open(run_sample(ckpt="bbbbbb", stages=True, n=4, zoom=1, fps=4, out="a.gif")) as film:
        assert film.n_frames == 3 and film.size == (2 * 18 + 2, 2 * 18 + 2) and film.info["duration"] == 250
    folder = run_sample(ckpt="bbbbbb", stages=True, n=2, batch_size=1, out="files")
    assert sorted(path.name for path in folder.iterdir()) == [
        f"00000{i}-{s}_step_{s}.png" for i in range(2) for s in (1, 2, 3)]
    with np.load(run_sample(ckpt="aaaaaa", stages=True, n=3, batch_size=2, out="a.npz")) as arrays:
        assert arrays["stages"].shape == (3, 3, 16, 16, 3) and arrays["names"].tolist() == ["4x4", "8x8", "16x16"]
    assert (pixels(folder / "000001-3_step_3.png") == pixels(run_sample(ckpt="bbbbbb", n=2, out="b") / "000001.png")).all()


def test_stages_of_a_class(here):
    with np.load(run_sample(ckpt="dddddd", stages=True, n=4, label=["two", 0], out="a.npz")) as arrays:
        assert arrays["labels"].tolist() == [2, 2, 0, 0]
    loaded = load("dddddd")
    assert not torch.allclose(loaded.stages(1, label=0), loaded.stages(1, label=1), atol=1e-4)


def whole(loaded, size, seed=0, number=0):
    """Return a texture made of its whole map at once, [C, H, W] uint8."""
    from gancli.explore.loaded import MAP_STREAM
    from gancli.monitor.grids import to_uint8
    from gancli.seeds import mix

    noise = loaded.model.draw_map(size, torch.Generator().manual_seed(mix(MAP_STREAM, seed, number)))
    with torch.no_grad():
        return to_uint8(loaded.model.generator(noise[None])[0, :, :size[0], :size[1]])


@pytest.mark.parametrize("block", [4, 8, 256])
@pytest.mark.parametrize("size", [(1, 1), (16, 20), (37, 50)], ids=str)
def test_blocks_are_parts_of_the_whole(here, monkeypatch, block, size):
    monkeypatch.setattr("gancli.models.spatialgan.BLOCK", block)
    loaded = load("cccccc")
    made, expected = loaded.paint(0, size), whole(loaded, size)
    assert made.shape == (3, *size) and (made.int() - expected.int()).abs().max() <= 1  # up to rounding
    assert made.float().std() > 5 or size == (1, 1)
    assert size == (1, 1) or not torch.equal(loaded.paint(1, size), made)


@pytest.mark.parametrize("block", [4, 256])
@pytest.mark.parametrize("size", [(4, 4), (12, 20), (24, 8)], ids=str)
def test_tiles_go_on_at_their_opposite_sides(here, monkeypatch, block, size):
    monkeypatch.setattr("gancli.models.spatialgan.BLOCK", block)
    loaded = load("cccccc")
    noise = loaded.model.draw_map(size, torch.Generator().manual_seed(0), tile=True)
    assert noise.shape[1:] == (size[0] // 4, size[1] // 4)
    made = torch.zeros(3, *size)
    with torch.no_grad():
        for top, left, part in loaded.model.paint(noise, size, tile=True):
            made[:, top:top + part.shape[1], left:left + part.shape[2]] = part
        field = loaded.model.generator(noise.repeat(1, 5, 5)[None])[0]  # the same noise again and again
    middle = field[:, 2 * size[0]:3 * size[0], 2 * size[1]:3 * size[1]] if min(size) > 4 else field[:, 8:12, 8:12]
    assert torch.allclose(made, middle, atol=1e-5)


def test_textures_as_files(here):
    path = run_sample(ckpt="cccccc", n=1, size=[50, 33], out="a.png")
    assert pixels(path).shape == (50, 33, 3)
    assert (pixels(path) == load("cccccc").paint(0, (50, 33)).permute(1, 2, 0).numpy()).all()
    default = run_sample(ckpt="cccccc", n=1, tile=True)
    assert default.name.endswith("seed0-16x20-tile.png") and pixels(default).shape == (16, 20, 3)
    assert pixels(run_sample(ckpt="cccccc", n=4, size=24, out="b.png")).shape == (2 * 26 + 2, 2 * 26 + 2, 3)
    folder = run_sample(ckpt="cccccc", n=2, size=24, tile=True, out="files")
    assert [pixels(file).shape for file in sorted(folder.iterdir())] == [(24, 24, 3)] * 2
    with np.load(run_sample(ckpt="cccccc", n=2, size=24, out="a.npz")) as arrays:
        assert arrays["images"].shape == (2, 24, 24, 3) and arrays["images"].dtype == np.uint8


def test_memory_does_not_grow_with_the_size(here, monkeypatch):
    monkeypatch.setattr("gancli.models.spatialgan.BLOCK", 32)
    loaded, seen = load("cccccc"), []
    loaded.model.generator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].numel()))
    loaded.paint(0, (64, 64))
    small = max(seen)
    loaded.paint(0, (300, 200), tile=True)
    assert max(seen) <= small * 2 and len(seen) > 60


@pytest.mark.parametrize(("changes", "said"), [
    ({"ckpt": "eeeeef", "stages": True}, "cannot show how an image comes about; .*gran.*lapgan.* can"),
    ({"ckpt": "eeeeef", "size": 64}, "cannot make images of another size than it was trained on; spatialgan can"),
    ({"ckpt": "cccccc", "stages": True, "size": 64}, "leave size= and tile= out"),
    ({"ckpt": "cccccc", "tile": True, "size": 50}, "multiples of 4 pixels, and 50 is none: give 48 or 52"),
    ({"ckpt": "cccccc", "tile": True, "size": 2}, "give 4"),
    ({"ckpt": "cccccc", "size": 0}, "sides from 1 to 65,536"),
    ({"ckpt": "cccccc", "size": "big"}, "size must be a number of pixels or"),
    ({"ckpt": "cccccc", "size": [8, 8, 8]}, "size must be a number of pixels or"),
    ({"ckpt": "cccccc", "size": 64, "label": 1}, "takes neither labels nor codes"),
    ({"ckpt": "cccccc", "size": 65536, "n": 1}, "GiB of memory .* smaller size"),
    ({"ckpt": "cccccc", "size": 20000, "n": 2, "out": "a.png"}, "million pixels|GiB"),
    ({"ckpt": "aaaaaa", "n": 10**6, "stages": True}, "grid of 3,000,000 images|GiB"),
    ({"ckpt": "aaaaaa", "n": 10**6, "stages": True, "out": "a.mp4"}, "GiB|sides are at most"),
    ({"ckpt": "aaaaaa", "out": "a.gif"}, "which this command does not write"),
    ({"ckpt": "bbbbbb", "stages": True, "fps": 0}, "fps must be"),
])
def test_what_cannot_be_made_is_refused(here, monkeypatch, changes, said):
    monkeypatch.setattr("gancli.explore.room.free_bytes", lambda: 8 << 30)
    with pytest.raises((UserError, UsageError), match=said):
        run_sample(**changes)
    assert [path.name for path in here.iterdir()] == ["outputs"]


def test_models_say_what_they_can():
    assert {"gran", "lapgan"} <= set(models_able("stages")) and models_able("sizes") == ["spatialgan"]
