"""Experiments on theory: closed forms that the engine must meet, files, pages, and what is refused."""

import csv
import json
import math
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from systems import later
from typer.testing import CliRunner

import gancli.lab
from gancli.cli import main
from gancli.config import groups
from gancli.config.compose import compose
from gancli.data.dataset import data_folder, load_data
from gancli.lab import divergences, equilibrium, generator_costs, mode_seeking, modes, optimal_discriminator, value_at_optimum
from gancli.lab.frame import run
from gancli.lab.frame.densities import Mixture, grid_of, jsd, kl
from gancli.lab.frame.moving import Curves, Points, Recorded, Scene, Surface, moments
from gancli.lab.frame.moving import Path as Way
from gancli.lab.frame.result import Result, Table
from gancli.lab.frame.writing import write

EXPERIMENTS = sorted(groups.options("lab"))
OPTIMA = {  # of mode_seeking: m, s, value for d = 2, 3, 4, 5, by quadrature and a simplex search
    "kl": [(0, 2.2361, 0.1720), (0, 3.1623, 0.4620), (0, 4.1231, 0.7236), (0, 5.0990, 0.9359)],
    "reverse_kl": [(0, 2.0470, 0.2265), (2.9843, 1.0234, 0.6888), (3.9996, 1.0008, 0.6931), (5, 1, 0.6931)],
    "js": [(0, 2.1964, 0.0461), (0, 3.1198, 0.1284), (0, 4.0848, 0.2010), (5, 1, 0.2158)]}


def options(name: str, *overrides: str):
    """Return an experiment's options as `gan lab NAME OVERRIDES` has them."""
    values = OmegaConf.to_container(compose("lab", [f"lab={name}", *overrides]), resolve=True)
    return run.checked(values)[1]


def gan(*arguments: str):
    """Run one command line in this process."""
    return CliRunner().invoke(main.app, ["lab", *arguments], prog_name="gan")


# The list

def test_every_experiment_has_a_file_a_claim_and_a_paper():
    files = {path.stem for path in Path(gancli.lab.__file__).parent.glob("*.py")} - {"__init__"}
    assert files == set(EXPERIMENTS) and len(files) == 9
    lines = gan("--list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == EXPERIMENTS
    assert all(line.rstrip().endswith(").") and "20" in line.rpartition("(")[2] for line in lines)
    assert gan().stdout == gan("--list").stdout


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_options_compose(name):
    assert options(name, "seed=3").seed == 3
    assert hasattr(import_module(f"gancli.lab.{name}"), "experiment")


# x*y

@pytest.mark.parametrize("h", later([0.1, 0.2]))
def test_a_step_multiplies_the_distance_as_the_papers_say(h):
    given = options("equilibrium", f"h={h}", "steps=60")
    exact = {"simultaneous": math.sqrt(1 + h**2), "alternating": 1.0, "extragradient": math.sqrt(1 - h**2 + h**4),
             "past_extragradient": math.sqrt((1 + math.sqrt(1 - 4 * h**2)) / 2),
             "optimistic": math.sqrt((1 + math.sqrt(1 - 4 * h**2)) / 2), "consensus": math.sqrt((1 - h) ** 2 + h**2)}
    paths = equilibrium.bilinear(given)
    assert paths.keys() == exact.keys() and len(exact) == 6
    for scheme, path in paths.items():
        assert equilibrium.factor(scheme, path, h) == pytest.approx(exact[scheme], abs=5e-5), scheme
        assert equilibrium.exact_factor(scheme, h, 1.0) == pytest.approx(exact[scheme], abs=1e-12), scheme


@pytest.mark.recipe  # seconds
@pytest.mark.parametrize("scheme, known", [("simultaneous", 1.1180), ("extragradient", 0.90139), ("consensus", 0.70711)])
def test_a_long_step(scheme, known):
    path = equilibrium.bilinear(options("equilibrium", "h=0.5", "steps=40", f"schemes=[{scheme}]"))[scheme]
    assert equilibrium.factor(scheme, path, 0.5) == pytest.approx(known, abs=5e-5)


def test_factors_of_the_facts():
    known = {("past_extragradient", 0.5): 0.70711, ("extragradient", 1 / math.sqrt(2)): math.sqrt(3) / 2,
             ("optimistic", 0.1): 0.99494, ("optimistic", 0.2): 0.97891, ("consensus", 0.1): 0.90554}
    for (scheme, h), factor in known.items():
        assert equilibrium.exact_factor(scheme, h, 1.0) == pytest.approx(factor, abs=1e-5)
    assert equilibrium.exact_factor("past_extragradient", 0.57, 1.0) < 1 < equilibrium.exact_factor("optimistic", 0.58, 1.0)


@pytest.mark.recipe  # seconds
def test_alternating_play_conserves_its_ellipse_and_its_mean_falls_as_one_over_ht():
    path = equilibrium.bilinear(options("equilibrium", "steps=400", "schemes=[alternating]"))["alternating"]
    kept = equilibrium.invariant(path, 0.2)
    assert np.ptp(kept) < 1e-5 * kept[0]
    mean, exact = equilibrium.averaged(path), equilibrium.exact_average(path, 0.2)
    assert np.abs(np.hypot(*mean.T) - exact).max() < 1e-4
    steps = np.arange(1, 401)
    times_ht = np.hypot(*mean.T) * 0.2 * steps
    widest = np.sqrt(kept[0] * 2 / (1 - 0.1)) * 2  # twice the ellipse's longer half axis
    assert times_ht.max() < widest and times_ht[200:].max() > 0.5 * times_ht[:200].max(), "neither faster nor slower"


# Dirac-GAN

@pytest.mark.recipe  # seconds
def test_which_remedies_arrive_on_the_dirac_gan():
    given = options("equilibrium")
    arrives = {"gan": False, "nonsaturating": False, "wgan_clip": False, "wgan_gp": False, "dragan": False,
               "instance_noise": True, "r1": True, "consensus": True}
    assert given.dirac.methods.keys() == arrives.keys()
    for name, method in given.dirac.methods.items():
        path = equilibrium.walk(equilibrium.Dirac(method, [1.0, 1.0], 64), given.trainer, given.optimizer,
                                method.scheme or "simultaneous", 0.2, 150)
        assert (np.hypot(*path[-1]) < 0.1) == arrives[name], name
        exact = equilibrium.exact_eigenvalues(given, method)
        if exact is None:
            assert name in ("wgan_gp", "dragan")
            continue
        assert (exact.real < -1e-9).all() == arrives[name]
        order = lambda values: np.sort_complex(np.round(values.astype(complex), 6))  # noqa: E731
        assert np.abs(order(equilibrium.eigenvalues(given, method)) - order(exact)).max() < 1e-3, name


@pytest.mark.parametrize("gamma, known", [(0.3, (-0.15 - 0.477j, -0.15 + 0.477j)), (1.0, (-0.5, -0.5)),
                                          (2.0, (-1.866, -0.134))])
def test_eigenvalues_of_r1(gamma, known):
    given = options("equilibrium", f"dirac.methods.r1.loss.r1.weight={gamma}")
    found = np.sort_complex(equilibrium.exact_eigenvalues(given, given.dirac.methods["r1"]))
    assert np.abs(found - np.sort_complex(np.array(known))).max() < 1e-3
    measured = equilibrium.eigenvalues(given, given.dirac.methods["r1"])
    assert abs(measured.prod() - found.prod()) < 1e-3 and abs(measured.sum() - found.sum()) < 1e-3


# Costs and divergences

def test_slopes_of_the_three_costs():
    given = options("generator_costs")
    logits = np.array([-15.0, -4.0, 0.0, 4.0, 15.0])
    d = 1 / (1 + np.exp(-logits))
    slopes = {"minimax": -d / 2, "nonsaturating": -(1 - d) / 2, "maximum_likelihood": -np.exp(logits) / 2}
    at_half = {"minimax": -0.3466, "nonsaturating": 0.3466, "maximum_likelihood": -0.5}
    assert given.losses.keys() == slopes.keys()
    for name, exact in slopes.items():
        costs, found = generator_costs.felt(given.losses[name], logits)
        assert np.abs(found / exact - 1).max() < 1e-6, name
        assert costs[2] == pytest.approx(at_half[name], abs=1e-4)
        assert np.abs(costs - generator_costs.exact(name, logits)[0]).max() < 1e-6 * np.abs(costs).max()


def test_divergences_of_gaussians_by_quadrature():
    p, q = Mixture([0.0], [1.0], [1.0]), Mixture([1.0], [2.0], [3.0])
    x = grid_of(p, q, points=4001)
    assert kl(p.log(x), q.log(x), x) == pytest.approx(math.log(2) + 2 / 8 - 0.5, abs=1e-6)
    far = Mixture([60.0], [1.0], [1.0])
    x = grid_of(p, far, points=8001)
    assert jsd(p.log(x), far.log(x), x) == pytest.approx(math.log(2), abs=1e-6)
    torch.manual_seed(0)
    drawn = Mixture([-3.0, 3.0], [0.5, 0.1], [1.0, 3.0]).draw(40_000)
    assert (drawn > 0).float().mean().item() == pytest.approx(0.75, abs=0.01)
    assert drawn[drawn > 0].std().item() == pytest.approx(0.1, abs=0.01)


def test_parallel_lines():
    given = options("divergences")
    assert divergences.exact(given, 0.0) == (0.0, 0.0, 0.0)
    assert divergences.exact(given, 0.25) == (math.inf, math.log(2), 1.0)
    noisy = options("divergences", "noise=0.5")
    kl_, jsd_, tv = divergences.exact(noisy, 1.0)
    assert kl_ == pytest.approx(2.0) and 0 < jsd_ < math.log(2) and tv == pytest.approx(0.6827, abs=1e-4)
    assert divergences.bias(given.losses["penalized_critic"], 0.5) == pytest.approx(0.25 / 200)


@pytest.mark.parametrize("name", OPTIMA)
def test_optima_of_one_gaussian_on_two_modes(name):
    for d, (m, s, value) in zip((2.0, 3.0, 4.0, 5.0), OPTIMA[name], strict=True):
        best = mode_seeking.exact(name, d, 801)
        assert (best.m, best.s, best.value) == pytest.approx((m, s, value), abs=2e-3), d


@pytest.mark.recipe
def test_a_gaussian_learns_an_optimum_of_the_f_gan():
    given = options("mode_seeking", "trainer.batch_size=2048")
    fit, way = mode_seeking.learn(given, given.losses["reverse_kl"], 3.0)
    assert (fit.m, fit.s, fit.value) == pytest.approx(OPTIMA["reverse_kl"][1], abs=1e-2) and way[-1] == fit


@pytest.mark.recipe  # seconds
def test_a_discriminator_nears_its_optimum_and_its_value():
    given = options("optimal_discriminator", "steps=300", "trainer.batch_size=1024", "units=32", "optimizer.lr=0.01")
    learned = optimal_discriminator.learn(given, given.losses["minimax"], given.pairs["two_gaussians"])
    middle = np.abs(learned.x) < 2
    assert np.abs(learned.exact - 1 / (1 + np.exp(-2 * learned.x)))[middle].max() < 1e-9
    assert learned.error[-1] < 0.05 < learned.error[0]
    given = options("value_at_optimum", "steps=200", "examples=50000")
    value = value_at_optimum.measure(given, "q", 1.0, Mixture([1.0], [1.0], [1.0]))
    assert value.exact == pytest.approx(-1.1635, abs=1e-4) and value.learned == pytest.approx(value.exact, abs=1e-2)


# Modes

def test_remedies_start_and_look_alike():
    given = options("modes", "rounds=4", "looks=3", "samples=100", "trainer.batch_size=8", "model.generator_units=8")
    data = load_data(given.dataset, data_folder(None), "cpu", 0)
    played = {name: modes.learn(given, remedy, data) for name, remedy in given.remedies.items()}
    assert len(played) == 4 and all(each.times == [0, 2, 4] for each in played.values())
    first, *others = played.values()
    assert first.clouds.shape == (3, 100, 2) and all(np.array_equal(each.clouds[0], first.clouds[0]) for each in others)
    assert all(not np.array_equal(each.clouds[-1], first.clouds[-1]) for each in others)


def test_the_mixture_itself_has_all_modes(monkeypatch):
    monkeypatch.setattr(modes, "learn", lambda options, remedy, data: modes.Played([0], [found], np.zeros((1, 5, 2))))
    given = options("modes", "dataset=grid", "samples=20000")
    data = load_data(given.dataset, data_folder(None), "cpu", 0)
    found = modes.toy_coverage(data.examples(torch.arange(100)), *modes.mixture(data))
    name, count, captured, held, good, kl, exact = modes.experiment(given).tables[0].rows[0]
    assert (name, count, captured, held) == ("the data", 25, 25, 25)
    assert good == pytest.approx(exact, abs=0.3) and exact == pytest.approx(98.889, abs=1e-3) and kl < 0.01


# Files

def made() -> Result:
    """A result with all that a result may have."""
    times, x = [0, 5, 9], np.linspace(0, 1, 5)
    def scene(name, what):
        return Scene(name, "x", "y", (0, 1), (0, 1), "step", [Recorded("</script><b>", "told", times, what)])
    table = Table("one", "A <title>", ("a", "b"), [("x", math.inf), ("y<", 0.25), ("z", None)])
    return Result([table], lambda figure, style: figure.add_subplot().plot([0, 1]), "It shows.", [
        scene("ways", Way(np.array([[0, 0], [1, 1], [0.5, np.nan]]))),
        scene("curves", Curves(x, {"q": np.ones((3, 5))}, {"p": x})),
        scene("surface", Surface(np.random.default_rng(0).normal(size=(3, 4, 4)), np.zeros((2, 2)))),
        scene("points", Points(np.zeros((3, 4, 2)), np.ones((2, 2))))])


@pytest.mark.recipe
def test_files_of_an_experiment(tmp_path, monkeypatch):
    monkeypatch.setattr("gancli.lab.frame.film.FRAMES", 2)
    files = write(tmp_path / "out", "name", "A claim (Somebody 2014).", {"seed": 0}, made(), 1.0)
    assert {path.name for path in files} == {"index.html", "one.csv", "figure.png", "figure.svg", "figure-dark.png",
                                             "figure-dark.svg", "result.json", "animation.gif"}
    assert all(path.stat().st_size for path in files) and len(list((tmp_path / "out").iterdir())) == 8
    assert list(csv.reader((tmp_path / "out/one.csv").open())) == [["a", "b"], ["x", "inf"], ["y<", "0.25"], ["z", ""]]
    assert json.loads((tmp_path / "out/result.json").read_text())["tables"][0]["rows"][0] == ["x", "inf"]
    page = files[0].read_text()
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")
    assert page.count("<script") == 2 and "y&lt;" in page and "</script><b>" not in page
    data = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    assert [run["kind"] for scene in data for run in scene["runs"]] == ["path", "curves", "surface", "points"]


def test_moments_are_all_different_and_end_at_the_end():
    times = moments(1000, 40)
    assert times[0] == 0 and times[-1] == 1000 and len(times) == len(set(times)) <= 40
    assert moments(3, 40) == [0, 1, 2, 3]


@pytest.fixture
def quick_figures(monkeypatch):
    """Leave the drawing out; test_files_of_an_experiment draws."""
    monkeypatch.setattr("gancli.lab.frame.writing._figure", lambda result, style: {"png": b"p", "svg": b"s"})


def test_an_experiment_from_the_command_line(tmp_path, monkeypatch, quick_figures):
    monkeypatch.chdir(tmp_path)
    done = gan("generator_costs", "grid=20", "out=costs here")
    assert done.exit_code == 0, done.output
    assert "nonsaturating" in done.stdout and "costs here/index.html" in done.stdout
    again = gan("generator_costs", "grid=20", "out=costs here")
    assert again.exit_code == 2 and "holds files already" in again.stderr
    assert gan("generator_costs", "grid=20", "out=costs here", "overwrite=true").exit_code == 0


@pytest.mark.recipe
def test_a_sweep_of_an_experiment(tmp_path, monkeypatch, quick_figures):
    monkeypatch.chdir(tmp_path)
    done = gan("generator_costs", "-m", "grid=20,30")
    assert done.exit_code == 0, done.output
    sweep, = (tmp_path / "outputs" / "lab").iterdir()
    assert sweep.name.endswith("-generator_costs")
    assert all((sweep / job / "index.html").is_file() for job in "01")
    assert json.loads((sweep / "1" / "result.json").read_text())["options"]["grid"] == 30
    assert "There are no runs" in CliRunner().invoke(main.app, ["list", "runs"]).stdout


def test_keys_are_printed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "steps: 7" in gan("equilibrium", "steps=7", "--cfg", "job").stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments, told", later([
    (["nope"], "There is no experiment called nope"), (["equilibrum"], "did you mean equilibrium?"),
    (["generator_costs", "gird=3"], "did you mean grid?"), (["equilibrium", "h=-1"], "h must be greater than 0"),
    (["equilibrium", "schemes=[alternating,nonsense]"], "schemes=nonsense does not exist"),
    (["equilibrium", "start=[0,0]"], "not both 0"), (["equilibrium", "h=2", "steps=20000"], "leave what fp32 can hold"),
    (["generator_costs", "grid=1000000000000"], "are free: give grid="), (["lipschitz", "grid=3000000"], "give grid="),
    (["lipschitz", "dataset=mixture_1d"], "no points of the plane"),
    (["divergences", "losses.clipped_critic.rule=hinge"], "hinge"),
    (["mode_seeking", "losses.js.divergence=pearson"], "divergence=kl, reverse_kl, js"),
    (["value_at_optimum", "loss=hinge"], "minimax"), (["vanishing_gradient", "model.generator_units=0"], "generator_units"),
    (["vanishing_gradient", "dataset=folder", "dataset.path=nowhere"], "nowhere"),
    (["modes", "dataset=swiss_roll"], "no mixture in the plane"),
    (["modes", "model=vae"], "model.generator_units"),
    (["modes", "remedies.minimax.unrolled=-1"], "unrolled"), (["modes", "remedies.minimax.scheme=consensus"], "scheme"),
    (["generator_costs", "out=taken"], "taken is a file"), (["all", "-m", "seed=1,2"], "takes values alone"),
    (["all", "gird=3"], "There is no key gird"), (["equilibrium", "-m", "h=0.1,0.2", "out=x"], "folder of its own"),
    (["--list", "equilibrium"], "takes no name"), (["equilibrium", "h=0.1,0.2"], "add -m to `gan lab`")], first=7))
def test_what_is_refused_leaves_nothing(arguments, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").touch()
    done = gan(*arguments)
    message = done.stderr or done.stdout
    assert done.exit_code in (1, 2) and told in message and "Traceback" not in message, done.output
    left = {path.name for path in tmp_path.iterdir()} - ({"outputs"} if arguments[1:2] == ["-m"] else set())
    assert left == {"taken"}, "a sweep's failed jobs leave their record, all else nothing"
