"""The search for latents: closed forms of linear generators, priors that hold, starts, and `gan project` from end to end."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from data_composing import CONF
from omegaconf import OmegaConf
from PIL import Image
from small_runs import save_run
from torch import nn

from gancli.data.spec import DataSpec
from gancli.errors import UsageError, UserError
from gancli.explore.found_latents import read_points
from gancli.explore.inputs import find_inputs
from gancli.explore.likeness import Likeness
from gancli.explore.loaded import load
from gancli.explore.project import frames_of, project
from gancli.explore.search import Descent, descend, normalized_map, ramp, unlike_noise
from gancli.explore.spaces import Latents
from gancli.game.prior import Codes, Normal, Prior, Ring, Styled, SwissRoll, Uniform

SHAPE = (1, 4, 4)


class Linear(nn.Module):
    """A generator z A + b in float64, with orthonormal rows of A."""

    def __init__(self, prior: Prior) -> None:
        super().__init__()
        self.prior = prior
        random = torch.Generator().manual_seed(0)
        self.a = torch.linalg.qr(torch.randn(16, 3, generator=random, dtype=torch.float64)).Q.t()
        self.b = torch.randn(16, generator=random, dtype=torch.float64) / 5

    def generate(self, z):
        return (z @ self.a + self.b).unflatten(1, SHAPE)

    def draw_latents(self, n, generator):
        return self.prior.draw(n, generator)


def search(prior, targets, steps=600):
    """Return what is found of targets [N, 16], and the least squares' solutions [N, 3]."""
    model = Linear(prior)
    space = Latents(SimpleNamespace(model=model, device="cpu"))
    start = torch.full((len(targets), 3), 0.1, dtype=torch.float64)
    distance = Likeness().to(targets.unflatten(1, SHAPE))
    found = descend(space, start, None, lambda images, points: distance(images), Descent(steps, 0.1))
    return found, torch.linalg.lstsq(model.a.t(), (targets - model.b).t()).solution.t()


def targets(latents):
    """Return images [N, 16] whose nearest ones in the generator's reach have these latents."""
    model = Linear(Normal(3))
    noise = torch.randn(len(latents), 16, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return latents @ model.a + model.b + noise - noise @ model.a.t() @ model.a


LATENTS = torch.tensor([[0.5, -0.25, 0.75], [-0.9, 0.0, 0.3]], dtype=torch.float64)


@pytest.mark.parametrize("prior", [Normal(3), Uniform(3, low=-1.0, high=1.0), Uniform(3, low=-2.0, high=4.0)])
def test_a_linear_generator_is_projected_to_its_least_squares(prior):
    x = targets(LATENTS)
    found, solution = search(prior, x)
    assert torch.allclose(solution, LATENTS, atol=1e-12)
    assert torch.allclose(found.points, solution, atol=2e-6)
    residual = (x - Linear(prior).generate(solution).flatten(1)).square().mean(1)
    assert torch.allclose(found.losses, residual, rtol=1e-9) and residual.min() > 0.1


@pytest.mark.recipe
def test_latents_stay_within_the_law():
    far = torch.tensor([[3.0, -0.5, 0.2], [30.0, -40.0, 0.0]], dtype=torch.float64)
    bounded, _ = search(Uniform(3, low=-1.0, high=1.0), targets(far), steps=800)
    assert bounded.points.abs().max() <= 1
    assert torch.allclose(bounded.points, far.clamp(-1, 1), atol=2e-2)  # of orthonormal rows each number is its own
    normal, _ = search(Normal(3), targets(far), steps=800)
    assert normal.points[0] == pytest.approx(far[0], abs=1e-5)
    assert normal.points[1] == pytest.approx(Normal(3).radius * far[1] / 50, abs=1e-2)


@pytest.mark.parametrize("size, quantile", [(10, 29.588), (100, 149.449), (2, 13.816)])  # of chi squared at 0.999
def test_the_radius_of_normal_latents(size, quantile):
    assert Normal(size, std=2.0).radius == pytest.approx(2 * quantile**0.5, rel=0.03 / size)  # the approximation's own error
    draws = Normal(size).draw(20_000, torch.Generator().manual_seed(0)).norm(dim=1)
    assert 0 < (draws > Normal(size).radius).float().mean() < 3e-3


@pytest.mark.parametrize("prior", [Normal(5), Uniform(5, low=0.0, high=2.0), Codes(2, (3,), 2), Styled(3, Normal(2)),
                                   Styled(3, Uniform(2, low=-1.0, high=1.0)), Ring(4), SwissRoll(4)])
def test_coordinates_give_back_what_a_law_draws(prior):
    z = prior.draw(64, torch.Generator().manual_seed(0))
    again = prior.held(prior.free(z), z)
    assert again.shape == z.shape and (again - z).abs().max() <= 0.0101 * prior.scale
    far = prior.held(prior.free(z) + 100, z)
    assert torch.isfinite(far).all() and torch.allclose(prior.held(prior.free(far), far), far, atol=0.0101 * prior.scale)
    if hasattr(prior, "codes"):
        place = prior.noise if isinstance(prior, Codes) else 0
        assert torch.equal(far[:, place:place + 3], z[:, place:place + 3]), "categories stay"
        soft = z.clone()
        soft[:, place:place + 3] = torch.tensor([0.2, 0.5, 0.3])
        firm = prior.held(prior.free(soft), soft)
        assert torch.equal(firm[:, place:place + 3], torch.tensor([[0.0, 1.0, 0.0]]).expand(64, 3))


def test_the_rate_rises_and_falls():
    assert [ramp(time) for time in (0.025, 0.05, 0.5, 0.75)] == pytest.approx([0.5, 1, 1, 1])
    assert ramp(0.875) == pytest.approx(0.5) and ramp(1.0) == pytest.approx(0) and 0 < ramp(0.0) <= 0.02


def test_noise_that_is_no_noise_costs():
    board = (torch.arange(16)[:, None] + torch.arange(16)) % 2 * 2.0 - 1
    assert unlike_noise(board[None, None]) == pytest.approx(2.0)  # at the first scale alone: it is even at the second
    assert unlike_noise(torch.ones(3, 1, 16, 16)) == pytest.approx(3 * (2 + 2))
    assert unlike_noise(torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))) < 0.01
    even = normalized_map(torch.arange(32.0).view(2, 1, 4, 4))
    assert torch.allclose(even.mean((1, 2, 3)), torch.zeros(2), atol=1e-6)
    assert torch.allclose(even.square().mean((1, 2, 3)), torch.ones(2))


def test_likeness_by_pairs_and_by_table():
    x, y = torch.rand(3, 1, 2, 2).double(), torch.rand(3, 1, 2, 2).double()
    weight = torch.rand(4, 2).double()
    for likeness in (Likeness(), Likeness(lambda images: images.flatten(1) @ weight, 0.5)):
        assert torch.allclose(likeness.between(x, y).diagonal(), likeness.to(x)(y))
    white, black = torch.ones(1, 1, 2, 2), -torch.ones(1, 1, 2, 2)
    assert Likeness().to(white)(black) == 4.0
    assert Likeness(lambda images: images.flatten(1), 0.25).to(white)(black) == 4 + 0.25 * 16 / 4


def test_frames_are_spread_over_the_steps():
    assert frames_of(3) == {0, 1, 2, 3} and {0, 1000} <= frames_of(1000) and len(frames_of(1000)) <= 60


# From end to end

SMALL = {"dcgan": {}, "bigan": {"backbone": "conv"}, "stylegan2": {}, "cgan": {"backbone": "conv"}, "autoencoder": {}}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A launch directory with small runs and pictures of two modes."""
    home = tmp_path_factory.mktemp("search")
    spec = DataSpec((1, 16, 16), 9, ("zero", "one", "two"))
    for name, changes in SMALL.items():
        save_run(home / "outputs/train" / f"run-{name}", name, spec=spec, **changes)
    save_run(home / "outputs/train/run-ring", "gan", spec=DataSpec((2,), 9))
    (home / "mine").mkdir()
    random = np.random.default_rng(0)
    for number in range(4):
        values = random.integers(0, 256, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(values).convert("RGB" if number % 2 else "L").save(home / f"mine/{number}.png")
    (home / "mine/broken.png").write_bytes(b"no picture")
    return home


@pytest.fixture
def here(home, tmp_path, monkeypatch):
    for name in ("outputs", "mine"):
        (tmp_path / name).symlink_to(home / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(name, **changes):
    config = OmegaConf.load(CONF / "project.yaml")
    for key in ("defaults", "hydra"):
        del config[key]
    given = {"device": "cpu", "ckpt": f"run-{name}", "input": "mine", "starts": 8, "steps": 4, "out": "found"}
    return project(OmegaConf.merge(config, given, changes))


@pytest.mark.recipe
def test_pictures_are_projected(here):
    report = run("dcgan", film=True, steps=12)
    assert [path.name for path in report.files] == ["projections.png", "latents.npz", "errors.csv", "film.gif"]
    assert report.count == 4 and any("broken.png" in note for note in report.notes)
    assert report.mean < report.start, "the search comes nearer"
    lines = list(csv.DictReader(open("found/errors.csv")))
    assert [line["example"] for line in lines] == ["0.png", "1.png", "2.png", "3.png"]
    assert np.mean([float(line["error"]) for line in lines]) == pytest.approx(report.mean, rel=1e-4)
    assert all(float(line["error"]) <= float(line["error_at_start"]) + 1e-6 for line in lines)
    loaded = load("run-dcgan")
    points = read_points("found/latents.npz", loaded)
    assert points.space == "z" and points.points.shape == (4, *loaded.latents(1).shape[1:]) and points.points.abs().max() <= 1
    with Image.open("found/film.gif") as film:
        assert film.n_frames >= 12
    with pytest.raises(UserError, match="not empty"):
        run("dcgan")


def test_the_same_seed_finds_the_same_whatever_the_batch(here):
    found = []
    for number, (seed, batch_size) in enumerate(((0, 64), (0, 3), (1, 64))):
        run("dcgan", seed=seed, batch_size=batch_size, out=f"{number}.npz")
        found.append(np.load(f"{number}.npz")["z"])
    assert np.allclose(found[0], found[1], atol=1e-3) and not np.allclose(found[0], found[2], atol=1e-2)


def test_an_encoder_begins(here):
    run("bigan", steps=0, out="start.npz")
    loaded = load("run-bigan", device="cpu")
    kept = np.load("start.npz")["z"]
    assert np.abs(kept).max() <= 0.99001
    run("bigan", steps=0, init="best", starts=64, out="best.npz")
    assert (np.load("best.npz")["errors"] <= np.load("start.npz")["errors"] + 1e-6).all()
    assert loaded.model.prior.scale == 1


@pytest.mark.parametrize("space", ["z", "w", "w+"])
def test_spaces_of_styles(here, space):
    loaded = load("run-stylegan2", device="cpu")
    report = run("stylegan2", space=space, n=2, out="found.npz", steps=3)
    points = read_points("found.npz", loaded)
    assert points.space == space and report.count == 2
    styles = loaded.styles(loaded.latents(1)).shape[1]
    wanted = {"z": tuple(loaded.latents(1).shape[1:]), "w": (styles,), "w+": (loaded.model.style_layers, styles)}[space]
    assert points.points.shape == (2, *wanted)
    assert len(points.maps) == (0 if space == "z" else len(loaded.model.noise_maps()))


def test_a_conditional_model_finds_a_class(here):
    run("cgan", out="free.npz")
    assert set(np.load("free.npz")["labels"]) <= {0, 1, 2}
    run("cgan", label="two", out="two.npz")
    assert set(np.load("two.npz")["labels"]) == {2}


@pytest.mark.parametrize("name, changes, told", [
    ("autoencoder", {}, "autoencoder cannot sample"), ("ring", {"input": None}, "searches for images"),
    ("dcgan", {"space": "w"}, "space=w needs styles"), ("dcgan", {"init": "encoder"}, "init=encoder needs one"),
    ("dcgan", {"space": "v"}, "space=v does not exist"), ("dcgan", {"features": "inception"}, "no gradient passes"),
    ("dcgan", {"features": "vgg"}, "features=vgg does not exist"), ("dcgan", {"input": "nowhere"}, "nowhere"),
    ("dcgan", {"label": 1}, "label"), ("cgan", {"label": "four"}, "four"), ("dcgan", {"steps": -1}, "steps must be"),
    ("dcgan", {"out": "found.txt"}, "end it in"), ("dcgan", {"input": "mine/broken.png"}, "None of the 1 files")])
def test_what_is_refused_leaves_nothing(here, name, changes, told):
    before = set(here.iterdir())
    with pytest.raises((UserError, UsageError), match=told):
        run(name, **changes)
    assert set(here.iterdir()) == before


def test_archives_that_are_none(here):
    loaded = load("run-dcgan", device="cpu")
    (here / "bad.npz").write_bytes(b"no archive")
    np.savez(here / "other.npz", x=np.zeros(3))
    np.savez(here / "shape.npz", z=np.zeros((2, 3), np.float32))
    np.savez(here / "nan.npz", z=np.full((2, 3), np.nan))
    np.savez(here / "w.npz", w=np.zeros((2, 3), np.float32))
    for name, told in (("no.npz", "no archive"), ("bad.npz", "cannot be read"), ("other.npz", "no latents"),
                       ("shape.npz", "takes"), ("nan.npz", "finite"), ("w.npz", "has none")):
        with pytest.raises(UserError, match=told):
            read_points(str(here / name), loaded)


@pytest.mark.parametrize("name", ["dcgan", "cgan", "stylegan2"])
def test_found_points_are_walked_between(here, name):
    from gancli.explore.interpolate import interpolate

    run(name, n=3, steps=1, out="found.npz", **({"space": "w+"} if name == "stylegan2" else {}))
    config = OmegaConf.load(CONF / "interpolate.yaml")
    for key in ("defaults", "hydra"):
        del config[key]
    given = {"device": "cpu", "ckpt": f"run-{name}", "latents": "found.npz", "steps": 3, "zoom": 1, "out": "walk.png"}
    path, = interpolate(OmegaConf.merge(config, given))
    assert Image.open(path).size == (3 * 18 + 2, 2 * 18 + 2)  # two stretches
    with pytest.raises(UsageError, match="both say"):
        interpolate(OmegaConf.merge(config, given, {"seeds": [0, 1]}))


def test_features_of_a_network_count(here):
    torch.manual_seed(0)
    network = torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten()))
    network.save("network.pt")
    loaded = load("run-dcgan", device="cpu")
    x = next(find_inputs("mine", loaded).batches())[1]
    apart = []
    for steps in (0, 40):
        run("dcgan", features="network.pt", features_weight=20.0, out=f"{steps}.npz", steps=steps)
        images = loaded.generate(torch.from_numpy(np.load(f"{steps}.npz")["z"]))
        with torch.no_grad():
            seen, wanted = (network(each.expand(-1, 3, -1, -1)) for each in (images, x))
        apart.append(float(((seen - wanted).square().sum(1) / wanted.square().sum(1)).mean()))
    assert apart[1] < 0.9 * apart[0], "the features come nearer to those of the images"
