"""Truncation, noise, walks in w and tables of mixed styles, from a composed configuration to files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from small_runs import save_run
from systems import CONF

from gancli.errors import UserError
from gancli.explore.interpolate import interpolate
from gancli.explore.loaded import load
from gancli.explore.mix import mix
from gancli.explore.sample import sample
from gancli.explore.styles import layers_of
from gancli.game.abilities import models_able

COMMANDS = {"sample": sample, "interpolate": interpolate, "mix": mix}
RUNS = {"styled": "20260101T000000Z-aaaaaa-stylegan2-digits", "labeled": "20260102T000000Z-bbbbbb-stylegan2-digits",
        "growing": "20260103T000000Z-cccccc-stylegan-digits", "dcgan": "20260104T000000Z-dddddd-dcgan-digits"}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    root = tmp_path_factory.mktemp("workplace")
    for name, run in RUNS.items():
        changes = {"conditional": True} if name == "labeled" else {}
        save_run(root / "outputs/train" / run, run.split("-")[2], averaged=False, **changes)
    return root


@pytest.fixture
def here(workplace, tmp_path, monkeypatch):
    """A launch directory of its own, with the runs of `workplace`."""
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs/train").symlink_to(workplace / "outputs/train")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(command: str, name: str = "styled", **changes) -> Path:
    """Run a command on a run with conf/<command>.yaml changed, and return what it wrote."""
    values = OmegaConf.load(CONF / f"{command}.yaml")
    for key in ("defaults", "hydra"):
        del values[key]
    (path,) = COMMANDS[command](OmegaConf.merge(values, {"ckpt": RUNS[name], "device": "cpu", **changes}))
    return path


def images(path: Path) -> np.ndarray:
    """Return the images of an archive as [N, H, W, C] int."""
    return np.load(path)["images"].astype(int)


def cell(picture: np.ndarray, row: int, column: int) -> np.ndarray:
    """Return an image of 16x16 of a grid without zoom."""
    top, left = 2 + 18 * row, 2 + 18 * column
    return picture[top:top + 16, left:left + 16]


def test_truncation_of_one_is_none_and_of_zero_is_one_image(here):
    plain, same, mean, nearer = (images(run("sample", n=5, out=f"{i}.npz", truncation=psi))
                                 for i, psi in enumerate((None, 1.0, 0.0, 0.5)))
    assert abs(plain - same).max() <= 1 and (mean == mean[:1]).all()
    assert not (nearer == plain).all() and not (nearer == mean).all()
    model = load(RUNS["styled"], device="cpu").model
    expected = model.synthesize(model.mean_style[None], model.noise_maps())
    assert abs(mean[0] - (127.5 * (expected[0].clamp(-1, 1) + 1)).round().permute(1, 2, 0).numpy()).max() <= 1


def test_truncation_of_some_layers(here):
    plain, some, every = (images(run("sample", n=3, out=f"{i}.npz", truncation=0.2, truncation_layers=layers))
                          if layers else images(run("sample", n=3, out=f"{i}.npz"))
                          for i, layers in enumerate((None, "coarse", "0-5")))
    whole = images(run("sample", n=3, out="whole.npz", truncation=0.2))
    assert (every == whole).all() and not (some == plain).all() and not (some == whole).all()


def test_noise_on_off_and_at_some_sizes(here):
    on, off, none, coarse, every, other = (images(run("sample", n=2, out=f"{i}.npz", **changes)) for i, changes in enumerate((
        {}, {"noise": False}, {"noise": []}, {"noise": 4}, {"noise": [4, 8, 16]}, {"noise_seed": 3})))
    assert (on == every).all() and (off == none).all()
    assert not (on == off).all() and not (coarse == off).all() and not (coarse == on).all() and not (other == on).all()


def test_a_walk_in_w_is_straight_and_its_ends_are_the_seeds_images(here):
    folder = run("interpolate", space="w", seeds=[1, 2], steps=5, out="walk", noise=False)
    found = [np.asarray(Image.open(path)).astype(int) for path in sorted(folder.iterdir())]
    model = load(RUNS["styled"], device="cpu")
    ends = model.styles(torch.cat([model.latents(1, seed) for seed in (1, 2)]))
    line = torch.stack([torch.lerp(ends[0], ends[1], t) for t in (0, 0.25, 0.5, 0.75, 1)])
    made = model.model.synthesize(line, [None] * 5).clamp(-1, 1)
    expected = (127.5 * (made + 1)).round()[:, 0].numpy()
    assert len(found) == 5 and max(abs(a - b).max() for a, b in zip(found, expected, strict=True)) <= 1
    assert run("interpolate", name="labeled", space="w", n=2, steps=3).is_file()
    assert run("interpolate", space="w", n=1, steps=3, out="w.gif", loop=True).is_file()


def test_a_table_of_mixed_styles(here):
    picture = np.asarray(Image.open(run("mix", rows=[1, 2], cols=[3, 4, 5], layers="0-1", zoom=1))).astype(int)
    assert picture.shape == (2 + 18 * 3, 2 + 18 * 4) and (cell(picture, 0, 0) == 255).all()
    loaded = load(RUNS["styled"], device="cpu")
    styles = {seed: loaded.model.every_layer(loaded.styles(loaded.latents(1, seed))) for seed in range(1, 6)}
    for row, column, own, other in ((0, 2, 4, 4), (2, 0, 2, 2), (1, 1, 1, 3), (2, 3, 2, 5)):
        mixed = torch.cat((styles[other][:, :2], styles[own][:, 2:]), 1)
        made = (127.5 * (loaded.model.synthesize(mixed).clamp(-1, 1) + 1)).round()[0, 0].numpy()
        assert abs(cell(picture, row, column) - made).max() <= 1, (row, column)


def test_tables_of_other_systems_with_styles(here):
    assert run("mix", name="growing", layers="fine", truncation=0.7).name.endswith("layers4-5.png")
    one, two = (np.asarray(Image.open(run("mix", name="labeled", label=label))) for label in ("zero", "two"))
    assert not (one == two).all()


def test_layers_by_name_number_and_span():
    cases = {"coarse": [0, 1], "fine": [4, 5, 6, 7], 3: [3], "0-2": [0, 1, 2], "7": [7]}
    assert {word: layers_of(word, 8) for word in cases} == cases
    assert layers_of([0, "4-5", "middle"], 8) == [0, 2, 3, 4, 5]


REFUSED = [
    ("mix", {"layers": "0-6"}, "layers=0-6 is not among .* layers: there are 0 to 5 .coarse 0-1, middle 2-3, fine 4-5"),
    ("mix", {"layers": "coars"}, "layers=coars names no layers"), ("mix", {"layers": []}, "names no layers"),
    ("mix", {"layers": "3-1"}, "not among"), ("mix", {"layers": -1}, "names no layers"),
    ("mix", {"rows": []}, "rows names no seeds"), ("mix", {"cols": [-1]}, "cols must be"),
    ("mix", {"label": 1}, "was trained with model.conditional=false"), ("mix", {"label": ["zero"]}, "one class"),
    ("mix", {"out": "table.gif"}, "does not write"), ("mix", {"cols": list(range(40)), "zoom": 64}, "fewer rows"),
    ("sample", {"truncation": 3}, "truncation must be"), ("sample", {"truncation_layers": "fine"}, "needs a truncation"),
    ("sample", {"truncation": 0.5, "truncation_layers": "9"}, "truncation_layers=9 is not among"),
    ("sample", {"noise": 5}, r"noise=5 is no height .* \[4,8,16\]"), ("sample", {"noise": "loud"}, "noise=loud is no height"),
    ("interpolate", {"space": "v"}, "space=v"),
]


@pytest.mark.parametrize(("command", "changes", "words"), REFUSED)
def test_what_makes_no_sense_is_refused_and_nothing_is_created(command, changes, words, here):
    with pytest.raises(UserError, match=words):
        run(command, **changes)
    assert [path.name for path in here.rglob("*") if path.is_file() and "train" not in path.parts] == []


WITHOUT_STYLES = [("mix", {}, "gan mix"), ("sample", {"truncation": 0.7}, "truncation=0.7"),
                  ("sample", {"noise": False}, "noise=false"), ("interpolate", {"space": "w"}, "space=w"),
                  ("sample", {"noise_seed": 1}, "noise_seed=1")]


@pytest.mark.parametrize(("command", "changes", "asked"), WITHOUT_STYLES)
def test_a_model_without_styles_is_refused_with_those_that_have_some(command, changes, asked, here):
    able = ", ".join(models_able("styles"))
    with pytest.raises(UserError, match=f"{asked} needs styles: model=dcgan cannot map latents to styles; {able} can"):
        run(command, name="dcgan", **changes)
    assert models_able("styles") == ["stylegan", "stylegan2"] and not (here / f"outputs/{command}").exists()
