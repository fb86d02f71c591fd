"""Schemes of updates and unrolling against their closed forms on min_x max_y x y (Gidel 2019; Mescheder 2017; Metz 2017).

Legend: h the step, every factor is that of the distance to (0, 0) a round.
"""

import math
from types import SimpleNamespace

import pytest
import torch
from composing import compose_loss
from planning import SMALL_NETWORKS, TINY, plan
from systems import later
from torch import nn

from gancli.data.spec import Batch, DataSpec
from gancli.engine.options import OPTIMIZERS, SCHEMES, OptimizerOptions, Rate, ScheduleOptions
from gancli.engine.players import Player
from gancli.engine.rounds import Game
from gancli.engine.state import collect, restore
from gancli.engine.unrolling import looked_ahead
from gancli.errors import UserError
from gancli.game.build import build_model
from gancli.game.model import Model, Progress
from gancli.losses.objective import Objective
from gancli.monitor.scalars import Scalars


class Bilinear(Model):
    """Player x minimizes x y, player y maximizes it."""

    discriminators = ("y",)

    def __init__(self, objective):
        super().__init__(DataSpec((1,), 8), objective)
        self.x, self.y = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
        self.players = {"x": [self.x], "y": [self.y]}
        with torch.no_grad():
            self.x.weight.fill_(1.0)
            self.y.weight.fill_(0.5)

    def player_loss(self, player, batch, progress):
        value = (self.x.weight * self.y.weight).sum()
        return (value if player == "x" else -value), {}

    def showcase(self, fixed):
        return {}

    @property
    def point(self):
        return torch.tensor([self.x.weight.item(), self.y.weight.item()], dtype=torch.float64)


class NoData:
    def batch(self, images, n, parts=1):
        return Batch((torch.zeros(n, 1),))


def objective():
    return Objective(compose_loss("none"))


def options_of(name="sgd", lr=0.1, **changes):
    values = {"betas": [0.5, 0.9], "momentum": 0.0, "alpha": 0.99, "weight_decay": 0.0, "eps": 1e-8} | changes
    return OptimizerOptions(name, lr, schedule=ScheduleOptions("constant", 0.5, 0.0), discriminator=Rate(None),
                            generator=Rate(None), players={}, **values)


def game_of(scheme, h, **trainer):
    """Return (model, game) with plain gradient steps."""
    model = Bilinear(objective())
    options = SimpleNamespace(scheme=scheme, consensus=1.0, unrolled=0, accumulate=1, clip_grad_norm=None, batch_size=1,
                              discriminator_turns=1, reuse_generated=True, **trainer)
    players = {name: Player(name, model, options_of(lr=h), options, "fp32") for name in model.players}
    return model, Game(model, None, players, options, seed=0)


def points(scheme, h, rounds):
    """Return the points [rounds + 1, 2] that a scheme goes through."""
    model, game = game_of(scheme, h)
    progress, found = Progress(total=10**9), [model.point]
    for _ in range(rounds):
        game.round(NoData(), progress, Scalars())
        found.append(model.point)
    return torch.stack(found)


FACTORS = {"simultaneous": lambda h: math.sqrt(1 + h**2),
           "extragradient": lambda h: math.sqrt(1 - h**2 + h**4),
           "past_extragradient": lambda h: math.sqrt((1 + math.sqrt(1 - 4 * h**2)) / 2),
           "optimistic": lambda h: math.sqrt((1 + math.sqrt(1 - 4 * h**2)) / 2),
           "consensus": lambda h: math.sqrt((1 - h) ** 2 + h**2)}


def test_every_scheme_is_tested():
    assert set(FACTORS) | {"alternating"} == set(SCHEMES) and len(SCHEMES) == 6


@pytest.mark.parametrize("h", later([0.3, 0.1]))
@pytest.mark.parametrize("scheme", FACTORS)
def test_the_factor_a_round(scheme, h):
    distance = points(scheme, h, 120).norm(dim=1)
    factor = (distance[120] / distance[40]).item() ** (1 / 80)  # after the second root of the recursion has died out
    assert factor == pytest.approx(FACTORS[scheme](h), abs=5e-5)


@pytest.mark.recipe
@pytest.mark.parametrize("h", later([0.1, 1.0], first=1))
def test_alternating_play_keeps_its_invariant_and_orbits(h):
    x, y = points("alternating", h, 400).unbind(1)
    invariant = x**2 + y**2 - h * x * y
    assert (invariant / invariant[0] - 1).abs().max() < 1e-4
    assert 0.3 < torch.stack((x, y)).norm(dim=0).min() and torch.stack((x, y)).norm(dim=0).max() < 3


class Resting(Bilinear):
    """Whose second turn is a rest, with a gradient that would move."""

    def player_loss(self, player, batch, progress):
        rests = float(progress.turns.get(player, 0) == 1)
        return super().player_loss(player, batch, progress)[0], {"rests": torch.tensor(rests)}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_who_rests_keeps_weights_and_the_optimizers_state(name):
    model = Resting(objective())
    player = Player("x", model, options_of(name, momentum=0.5, weight_decay=0.1), SimpleNamespace(
        accumulate=1, clip_grad_norm=None), "fp32")
    progress, seen = Progress(total=10), []
    for _ in range(3):
        player.turn(NoData().batch(0, 1), progress)
        state = {key: value.clone() for key, value in player.optimizer.state[model.x.weight].items()
                 if isinstance(value, torch.Tensor)}
        seen.append({**state, "weight": model.x.weight.detach().clone()})
    assert seen[0].keys() == seen[1].keys() and len(seen[0]) > 1
    for key in seen[0]:
        assert torch.equal(seen[0][key], seen[1][key])
        assert not torch.equal(seen[1][key], seen[2][key])


def test_an_opponent_looks_through_the_discriminators_steps():
    """y moves by h x a step: the loss x (y + K h x) has the slope y + 2 K h x, of which y + K h x is the first order."""
    for steps in (1, 3, 10):
        model, game = game_of("alternating", 0.1)
        game.trainer.unrolled = steps
        game.round(NoData(), Progress(total=10), Scalars())
        assert model.x.weight.item() == pytest.approx(1 - 0.1 * (0.5 + 2 * steps * 0.1 * 1.0), rel=1e-5)
        assert model.y.weight.item() == pytest.approx(0.5 + 0.1 * model.x.weight.item(), rel=1e-5)  # steps once, not K times


@pytest.mark.recipe
@pytest.mark.parametrize("decay", [0.0, 0.01])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_looking_ahead_takes_the_steps_that_the_optimizer_would(tmp_path, name, decay):
    assert len(OPTIMIZERS) == 4
    made = plan(tmp_path / "run", *TINY, *SMALL_NETWORKS["dcgan"], f"optimizer={name}", "optimizer.lr=0.01",
                "optimizer.momentum=0.5", f"optimizer.weight_decay={decay}", "model.discriminator_norm=none",
                "trainer.precision=fp32")
    torch.manual_seed(0)
    model = build_model(made.model, Objective(made.loss), made.spec).train()
    player = Player("discriminator", model, made.optimizer, made.trainer, "fp32")
    batch, progress = Batch((torch.rand(4, 1, 8, 8) * 2 - 1,)), Progress(total=100)

    def reseed():
        torch.manual_seed(7)

    for _ in range(2):  # the moments are not those of the beginning
        reseed()
        player.turn(batch, progress)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    ahead = looked_ahead([player], batch, progress, 3, reseed)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items() if "running" not in key
               and "tracked" not in key)
    for _ in range(3):
        reseed()
        player.turn(batch, progress)
    after = dict(model.named_parameters())
    for key, value in ahead.items():
        assert torch.allclose(value, after[key], rtol=1e-4, atol=1e-6), key
        assert not torch.equal(value, before[key]), key


def test_unrolling_reaches_the_generator_through_the_discriminators_steps(tmp_path):
    """The slope of the generator's loss equals finite differences of the whole look ahead, in float64."""
    made = plan(tmp_path / "run", *TINY, "model=gan", *SMALL_NETWORKS["gan"], "optimizer=sgd", "optimizer.lr=0.5",
                "model.dropout=0", "model.input_dropout=0", "model.discriminator_init=0.5", "model.generator_init=0.5")
    torch.manual_seed(0)
    model = build_model(made.model, Objective(made.loss), made.spec).double()
    players = {name: Player(name, model, made.optimizer, made.trainer, "fp32") for name in model.players}
    batch, progress = Batch((torch.rand(4, 1, 8, 8, dtype=torch.float64) * 2 - 1,)), Progress(total=100)
    model.prior.like = lambda x: torch.linspace(-1, 1, 24, dtype=torch.float64).view(4, 6)

    def loss(steps):
        players["generator"].ask_for_gradients()
        ahead = looked_ahead([players["discriminator"]], batch, progress, steps, lambda: None)
        return players["generator"].loss(batch, progress, ahead=ahead)[0]

    weight = model.generator.head.bias
    slopes = {}
    for steps in (0, 2):
        slopes[steps], = torch.autograd.grad(loss(steps), weight)
    worst = int((slopes[2] - slopes[0]).abs().argmax())
    differences = []
    for change in (1e-5, -1e-5):
        with torch.no_grad():
            weight[worst] += change
        differences.append(loss(2).item())
        with torch.no_grad():
            weight[worst] -= change
    assert slopes[2][worst].item() == pytest.approx((differences[0] - differences[1]) / 2e-5, rel=1e-4)
    assert slopes[2][worst].item() != pytest.approx(slopes[0][worst].item(), rel=1e-2)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_scheme_resumes_with_what_it_remembers(scheme):
    model, game = game_of(scheme, 0.2)
    progress = Progress(total=10**9)
    for _ in range(3):
        game.round(NoData(), progress, Scalars())
    tensors = {key: value.clone() for key, value in collect(model, None, game.players).items()}
    other, continued = game_of(scheme, 0.2)
    restore(tensors, other, None, continued.players)
    kept = Progress(total=10**9, **progress.as_dict())
    for each, where in ((game, progress), (continued, kept)):
        for _ in range(3):
            each.round(NoData(), where, Scalars())
    assert torch.equal(model.point, other.point)
    assert any(key.endswith("/past") for key in tensors) == (scheme in ("past_extragradient", "optimistic"))


@pytest.mark.recipe  # seconds
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_schemes_train_networks_with_any_optimizer(tmp_path, scheme, optimizer):
    made = plan(tmp_path / "run", *TINY, *SMALL_NETWORKS["dcgan"], f"optimizer={optimizer}", f"trainer.scheme={scheme}",
                "trainer.precision=fp32", "trainer.consensus=0.1")
    torch.manual_seed(0)
    model = build_model(made.model, Objective(made.loss), made.spec).train()
    players = {name: Player(name, model, made.optimizer, made.trainer, "fp32") for name in model.players}
    game, progress, scalars = Game(model, None, players, made.trainer, 0), Progress(total=1000), Scalars()
    before = {name: p.clone() for name, p in model.named_parameters()}

    class Noise:
        def batch(self, images, n, parts=1):
            return Batch((torch.rand(n, 1, 8, 8) * 2 - 1,))

    shown = [game.round(Noise(), progress, scalars) for _ in range(3)]
    assert shown == [8 if scheme == "extragradient" else 4] * 3  # both of its batches count
    assert all(math.isfinite(value) for value in scalars.read().values())
    assert all(not torch.equal(p, before[name]) and p.isfinite().all() for name, p in model.named_parameters())
    assert progress.turns == {"discriminator": 3, "generator": 3}
    assert "generator/D(G(z)) after" in game.after_turn("generator", progress)


@pytest.mark.parametrize(("overrides", "message"), [
    (("trainer.scheme=consensu",), "did you mean consensus"),
    (("trainer.scheme=optimistic", "trainer.discriminator_turns=2"), "give trainer.discriminator_turns=1"),
    (("trainer.scheme=extragradient", "trainer.unrolled=2"), "both look ahead"),
    (("trainer.unrolled=-1",), "unrolled must be at least 0"),
    (("trainer.unrolled=2", "trainer.accumulate=2"), "give trainer.accumulate=1"),
    (("trainer.scheme=consensus", "trainer.accumulate=2"), "give trainer.accumulate=1"),
    (("+optimizer.players.encoder.lr=1",), "optimizer.players.encoder: model=dcgan has no such player"),
    (("optimizer.players.generator.name=adem",), "did you mean adam"),
    (("optimizer.players.generator.betas=[0.5]",), "two entries"),
])
def test_what_cannot_be_played_is_refused(tmp_path, overrides, message):
    with pytest.raises(UserError, match=message):
        plan(tmp_path / "run", *TINY, *overrides)
    assert not (tmp_path / "run").exists()


def test_a_player_has_an_optimizer_rate_and_moments_of_its_own(tmp_path):
    made = plan(tmp_path / "run", *TINY, *SMALL_NETWORKS["dcgan"], "optimizer=adam", "optimizer.lr=1e-3",
                "optimizer.discriminator.lr=2e-3", "optimizer.players.discriminator.lr=3e-3",
                "optimizer.players.generator.name=rmsprop", "optimizer.players.discriminator.betas=[0.1,0.2]")
    model = build_model(made.model, Objective(made.loss), made.spec)
    players = {name: Player(name, model, made.optimizer, made.trainer, "fp32") for name in model.players}
    assert isinstance(players["generator"].optimizer, torch.optim.RMSprop) and players["generator"].base_lr == 1e-3
    group = players["discriminator"].optimizer.param_groups[0]
    assert (players["discriminator"].base_lr, group["betas"]) == (3e-3, (0.1, 0.2))

