"""Style-based systems and r3gan as games: styles, lazy penalties, growth, schedules."""

import math

import pytest
import torch
from composing import batch_for, compose_loss, compose_model, spec_for, take_turn

from gancli.engine.options import OptimizerOptions, ScheduleOptions, TrainerOptions
from gancli.engine.players import Player
from gancli.errors import UserError
from gancli.game.model import Fixed, Progress
from gancli.game.phase import Phase, in_turn
from gancli.game.styles import bands, truncated
from gancli.options import typed
from gancli.plan.course import course

STYLED = ("stylegan", "stylegan2")
PLAYERS = ["discriminator", "generator"]


def turns(model, default=None, images=0):
    """Return a round's turns in words: player, part and interval."""
    phase = model.phase(Progress(total=10**6, images=images), default or in_turn(PLAYERS))
    return [(turn.player, turn.part, turn.every) for turn in phase.turns]


# Styles


@pytest.mark.parametrize("name", STYLED)
def test_the_average_of_styles_follows_the_first_latents_of_a_batch(name):
    torch.manual_seed(0)
    model = compose_model(name, style_decay=0.9, mixing=1)
    x = torch.zeros(8, *model.spec.shape)
    torch.manual_seed(1)
    model.styles_for(x)
    torch.manual_seed(1)
    expected = 0.1 * model.mapping(model.latents_for(x)).mean(0)
    torch.testing.assert_close(model.mean_style, expected)
    model.styles_for(x, tracked=False)
    torch.testing.assert_close(model.mean_style, expected)


@pytest.mark.parametrize("name", STYLED)
def test_mixed_styles_have_one_crossover_for_a_batch(name):
    torch.manual_seed(0)
    model = compose_model(name, mixing=1, **({"stable_kimg": 0, "fade_kimg": 0} if name == "stylegan" else {}))
    x, seen = torch.zeros(5, *model.spec.shape), set()
    for _ in range(40):
        styles = model.styles_for(x)
        changes = (styles[:, 1:] != styles[:, :-1]).any(2)  # [N, L - 1]
        assert changes.sum(1).eq(1).all() and len(changes.unique(dim=0)) == 1
        seen.add(int(changes[0].nonzero()) + 1)
    assert seen == set(range(1, model.style_layers))  # from 1 to L - 1
    plain = compose_model(name, mixing=0).styles_for(x)
    assert torch.equal(plain, plain[:, :1].expand_as(plain))


def test_only_layers_that_have_grown_are_mixed():
    torch.manual_seed(0)
    model = compose_model("stylegan", spec=spec_for("stylegan", (1, 32, 32)), mixing=1)
    seen = set()
    for _ in range(30):
        model.now = 1.0  # 8x8: four of eight layers
        styles = model.styles_for(torch.zeros(2, 1, 32, 32))
        seen.add(int((styles[0, 1:] != styles[0, :-1]).any(1).nonzero()) + 1)
    assert seen == {1, 2, 3}


def test_truncation_moves_styles_to_their_average():
    style, mean = torch.randn(4, 6), torch.randn(6)
    assert torch.equal(truncated(style, mean, 1.0), style)
    assert torch.allclose(truncated(style, mean, 0.0), mean.expand(4, -1), atol=1e-6)
    torch.testing.assert_close(truncated(style, mean, 0.7), mean + 0.7 * (style - mean))


def test_bands_are_the_papers_and_fewer_sizes_are_split_likewise():
    spans = {count: [(span[0], span[-1]) if len(span) else None for span in bands(count).values()]
             for count in range(4, 19, 2)}
    assert spans[18] == [(0, 3), (4, 7), (8, 17)]  # Karras 2019, section 3.1
    assert spans[8] == [(0, 1), (2, 3), (4, 7)] and spans[6] == [(0, 1), (2, 3), (4, 5)] and spans[4] == [(0, 1), None, (2, 3)]
    for count, (*_, last) in spans.items():
        assert last[1] == count - 1


@pytest.mark.parametrize("name", STYLED)
def test_pictures_are_made_with_the_fixed_noise(name):
    torch.manual_seed(0)
    model = compose_model(name, stable_kimg=0, fade_kimg=0) if name == "stylegan" else compose_model(name)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if key.endswith("strength"):
                parameter.fill_(1)
    z = model.draw_latents(3, torch.Generator().manual_seed(0))
    styles = model.mapping(z)
    assert not torch.equal(model.synthesize(styles), model.synthesize(styles))  # training
    model.eval()
    x = model.synthesize(styles)
    assert torch.equal(x, model.synthesize(styles, model.noise_maps()))
    assert torch.equal(x, model.synthesize(model.every_layer(styles))) and torch.equal(x.clamp(-1, 1), model.generate(z))
    silent = model.synthesize(styles, [None] * len(model.noise_maps()))
    coarse = model.synthesize(styles, [each if each.shape[2] == 4 else None for each in model.noise_maps()])
    assert not torch.allclose(silent, x, atol=1e-3) and not torch.allclose(coarse, silent, atol=1e-3)


# Penalties


def test_lazy_penalties_have_turns_of_their_own():
    assert turns(compose_model("stylegan2")) == [("discriminator", "", 1), ("discriminator", "r1", 16), ("generator", "", 1),
                                                 ("generator", "path_length", 4)]
    assert turns(compose_model("stylegan2", r1_interval=1, path_weight=0)) == [("discriminator", "", 1), ("generator", "", 1)]
    twice = turns(compose_model("stylegan2", path_weight=0), in_turn(PLAYERS, {"discriminator": 2}))
    assert twice == [("discriminator", "", 1), ("discriminator", "", 1), ("discriminator", "r1", 16), ("generator", "", 1)]
    assert turns(compose_model("stylegan2", compose_loss("rpgan")))[1] == ("generator", "", 1)  # it has its own R1
    assert turns(compose_model("stylegan2", r1_gamma=0))[1] == ("generator", "", 1)


def test_r1_is_weighted_by_gamma_and_its_interval():
    torch.manual_seed(0)
    weight = torch.randn(1, 16, 16)
    for changes, gamma in (({"r1_gamma": 3}, 3), ({}, 2e-4 * 256 / 4)):
        model = compose_model("stylegan2", **changes)
        model.judge = lambda x, weight=weight: (x * weight).flatten(1).sum(1)
        loss, scalars = model.part_loss("r1", "discriminator", batch_for(model.spec), Progress(total=1))
        slope = weight.square().sum()
        torch.testing.assert_close(loss, 16 * gamma * 0.5 * slope)
        torch.testing.assert_close(scalars["r1"], 0.5 * slope)


def test_r1_of_every_turn_is_part_of_the_loss():
    torch.manual_seed(0)
    losses = []
    for gamma in (0, 2):
        torch.manual_seed(1)
        model = compose_model("stylegan2", r1_gamma=gamma, r1_interval=1)
        batch = batch_for(model.spec)
        torch.manual_seed(2)
        losses.append(model.player_loss("discriminator", batch, Progress(total=1)))
    (plain, _), (whole, scalars) = losses
    torch.testing.assert_close(whole - plain, 2 * scalars["r1"])


def test_the_mean_path_length_follows_and_the_penalty_is_taken_on_half_a_batch():
    torch.manual_seed(0)
    model = compose_model("stylegan2", path_weight=2, path_interval=4)
    batch = batch_for(model.spec, n=8)
    seen = []
    model.make, make = lambda styles: seen.append(len(styles)) or make(styles), model.make
    loss, scalars = model.part_loss("path_length", "generator", batch, Progress(total=1))
    assert seen == [4]
    torch.testing.assert_close(model.path_length, 0.01 * scalars["path_length"])
    torch.testing.assert_close(loss.detach(), 2 * 4 * scalars["path_penalty"])
    loss.backward()
    still = {key for key, p in model.generator.named_parameters() if p.grad is None or not p.grad.any()}
    assert all("to_images.bias" in key or key.endswith("strength") for key in still)  # they move no path


def test_parts_that_are_not_there_are_an_error():
    with pytest.raises(ValueError, match="no part r2"):
        compose_model("stylegan2").part_loss("r2", "discriminator", None, Progress(total=1))


# Growth of stylegan


def test_growth_begins_at_8x8_and_may_be_left_out():
    model = compose_model("stylegan", spec=spec_for("stylegan", (1, 32, 32)), stable_kimg=0.1, fade_kimg=0.2,
                          batch_sizes=[20, 4], rates=[1e-3, 2e-3])
    stretches = course(model, in_turn(PLAYERS), 1000, 4)
    assert [(s.phase.name, s.begin, s.batch_size, s.phase.lr["generator"]) for s in stretches] == [
        ("8x8", 0, 20, 1e-3), ("fade to 16x16", 100, 4, 2e-3), ("16x16", 300, 4, 2e-3), ("fade to 32x32", 400, 4, 2e-3),
        ("32x32", 600, 4, 2e-3)]
    assert len(model.generator["synthesis"].to_images) == len(model.discriminator.from_images) == 3
    whole = compose_model("stylegan", spec=spec_for("stylegan", (1, 32, 32)), stable_kimg=0, fade_kimg=0)
    assert [s.phase.name for s in course(whole, in_turn(PLAYERS), 1000, 4)] == ["32x32"]
    assert len(whole.generator["synthesis"].to_images) == 1


@pytest.mark.parametrize("level", [2, 3])
def test_a_fade_of_stylegan_begins_and_ends_with_the_networks_beside_it(level):
    torch.manual_seed(0)
    model = compose_model("stylegan", spec=spec_for("stylegan", (1, 32, 32))).eval()
    make, judge = model.generator["synthesis"], model.discriminator
    styles = torch.randn(3, model.style_layers, 6)
    below, above = make(styles, None, level - 1.0), make(styles, None, float(level))
    enlarged = below.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(make(styles, None, level - 1 + 1e-6), enlarged, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(make(styles, None, level - 0.5), (enlarged + above) / 2)
    torch.testing.assert_close(judge(above, None, level - 1e-6), judge(above, None, float(level)), rtol=1e-3, atol=1e-4)
    small = torch.nn.functional.avg_pool2d(above, 2)
    torch.testing.assert_close(judge(above, None, level - 1 + 1e-6), judge(small, None, level - 1.0), rtol=1e-3, atol=1e-4)


def test_pictures_of_a_growing_network_have_full_size():
    model = compose_model("stylegan", spec=spec_for("stylegan", (1, 32, 32)), stable_kimg=0.1, fade_kimg=0.2)
    batch = batch_for(model.spec)
    for images, block in ((0, 4), (200, 2), (300, 2), (900, 1)):
        model.player_loss("generator", batch, Progress(total=1000, images=images))
        model.eval()
        x = model.showcase(Fixed(model.draw_latents(4, torch.Generator()), None, batch, 2))["samples"]
        model.train()
        assert x.shape == (4, 1, 32, 32) and torch.equal(x, x[..., ::block, ::block].repeat_interleave(block, 2)
                                                         .repeat_interleave(block, 3))


# Labels


@pytest.mark.parametrize("name", [*STYLED, "r3gan"])
def test_labels_are_asked_for_by_an_option(name):
    plain, labeled = compose_model(name), compose_model(name, conditional=True)
    assert not plain.needs.labels and labeled.needs.labels
    assert labeled.sample(3, torch.Generator()).shape == (3, 1, 16, 16)  # of random labels
    with torch.no_grad():
        for parameter in labeled.parameters():  # r3gan's blocks begin as nothing
            if not parameter.any():
                parameter.normal_(0, 0.1)
    labeled.eval()
    x = batch_for(labeled.spec).real
    one, two = (labeled.judge(x, torch.full((4,), label)) for label in (0, 1))
    assert not torch.allclose(one, two)
    z = labeled.draw_latents(4, torch.Generator().manual_seed(0))
    assert not torch.allclose(labeled.generate(z, torch.zeros(4, dtype=torch.int64)),
                              labeled.generate(z, torch.ones(4, dtype=torch.int64)))
    with pytest.raises(UserError, match="needs labels"):
        compose_model(name, conditional=True, spec=type(plain.spec)((1, 16, 16), 9))


@pytest.mark.parametrize("name", [*STYLED, "r3gan"])
def test_sizes_that_no_doubling_reaches_are_refused(name):
    with pytest.raises(UserError, match=f"model={name} .* cannot grow to 36x36: give dataset.size=32 or 40"):
        compose_model(name, spec=spec_for(name, (1, 36, 36)))
    for shape in ((4, 24, 48), (2, 28, 28)):
        model = compose_model(name, spec=spec_for(name, shape))
        assert model.sample(2, torch.Generator()).shape == (2, *shape)
        for player in PLAYERS:
            take_turn(model, player, batch_for(model.spec), Progress(total=1000, images=900))


# Schedules of r3gan


def test_schedules_are_half_a_cosine_over_the_burn_in():
    model = compose_model("r3gan", compose_loss("rpgan"), burn_in_kimg=1, lr_end=0.25, gamma_end=0.1, forgetting_end=0.2)
    for images, part in ((0, 0.0), (250, 0.5 * (1 - math.cos(math.pi / 4))), (500, 0.5), (1000, 1.0), (5000, 1.0)):
        phase = model.phase(Progress(total=9, images=images), in_turn(PLAYERS))
        assert phase.name == "game" and phase.turns == in_turn(PLAYERS).turns
        found = (phase.lr_factor, model.penalty_factor(Progress(total=9, images=images)), phase.forgetting)
        assert found == pytest.approx((1 - 0.75 * part, 1 - 0.9 * part, 1 - 0.8 * part))
    batch, losses = batch_for(model.spec), []
    for images in (0, 1000):
        torch.manual_seed(0)
        losses.append(model.player_loss("discriminator", batch, Progress(total=9, images=images)))
    (early, scalars), (late, _) = losses
    torch.testing.assert_close(early - late, 0.9 * (scalars["r1"] + scalars["r2"]))


def test_a_phase_scales_rates_and_forgetting():
    model = compose_model("r3gan")
    options = typed(OptimizerOptions, {"name": "adam", "lr": 2e-4, "betas": [0.0, 0.9], "momentum": 0.0, "alpha": 0.99,
                                       "weight_decay": 0.0, "eps": 1e-8, "players": {}, "discriminator": {"lr": None},
                                       "generator": {"lr": None}, "schedule": vars(ScheduleOptions("constant", 0, 0))}, "")
    player = Player("generator", model, options, TrainerOptions.__new__(TrainerOptions), "fp32")
    player.enter(Phase((), lr_factor=0.5, forgetting=0.1), begins=True)
    assert player.base_lr == pytest.approx(1e-4) and player.optimizer.param_groups[0]["betas"] == pytest.approx((0.0, 0.99))
    player.enter(Phase(()), begins=False)
    assert player.base_lr == 2e-4 and player.optimizer.param_groups[0]["betas"] == (0.0, 0.9)


WRONG = [("stylegan2", {"synthesis": "plain"}, "model.synthesis=plain"),
         ("stylegan2", {"r1_interval": 0}, "r1_interval must be"),
         ("stylegan", {"mixing": 1.5}, "mixing must be"), ("r3gan", {"blocks": 0}, "blocks must be"),
         ("stylegan", {"batch_sizes": [200]}, "give 100 or less")]


@pytest.mark.parametrize(("name", "changes", "words"), WRONG)
def test_wrong_options_are_refused(name, changes, words):
    with pytest.raises(UserError, match=words):
        compose_model(name, **changes)
