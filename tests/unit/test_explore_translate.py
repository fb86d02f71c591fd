"""`gan translate`, from a composed configuration to files."""

import shutil

import numpy as np
import pytest
import torch
from data_composing import CONF, dataset_values, save_images
from omegaconf import OmegaConf
from PIL import Image
from small_runs import config_of, save_run

from gancli.config.paths import quote_paths
from gancli.data.spec import DataSpec
from gancli.errors import UsageError, UserError
from gancli.explore.loaded import load
from gancli.explore.translate import translate
from gancli.game.abilities import models_able, next_command

SPEC = DataSpec((1, 8, 8), 9, domains=("a", "b"), paired=True)
KINDS = {"pix2pix": ("paired", SPEC), "cyclegan": ("unpaired", SPEC), "dcgan": ("digits", DataSpec((1, 8, 8), 9)),
         **dict.fromkeys(("stargan", "stargan_v2"), ("folder", DataSpec((1, 8, 8), 9, ("a", "b"))))}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two domains, and a run of each system that translates, a quarter of whose images were held out, and one more."""
    folder = tmp_path_factory.mktemp("made")
    save_images(folder / "domains", [f"{domain}/{i}.png" for domain in "ab" for i in range(12)], (8, 8), "L")
    for name, (kind, spec) in KINDS.items():
        data = (dataset_values("digits", size=8) if kind == "digits"
                else dataset_values(kind, path=str(folder / "domains"), size=8, holdout=0.25))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("small_runs.config_of", lambda *given, **more: config_of(*given, **more) | {"dataset": data})  # noqa: B023
            save_run(folder / "outputs/train" / f"run-{name}", name, spec=spec)
    return folder


@pytest.fixture
def here(made, tmp_path, monkeypatch):
    """A launch directory with these."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def pictures(here):
    """Images of several modes and sizes, two of one name, one broken, and a text."""
    folder = here / "mine"
    (folder / "deep").mkdir(parents=True)
    random = np.random.default_rng(0)
    for name, mode, size in (("one.png", "RGB", (30, 20)), ("one.gif", "P", (8, 8)), ("deep/gray.png", "L", (200, 9)),
                             ("alpha.png", "RGBA", (9, 9)), ("dot.png", "L", (1, 1)), ("ink.jpg", "CMYK", (12, 40))):
        values = random.integers(0, 256, (*size[::-1], 4), dtype=np.uint8)
        Image.fromarray(values).convert(mode).save(folder / name)
    (folder / "broken.png").write_bytes(b"\x89PNG no more")
    (folder / "notes.txt").write_text("no image")
    return folder


def run(name, **changes):
    config = OmegaConf.load(CONF / "translate.yaml")
    for key in ("defaults", "hydra"):
        del config[key]
    return translate(OmegaConf.merge(config, {"device": "cpu", "ckpt": f"run-{name}"}, changes))


def test_a_folder_of_any_images(pictures):
    report = run("pix2pix", input="mine", out="new", batch_size=2)
    files = sorted(str(path.relative_to("new")) for path in report.files[0].rglob("*.png"))
    assert files == ["alpha.png", "deep/gray.png", "dot.png", "ink.png", "one-2.png", "one.png"]
    assert report.count == 6 and report.domain == "b" and len(report.notes) == 2
    assert "broken.png" in report.notes[1] and "dot.png" not in report.notes[1] and "Ignored 1" in report.notes[0]
    loaded = load("run-pix2pix")
    x = torch.from_numpy(np.asarray(Image.open("mine/deep/gray.png").convert("L")).copy())
    assert x.shape == (9, 200) and Image.open("new/deep/gray.png").size == (8, 8) and loaded.model.targets == ("b",)
    with pytest.raises(UserError, match="not empty"):
        run("pix2pix", input="mine", out="new")
    assert run("pix2pix", input="mine/one.png", out="new", overwrite=True).count == 1


def test_a_grid_has_each_image_above_its_translation(here):
    report = run("cyclegan", to="a", out="grid.png", columns=2, zoom=1, n=2)
    assert report.count == 2 and report.domain == "a"
    picture = np.asarray(Image.open("grid.png"))
    assert picture.shape == (2 + 2 * 10, 2 + 2 * 10)
    held = sorted(here.glob("domains/b/*.png"))
    known = [np.asarray(Image.open(path)) for path in held]
    assert any(np.array_equal(picture[2:10, 2:10], image) for image in known), "a held-out image of the other domain"
    loaded = load("run-cyclegan")
    x = torch.from_numpy(picture[2:10, 2:10].copy())[None, None] / 127.5 - 1
    made = loaded.translate(x.float(), "a")
    assert np.abs((made[0, 0].numpy() + 1) * 127.5 - picture[12:20, 2:10]).max() < 1.5


def known(here, name):
    """Return the class of an image of the data, by its pixels."""
    return {np.asarray(Image.open(path)).tobytes(): path.parent.name for path in here.glob(f"domains/{name}/*.png")}


def cells(path, rows, columns):
    """Return the images of a grid without zoom, [rows][columns]."""
    picture = np.asarray(Image.open(path))
    assert picture.shape == (2 + rows * 10, 2 + columns * 10)
    return [[np.ascontiguousarray(picture[2 + 10 * i:10 + 10 * i, 2 + 10 * j:10 + 10 * j]) for j in range(columns)]
            for i in range(rows)]


def test_one_set_of_images_and_a_class(here):
    report = run("stargan", to="a", out="grid.png", columns=2, zoom=1, n=2)
    assert report.count == 2 and "are a already" in report.notes[-1]
    before, after = cells("grid.png", 2, 2)
    assert all(image.tobytes() in known(here, "b") for image in before)
    x = torch.from_numpy(np.stack(before))[:, None] / 127.5 - 1
    made = (load("run-stargan").translate(x.float(), "a")[:, 0].numpy() + 1) * 127.5
    assert np.abs(made - np.stack(after)).max() < 1.5
    report = run("stargan", to="all", input="domains/b", out="new", n=3)
    files = sorted(str(path.relative_to("new")) for path in report.files[0].rglob("*.png"))
    assert report.domain == "a, b" and files == ["a/0.png", "a/1.png", "a/10.png", "b/0.png", "b/1.png", "b/10.png"]


def test_styles_of_latents_and_of_references(pictures):
    report = run("stargan_v2", to="a", input="domains/b", out="new", n=2, styles=2, seed=3)
    files = sorted(path.name for path in report.files[0].rglob("*.png"))
    assert report.count == 2 and files == ["0-style0.png", "0-style1.png", "1-style0.png", "1-style1.png"]
    one, two = (np.asarray(Image.open(f"new/0-style{number}.png")) for number in (0, 1))
    assert not np.array_equal(one, two)
    report = run("stargan_v2", to="a", style="mine", input="domains/b", out="grid.png", columns=2, zoom=1, n=2)
    assert any("broken.png" in note for note in report.notes)
    rows = cells("grid.png", 1 + 6, 1 + 2)  # six of the pictures can be read: each before the row in its style
    assert (rows[0][0] == 255).all() and len({row[0].tobytes() for row in rows}) == 7
    loaded = load("run-stargan_v2")
    x, reference = (torch.from_numpy(image)[None, None] / 127.5 - 1 for image in (rows[0][2], rows[4][0]))
    made = loaded.translate(x.float(), "a", style=loaded.image_styles(reference.float(), "a")[0])
    assert np.abs((made[0, 0].numpy() + 1) * 127.5 - rows[4][2]).max() < 1.5


@pytest.mark.parametrize("name, changes, told", [
    ("stargan", {"to": "c"}, "give to=a or b"), ("stargan", {"to": []}, "names no domain"),
    ("cyclegan", {"to": "all"}, "give one of them"), ("stargan", {"style": "mine"}, "stargan_v2.*takes none"),
    ("pix2pix", {"seed": 1}, "seed= is for models"), ("stargan_v2", {"style": "mine", "seed": 1}, "give one of them"),
    ("stargan_v2", {"style": "mine/broken.png"}, "no image that can be read"), ("stargan_v2", {"styles": 0}, "styles must"),
    ("dcgan", {}, "dcgan cannot translate"), ("pix2pix", {"to": "a"}, "give to=b"), ("cyclegan", {"to": "c"}, "to=a or b"),
    ("pix2pix", {"input": "nowhere"}, "nowhere"), ("pix2pix", {"input": []}, "names no image"),
    ("pix2pix", {"out": "x.gif"}, "end it in .png"), ("pix2pix", {"n": 0}, "n must be"),
    ("pix2pix", {"input": 3}, "no path"),
    ("pix2pix", {"input": "mine/broken.png"}, "Nothing can be translated"),
    ("pix2pix", {"input": "mine/notes.txt"}, "Nothing can be translated")])
def test_what_is_refused_leaves_nothing(name, changes, told, pictures):
    before = set(pictures.parent.rglob("*"))
    with pytest.raises((UserError, UsageError), match=told):
        run(name, **changes)
    assert set(pictures.parent.rglob("*")) == before


def test_what_shows_more_of_a_model():
    from gancli.registry import models

    assert models_able("translate") == ["cyclegan", "pix2pix", "stargan", "stargan_v2"]
    known = {name: next_command(models.get(name).build) for name in ("dcgan", "pix2pix", "autoencoder")}
    assert known == {"dcgan": "sample", "pix2pix": "translate", "autoencoder": "reconstruct"}


def test_a_domain_is_a_word_on_the_command_line_and_styles_are_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dress").mkdir()  # a folder that happens to have a domain's name
    given = ["to=dress", "style=dress", "style=[a.png,b.png]"]
    assert quote_paths(given, False, "translate") == ["to=dress", f"style='{tmp_path}/dress'", "style=[a.png,b.png]"]
    assert quote_paths(given[:1], False, "arithmetic") == [f"to='{tmp_path}/dress'"]
