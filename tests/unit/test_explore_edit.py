"""Strokes and the energy of an edit on hand-made numbers; `gan edit` and its page from end to end."""

import json
import math

import numpy as np
import pytest
import torch
from data_composing import CONF
from omegaconf import OmegaConf
from PIL import Image
from small_runs import save_run
from systems import later

from gancli.data.spec import DataSpec
from gancli.errors import UsageError, UserError
from gancli.explore.edit import edit
from gancli.explore.editing import EPSILON, Energy, Weights, blurred, given_back, kept_candidates, over
from gancli.explore.editor import make_editor
from gancli.explore.loaded import load
from gancli.explore.strokes import Strokes, coverage, paint, parse_strokes, read_strokes, shifted
from gancli.losses.orientations import cells_touched, gradients, histograms, oriented

# Strokes


def test_a_round_brush_covers_pixels_by_their_distance():
    dot = coverage(np.array([[2.5, 2.5]]), 1.0, 5, 5)
    corner = 1.5 - math.sqrt(2)
    assert dot[2, 2] == 1 and dot[2, 3] == dot[1, 2] == pytest.approx(0.5) and dot[3, 3] == pytest.approx(corner)
    assert dot[2, 4] == 0 and dot.sum() == pytest.approx(1 + 4 * 0.5 + 4 * corner)
    line = coverage(np.array([[1.5, 0.5], [4.5, 0.5]]), 0.5, 2, 8)
    assert line[0].tolist() == [0, 1, 1, 1, 1, 0, 0, 0] and line[1].tolist() == [0] * 8
    assert coverage(np.array([[-90.0, 3.0], [900.0, 3.0]]), 2.0, 4, 4).shape == (4, 4)


def strokes_of(*strokes, height=4, width=4):
    return parse_strokes({"strokes": list(strokes)}, height, width)


def test_later_strokes_cover_and_erasers_take_away():
    red = {"color": "#ff0000", "points": [[0.5, 0.5], [3.5, 0.5]], "radius": 0.5}
    blue = {"color": [0, 0, 255], "points": [[1.5, 0.5]], "radius": 0.5}
    line = {"tool": "sketch", "points": [[0.5, 2.5], [3.5, 2.5]], "radius": 0.5}
    gone = {"tool": "erase", "points": [[3.5, 0.5], [3.5, 3.5]], "radius": 0.5}
    painted = paint(strokes_of(red, line, blue, gone), torch.zeros(3, 4, 4))
    assert painted.color_mask[0, 0].tolist() == [1, 1, 1, 0] and painted.color_mask[0, 1:].sum() == 0
    assert painted.color[:, 0, 0].tolist() == [1, -1, -1] and painted.color[:, 0, 1].tolist() == [-1, -1, 1]
    assert painted.sketch[0, 2].tolist() == [1, 1, 1, -1] and painted.sketch_mask[0, 2].tolist() == [1, 1, 1, 0]
    assert painted.touched.sum() == 6
    gray = paint(strokes_of({"color": "white", "points": [[1, 1]], "radius": 9}), torch.zeros(1, 4, 4))
    assert torch.allclose(gray.color, torch.ones(1, 4, 4)) and gray.color_mask.min() == 1


def test_strokes_of_a_larger_picture_are_scaled():
    stroke, = parse_strokes({"strokes": [{"points": [[10, 20]], "radius": 5}], "width": 40, "height": 40}, 4, 4)
    assert stroke.points.tolist() == [[1, 2]] and stroke.radius == 0.5 and stroke.color == (0, 0, 0)


def test_a_move_brings_pixels_along():
    picture = torch.zeros(1, 5, 7)
    picture[0, 2, 1] = 1
    assert torch.allclose(shifted(picture, np.array([3.0, 1.0])), picture.roll((1, 3), (1, 2)), atol=1e-6)
    painted = paint(strokes_of({"tool": "warp", "points": [[1.5, 2.5], [9, 9], [4.5, 3.5]], "radius": 0.5}, height=5, width=7),
                    picture)
    assert painted.color_mask.sum() == 1 and painted.color_mask[0, 3, 4] == 1
    assert painted.color[0, 3, 4] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("value, told", [
    ([], "strokes"), ({}, "strokes"), ({"strokes": [3]}, "stroke 1 is no object"),
    ({"strokes": [{"tool": "cut", "points": [[1, 1]]}]}, "tool cut"), ({"strokes": [{"points": []}]}, "needs points"),
    ({"strokes": [{"points": [[1]]}]}, "needs points"), ({"strokes": [{"points": [[1, "2"]]}]}, "coordinate"),
    ({"strokes": [{"points": [[1, float("nan")]]}]}, "coordinate"),
    ({"strokes": [{"points": [[1, 1]], "radius": -1}]}, "radius"),
    ({"strokes": [{"points": [[1, 1]], "color": "mauvish"}]}, "mauvish"), ({"strokes": [], "width": 0}, "width"),
    ({"strokes": [{"points": [[1, 1]], "color": [0, 0, 300]}]}, "color's value"),
    ({"strokes": [{"tool": "warp", "points": [[1, 1]]}]}, "only one"),
    ({"strokes": [{"points": [[1, 1]] * 20_001}]}, "20,000")])
def test_what_is_no_list_of_strokes(value, told):
    with pytest.raises(ValueError, match=told):
        parse_strokes(value, 4, 4)


def test_opaque_parts_of_a_picture_are_strokes(tmp_path):
    picture = torch.zeros(3, 8, 8)
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[:8, :, :] = (0, 255, 0, 255)
    Image.fromarray(pixels).save(tmp_path / "strokes.png")
    strokes = read_strokes(str(tmp_path / "strokes.png"), picture, "crop")
    assert strokes.color_mask[0, :3].min() > 0.9 and strokes.color_mask[0, 6:].max() == 0
    assert strokes.color[:, 0, 0].tolist() == [-1, 1, -1] and strokes.sketch_mask.max() == 0
    (tmp_path / "empty.json").write_text('{"strokes": []}')
    Image.fromarray(pixels[:, :, :3]).save(tmp_path / "opaque.png")
    Image.fromarray(pixels[8:]).save(tmp_path / "nothing.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    (tmp_path / "broken.json").write_bytes(b"\xff{")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    for name, told in (("opaque.png", "no transparency"), ("nothing.png", "no stroke"), ("empty.json", "no stroke"),
                       ("broken.png", "cannot be read"), ("broken.json", "no list of strokes"),
                       ("deep.json", "no list of strokes"), ("none.png", "no file")):
        with pytest.raises(UserError, match=told):
            read_strokes(str(tmp_path / name), picture, "crop")


# Histograms of oriented gradients


def test_gradients_fall_into_the_nearest_orientations():
    x = torch.arange(8.0).expand(1, 1, 8, 8).double() / 8
    right, down = gradients(x)
    assert torch.allclose(right[0, 4, 1:-1], torch.full((6,), 1 / 8).double()) and down.abs().max() == 0
    turned = {angle: oriented(*(torch.full((1, 1, 1), part(angle)).double() for part in (math.cos, math.sin)))[0, :, 0, 0]
              for angle in (0.0, math.pi / 2, math.pi / 16, math.pi * 15 / 16, math.pi)}
    assert turned[0.0].tolist() == pytest.approx([1, *[0] * 7], abs=1e-7)
    assert turned[math.pi].tolist() == pytest.approx([1, *[0] * 7], abs=1e-7)  # of either sign
    assert turned[math.pi / 2].tolist() == pytest.approx([0, 0, 0, 0, 1, 0, 0, 0], abs=1e-7)
    assert turned[math.pi / 16].tolist() == pytest.approx([0.5, 0.5, *[0] * 6], abs=1e-7)
    assert turned[math.pi * 15 / 16].tolist() == pytest.approx([0.5, *[0] * 6, 0.5], abs=1e-7)


def test_histograms_have_slopes_everywhere():
    flat = torch.zeros(1, 3, 16, 16, requires_grad=True)
    histograms(flat).sum().backward()
    assert torch.isfinite(flat.grad).all() and histograms(flat).abs().max() == 0
    x = torch.rand(1, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda images: histograms(images), (x,))
    strong = histograms(100 * torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(1)))
    assert torch.allclose(strong.square().sum(1), torch.ones(1, *strong.shape[2:]), atol=1e-3)
    mask = torch.zeros(1, 1, 16, 16)
    mask[0, 0, 0, 0] = 1
    touched = cells_touched(mask)
    assert touched.shape[2:] == strong.shape[2:] and touched.sum() == touched[0, 0, 0, 0] == 1


# The energy


def strokes(color=0.0, mask=None, side=4):
    nothing = torch.zeros(1, side, side)
    return Strokes(torch.full((1, side, side), color), nothing if mask is None else mask, nothing - 1, nothing)


def test_energy_on_hand_made_numbers():
    mask = torch.zeros(1, 4, 4)
    mask[0, 0, 0] = 1
    starts = torch.tensor([[0.0, 0.0], [1.0, 1.0]]).double()
    energy = Energy(strokes(1.0, mask), torch.full((1, 4, 4), -1.0), starts, 2.0, Weights(0.2, 5.0, 3.0))
    images = torch.full((2, 1, 4, 4), 0.5)
    points = torch.tensor([[2.0, 0.0], [1.0, 3.0]]).double()
    color = 0.25 / 16 / (1 / 16 + EPSILON)  # of one pixel
    outside = 2.25 * (15 / 16) / (15 / 16 + EPSILON)
    assert energy(images, points).tolist() == pytest.approx([color + 5 * 0.5 * (2 / 2) ** 2 + 3 * outside] * 2)
    assert over(images, torch.ones(1), torch.ones(1, 1, 4, 4)).tolist() == pytest.approx([0.25 / (1 + EPSILON)] * 2)
    plain = Energy(strokes(1.0, mask), images[0], starts, 2.0, Weights(0.0, 0.0, 0.0))
    assert plain(images, points).tolist() == pytest.approx([color] * 2)


def test_edges_cost_nothing_where_they_are_as_drawn():
    line = torch.from_numpy(coverage(np.array([[8.0, -3.0], [8.0, 19.0]]), 1.0, 16, 16)).float()[None]
    nothing = torch.zeros(1, 16, 16)
    asked = Strokes(nothing, nothing, 2 * line - 1, line)
    energy = Energy(asked, nothing, torch.zeros(3, 1), 1.0, Weights(1.0, 0.0, 0.0))
    images = torch.stack((2 * line - 1, 1 - 2 * line, (2 * line - 1).transpose(1, 2)))
    found = energy(images, torch.zeros(3, 1)).tolist()
    assert found[0] == pytest.approx(0, abs=1e-6) and found[1] == pytest.approx(0, abs=1e-6), "dark lines are edges, too"
    assert found[2] > 0.3


def test_a_photo_is_exact_where_nothing_changed():
    photo, before = torch.rand(1, 9, 9) - 0.5, torch.rand(1, 9, 9) - 0.5
    nowhere = torch.zeros(1, 9, 9)
    assert torch.allclose(given_back(photo, before, before[None], nowhere)[0], photo, atol=1e-6)
    assert torch.allclose(given_back(photo, before, before[None], nowhere + 1)[0], before, atol=1e-6), "under strokes"
    full = given_back(photo, torch.full((1, 9, 9), -1.0), torch.full((1, 1, 9, 9), 1.0), nowhere)
    assert torch.allclose(full, torch.ones(1, 1, 9, 9), atol=1e-6)
    half = given_back(torch.tensor([[[0.2]]]), torch.tensor([[[0.0]]]), torch.tensor([[[[0.5]]]]), nowhere[:, :1, :1])
    assert half.item() == pytest.approx(0.0 + 0.5 * 0.5 + 0.5 * 0.2)  # M = 1/2
    dot = torch.zeros(1, 1, 9, 9).double()
    dot[0, 0, 4, 4] = 1
    spread = blurred(dot)
    assert spread.sum() == pytest.approx(1) and spread[0, 0, 4, 5] / spread[0, 0, 4, 4] == pytest.approx(math.exp(-1 / 0.98))


def test_bad_candidates_are_left_out():
    assert kept_candidates(torch.tensor([3.0, 1.0, 9.0, 2.0])).tolist() == [1, 3, 0]
    assert kept_candidates(torch.tensor([4.0])).tolist() == [0]


# From end to end


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A launch directory with small runs, a photo and strokes."""
    home = tmp_path_factory.mktemp("edit")
    for name, channels in (("dcgan", 3), ("stylegan2", 1), ("autoencoder", 1)):
        save_run(home / "outputs/train" / f"run-{name}", name, spec=DataSpec((channels, 16, 16), 9))
    photo = np.random.default_rng(0).integers(0, 256, (20, 40, 3), dtype=np.uint8)
    Image.fromarray(photo).save(home / "photo.png")
    (home / "strokes.json").write_text(json.dumps({"strokes": [
        {"tool": "color", "color": "#00ff00", "points": [[4, 4], [12, 4]], "radius": 1.5},
        {"tool": "sketch", "points": [[8, 8], [8, 15]], "radius": 0.5},
        {"tool": "warp", "points": [[3, 12], [5, 12]], "radius": 2}]}))
    return home


@pytest.fixture
def here(home, tmp_path, monkeypatch):
    for path in home.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(name, **changes):
    config = OmegaConf.load(CONF / "edit.yaml")
    for key in ("defaults", "hydra"):
        del config[key]
    given = {"device": "cpu", "ckpt": f"run-{name}", "strokes": "strokes.json", "n": 3, "steps": 8, "projection_steps": 3,
             "starts": 8, "out": "edited"}
    return edit(OmegaConf.merge(config, given, changes))


def test_a_sample_is_edited(here):
    report = run("dcgan", steps=12, page="edit.html", zoom=3)
    assert [path.name for path in report.files] == ["edit.png", "result.png", "latents.npz", "film.gif", "edit.html"]
    assert 1 <= report.candidates <= 3 and report.strokes[1] < report.strokes[0] and report.elsewhere > 0
    kept = np.load("edited/latents.npz")
    assert (np.diff(kept["energies"]) >= 0).all() and np.abs(kept["z"]).max() <= 1
    made = load("run-dcgan", device="cpu").generate(torch.from_numpy(kept["z"][:1]))
    assert np.abs(np.asarray(Image.open("edited/result.png")) - (made[0].permute(1, 2, 0).numpy() + 1) * 127.5).max() < 1.1
    run("dcgan", steps=12, out="again.npz")
    assert np.array_equal(np.load("again.npz")["z"], kept["z"]), "the same seed finds the same"
    run("dcgan", latents="edited/latents.npz", out="next.png", steps=1, zoom=3)
    assert Image.open("next.png").width == (2 + 5 * 18) * 3


def test_a_photo_is_edited(here):
    report = run("dcgan", input="photo.png", out="edited", film=False)
    assert [path.name for path in report.files] == ["edit.png", "result.png", "latents.npz"]
    run("dcgan", input="photo.png", out="plain", film=False, give_back=False)
    assert not np.array_equal(Image.open("edited/result.png"), Image.open("plain/result.png"))
    assert Image.open("edited/edit.png").height > Image.open("edited/edit.png").width / 5 * 2


@pytest.mark.parametrize("space", later(["w", "w+", "z"]))
def test_styles_are_edited(here, space):
    report = run("stylegan2", input="photo.png", space=space, out="edited", n=2)
    assert report.candidates and (here / "edited/film.gif").is_file()
    run("stylegan2", latents="edited/latents.npz", out="next.gif", n=1)
    assert (here / "next.gif").is_file()


def test_the_page_alone(here):
    report = run("dcgan", strokes=None, page="mine/edit.html", input="photo.png")
    assert [str(path) for path in report.files] == ["mine/edit.html"] and not (here / "edited").exists()
    text = (here / "mine/edit.html").read_text()
    assert "gan edit ckpt=run-dcgan input=photo.png" in text and "default-src 'none'" in text and text.count("<script") == 2
    with pytest.raises(UserError, match="exists"):
        run("dcgan", strokes=None, page="mine/edit.html")


def test_a_page_escapes_what_it_is_told():
    page = make_editor(np.zeros((8, 8, 1), np.uint8), "<b>&", ["ckpt=</script><script>alert(1)</script>"])
    assert "<b>" not in page and page.count("<script") == 2 and "alert(1)" in page


@pytest.mark.parametrize("name, changes, told", [
    ("autoencoder", {}, "autoencoder cannot sample"), ("dcgan", {"strokes": None}, "strokes has no value"),
    ("dcgan", {"strokes": "none.json"}, "no file"), ("dcgan", {"strokes": "photo.png"}, "no transparency"),
    ("dcgan", {"input": "photo.png", "strokes": "photo.png"}, "no transparency"),
    ("dcgan", {"input": "photo.png", "latents": "x.npz"}, "both say"),
    ("dcgan", {"latents": "x.npz"}, "no archive"),
    ("dcgan", {"space": "w"}, "needs styles"), ("dcgan", {"page": "edit.txt"}, "end it in"), ("dcgan", {"n": 65}, "n must"),
    ("dcgan", {"keep": -1}, "keep must"), ("dcgan", {"input": "strokes.json"}, "cannot be read"),
    ("dcgan", {"out": "edit.txt"}, "end it in")])
def test_what_is_refused_leaves_nothing(here, name, changes, told):
    before = set(here.iterdir())
    with pytest.raises((UserError, UsageError), match=told):
        run(name, **changes)
    assert set(here.iterdir()) == before
