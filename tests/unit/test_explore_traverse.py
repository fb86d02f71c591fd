"""`gan traverse` from a composed configuration to files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from small_runs import save_run

from gancli.data.spec import DataSpec
from gancli.errors import UserError
from gancli.explore.factors import Factor, Moves, read_labels, read_values
from gancli.explore.labels import in_order
from gancli.explore.loaded import load
from gancli.explore.traverse import TraverseOptions, traverse
from gancli.monitor.grids import image_grid
from gancli.options import typed

CONF = Path(__file__).parents[2] / "conf"
RUNS = {"dcgan": {}, "infogan": {}, "cgan": {"backbone": "conv"}, "vae": {}, "gan": {}, "cyclegan": {}, "caae": {}}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    root = tmp_path_factory.mktemp("workplace")
    for name, changes in RUNS.items():
        save_run(root / "outputs/train" / f"20260101T000000Z-aaaaaa-{name}-digits", name, images=12_345,
                 spec=DataSpec((2,), 9) if name == "gan" else None, **changes)
    return root


@pytest.fixture
def here(workplace, tmp_path, monkeypatch):
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs/train").symlink_to(workplace / "outputs/train")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def values(**changes):
    config = OmegaConf.load(CONF / "traverse.yaml")
    for key in ("defaults", "hydra"):
        del config[key]
    return OmegaConf.merge(config, {"device": "cpu"}, changes)


def run(**changes) -> Path:
    (path,) = traverse(values(**changes)).files
    return path


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def rows_of(moved, values, seeds, weights=None):
    """Return the grid's images of latents that were moved by hand."""
    return image_grid(torch.cat(moved), len(values), zoom=1)[:, :, 0]


def test_conf_and_schema_have_the_same_keys():
    config = values(ckpt="x")
    assert set(config) == set(TraverseOptions.__dataclass_fields__) and typed(TraverseOptions, config, "").seeds[0] == 0


def test_a_latent_moves_alone(here):
    loaded = load("dcgan")
    path = run(ckpt="dcgan", factor="z:2", seeds=[5, 7], steps=3, zoom=1)
    assert path == Path("outputs/traverse/20260101T000000Z-aaaaaa-dcgan-digits-kimg-000012_345-z2.png")
    moved = []
    for seed in (5, 7):
        z = loaded.latents(1, seed).repeat(3, 1)
        z[:, 2] = torch.tensor([-1.0, 0, 1])  # DCGAN's latents end there
        moved.append(loaded.generate(z))
    assert np.array_equal(pixels(path), rows_of(moved, range(3), 2))


def test_codes_move_by_their_names(here):
    loaded = load("infogan")
    path = run(ckpt="infogan", seeds=[3], zoom=1)  # the first code, all of its categories
    z = loaded.model.with_codes(loaded.latents(1, 3).expand(10, -1), {"c1": torch.arange(10)})
    assert np.array_equal(pixels(path), image_grid(loaded.generate(z), 10)[:, :, 0])
    path = run(ckpt="infogan", factor="c2", range=1, steps=2, seeds=[3], zoom=1, out="c2.png")
    z = loaded.model.with_codes(loaded.latents(1, 3).expand(2, -1), {"c2": torch.tensor([-1.0, 1])})
    assert np.array_equal(pixels(path), image_grid(loaded.generate(z), 2)[:, :, 0])


@pytest.mark.parametrize("method", ["ganspace", "sefa"])
def test_directions_move_images_and_leave_the_middle(here, method):
    loaded = load("vae")
    path = run(ckpt="vae", factor="pc:1", method=method, seeds=[0, 4], steps=3, zoom=1, out="pc.png")
    grid = pixels(path)
    middle = image_grid(torch.cat([loaded.sample(1, 0), loaded.sample(1, 4)]), 1)[:, :, 0]
    width = middle.shape[1]
    assert np.array_equal(grid[:, width - 2:2 * width - 2], middle)
    assert not np.array_equal(grid[:, :width], middle) and not np.array_equal(grid[:, 2 * width - 4:], middle)
    once = Moves(Factor("pc", 1), torch.tensor([1.0]), method, loaded, None).direction
    assert 0.5 < once.norm() < 2  # a deviation of standard normal latents


def test_films_and_folders(here):
    with Image.open(run(ckpt="dcgan", factor="pc:0", seeds=[0, 1], steps=4, out="film.gif")) as film:
        assert film.n_frames == 4
    with Image.open(run(ckpt="dcgan", factor="pc:0", seeds=[0, 1], steps=4, loop=True, out="back.gif")) as film:
        assert film.n_frames == 6
    assert len(list(run(ckpt="dcgan", factor="z:0", seeds=[0, 1], steps=4, out="folder").iterdir())) == 8
    with Image.open(run(ckpt="gan", factor="z:0", seeds=[0, 1], steps=3, out="points.gif")) as film:
        assert film.n_frames == 3


def test_labels(here):
    loaded = load("cgan")
    grid = pixels(run(ckpt="cgan", factor="z:0", seeds=[1, 2], label=["two", 0], steps=2, range=[0, 1], zoom=1, out="l.png"))
    moved = []
    for seed, label in ((1, 2), (2, 0)):
        z = loaded.latents(1, seed).repeat(2, 1)
        z[:, 0] = torch.tensor([0.0, 1])
        moved.append(loaded.generate(z, [label] * 2))
    assert np.array_equal(grid, rows_of(moved, range(2), 2))
    assert pixels(run(ckpt="cgan", factor="pc:0", seeds=[1, 2], steps=3, out="turns.png")).size


def test_styles_are_moved_where_a_model_has_them(here):
    """A model whose mapping is z -> 2 z: one deviation of w is one along its first axis."""
    loaded = load("dcgan")
    generate = loaded.model.generate
    loaded.model.mapping = lambda z: 2 * z
    loaded.model.synthesize = lambda w: generate(w / 2)
    loaded.model.every_layer = loaded.model.noise_maps = None  # which nothing here asks for
    for method in ("ganspace", "sefa"):
        moves = Moves(Factor("pc", 0), torch.tensor([-1.0, 0.0, 1.0]), method, loaded, None)
        w = moves.of(loaded.latents(1, 0), None)
        assert moves.styled and w.shape == (3, 6)
        assert torch.allclose(moves.make(w, None, 64)[1:2], loaded.sample(1, 0), atol=1e-5)
        assert (w[2] - w[1]).norm().item() == pytest.approx(2 / 3**0.5, rel=0.1)


ORDERS = [(("10", "2", "-45", "7.5"), [2, 1, 3, 0]), (("71+", "6-10", "11-15", "0-5"), [3, 1, 2, 0]),
          (("class-3", "class-2"), [1, 0]), (("20 years", "old", "3 years"), [0, 1, 2]), (("b", "a"), [0, 1])]


@pytest.mark.parametrize(("classes", "order"), ORDERS)
def test_classes_go_by_the_numbers_in_their_names_where_all_have_some(classes, order):
    assert in_order(classes) == order


def test_steps_between_labels_blend_neighbors():
    assert read_labels([2, 0], None, 3).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert read_labels([2, 0, 1], 5, 3).tolist() == [[0, 0, 1], [0.5, 0, 0.5], [1, 0, 0], [0.5, 0.5, 0], [0, 1, 0]]
    assert read_labels([1], 2, 2).tolist() == [[0, 1], [0, 1]]


def test_the_label_moves_alone(here):
    loaded = load("cgan")
    grid = pixels(run(ckpt="cgan", factor="label", seeds=[1, 2], zoom=1, out="all.png"))
    moved = [loaded.generate(loaded.latents(1, seed).expand(3, -1), [0, 1, 2]) for seed in (1, 2)]
    assert np.array_equal(grid, rows_of(moved, range(3), 2))
    grid = pixels(run(ckpt="cgan", factor="label", seeds=[1], label=["two", "zero"], steps=3, zoom=1, out="some.png"))
    between = loaded.generate(loaded.latents(1, 1).expand(3, -1), torch.tensor([[0, 0, 1], [0.5, 0, 0.5], [1, 0, 0]]))
    assert np.array_equal(grid, image_grid(between, 3)[:, :, 0])
    files = sorted(path.name for path in run(ckpt="cgan", factor="label", seeds=[1, 2], out="folder").iterdir())
    assert files == [f"{seed:06d}-{name}.png" for seed in (0, 1) for name in ("one", "two", "zero")]
    with Image.open(run(ckpt="cgan", factor="label", seeds=[1, 2], loop=True, out="film.gif")) as film:
        assert film.n_frames == 60


@pytest.fixture
def pictures(here):
    """A folder of images of several sizes and modes, and of a file that is none."""
    folder = here / "pictures"
    folder.mkdir()
    for number, (mode, size) in enumerate((("L", (16, 16)), ("RGBA", (40, 24)), ("1", (9, 30)), ("RGB", (16, 16)))):
        Image.effect_noise(size, 60).convert(mode).save(folder / f"{number}.png")
    (folder / "broken.png").write_bytes(b"no image")
    return folder


def test_images_of_ones_own_move_as_the_encoder_sees_them(pictures):
    loaded = load("caae")
    done = traverse(values(ckpt="caae", factor="label", input=str(pictures), zoom=1, out="own.png"))
    grid = pixels(done.files[0])
    assert grid.shape[:2] == (4 * 18 + 2, 4 * 18 + 2)  # three labels behind each of four images
    assert any("broken.png" in note for note in done.notes) and done.notes[-1] == "Columns: the image, then zero, one, two."
    with Image.open(pictures / "0.png") as image:
        first = np.asarray(image)
    assert np.array_equal(grid[2:18, 2:18], first)
    z = loaded.encode(torch.tensor(first / 127.5 - 1, dtype=torch.float32)[None, None]).expand(3, -1)
    made = image_grid(loaded.generate(z, [0, 1, 2]), 3, zoom=1)[:, :, 0]
    assert np.abs(grid[:20, 18:].astype(int) - made.astype(int)).max() <= 1


def test_any_factor_of_an_encoded_image_moves(pictures):
    assert pixels(run(ckpt="vae", factor="z:1", input=str(pictures), n=2, steps=3, zoom=1, out="z.png")).shape[:2] == (38, 74)
    grid = pixels(run(ckpt="caae", factor="pc:0", input=str(pictures / "0.png"), label="one", steps=3, zoom=1, out="pc.png"))
    loaded = load("caae")
    with Image.open(pictures / "0.png") as image:
        x = torch.tensor(np.asarray(image) / 127.5 - 1, dtype=torch.float32)[None, None]
    middle = image_grid(loaded.reconstruct(x, label=torch.tensor([1])), 1, zoom=1)[:, :, 0]
    assert np.abs(grid[:, 36:56].astype(int) - middle.astype(int)).max() <= 1


def test_what_images_do_not_say_is_asked_for(pictures):
    for changes, words in (({"ckpt": "caae", "factor": "z:0"}, "give label=, or sub-folders of these names"),
                           ({"ckpt": "caae", "factor": "z:0", "label": [0, 1]}, "names 2 classes for 4 images"),
                           ({"ckpt": "dcgan", "factor": "z:0"}, "dcgan cannot encode images")):
        with pytest.raises(UserError, match=words):
            run(input=str(pictures), **changes)
    assert not list(Path("outputs").glob("traverse/*"))


WRONG = [
    ({"ckpt": "dcgan", "factor": "label"}, "factor=label needs a model that takes labels and this one is dcgan"),
    ({"ckpt": "cgan", "factor": "label", "range": 2}, "takes classes and no numbers"),
    ({"ckpt": "cgan", "factor": "label", "label": ["old"]}, "no class called old"),
    ({"ckpt": "caae", "input": 3}, "is no path"),
    ({"ckpt": "caae", "input": "nowhere"}, "nowhere"),
    ({"ckpt": "dcgan", "factor": "c1"}, "has no codes, and every model that samples has latents"),
    ({"ckpt": "infogan", "factor": "c9"}, "its codes are c1, c2, c3"),
    ({"ckpt": "infogan", "factor": "c1", "steps": 4}, "10 categories, all of which are shown"),
    ({"ckpt": "infogan", "factor": "c2", "range": 3}, "numbers from -2 to 2"),
    ({"ckpt": "infogan", "factor": "z:6"}, "part of the code c1"),
    ({"ckpt": "infogan", "factor": "z:17"}, "part of the code c3"),
    ({"ckpt": "dcgan", "factor": "z:6"}, "no latent z:6; model=dcgan has 6, z:0 to z:5"),
    ({"ckpt": "dcgan", "factor": "pc:6"}, "no direction pc:6; there are 6"),
    ({"ckpt": "dcgan", "factor": "pc"}, "give factor=pc:0"),
    ({"ckpt": "dcgan", "factor": "z:-1"}, "give factor=z:0"),
    ({"ckpt": "dcgan", "range": [2, 1]}, "is none: give two numbers"),
    ({"ckpt": "dcgan", "range": "wide"}, "is none: give two numbers"),
    ({"ckpt": "dcgan", "method": "pca"}, "method=pca does not exist"),
    ({"ckpt": "dcgan", "seeds": []}, "names no image"),
    ({"ckpt": "dcgan", "steps": 1}, "steps must be at least 2"),
    ({"ckpt": "dcgan", "label": 1}, "takes labels"),
    ({"ckpt": "cgan", "label": [0, 1]}, "2 classes for 8 seeds"),
    ({"ckpt": "dcgan", "steps": 10**7}, "million pixels"),
    ({"ckpt": "gan"}, "makes points"),
    ({"ckpt": "cyclegan"}, "cyclegan cannot sample"),
    ({"ckpt": "dcgan", "out": "a.txt"}, "does not write"),
]


@pytest.mark.parametrize(("changes", "words"), WRONG)
def test_what_is_wrong_is_refused_and_nothing_created(here, changes, words):
    with pytest.raises(UserError, match=words):
        run(**changes)
    assert {path.name for path in here.rglob("*")} == {"outputs", "train"}


def test_ranges_by_default(here):
    loaded = load("vae")
    assert read_values(Factor("z", 0), None, 3, 9, loaded).tolist() == [-3, 0, 3]
    assert read_values(Factor("pc", 0), None, None, 9, load("dcgan")).tolist()[::4] == [-3, 0, 3]
    assert read_values(Factor("z", 0), None, 2, 9, load("infogan")).tolist() == [-1, 1]
