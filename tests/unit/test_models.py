"""Every model against every loss, and what the contract asks of each model."""

import copy
from dataclasses import fields

import pytest
import torch
from composing import (
    batch_for,
    compose_loss,
    compose_model,
    phases_of,
    read,
    spec_for,
    spec_near,
    take_turn,
)
from systems import BY_TIER, CONF, LOSSES, MODELS, VARIANTS, covering, loss_for, name_of, rules_of

from gancli.data.spec import DataSpec
from gancli.errors import UsageError, UserError
from gancli.game.abilities import able
from gancli.game.build import adapt, model_options
from gancli.game.model import Fixed, Progress
from gancli.networks.layers import mixes_examples
from gancli.registry import models

COMBINATIONS = [(name, changes, loss, loss_changes) for name, changes in VARIANTS for loss, loss_changes in rules_of(name)]
QUICK = covering(2)  # what the unit tier tries; the whole table belongs to the recipe tier
TURNS = [pytest.param(*row, marks=() if row in QUICK else pytest.mark.recipe) for row in COMBINATIONS]
SAMPLING = [(name, changes) for name, changes in VARIANTS if able(models.get(name).build, "sample")]


def test_the_sets_are_whole():
    assert MODELS == models.names() == sorted({name for name, _ in VARIANTS})
    assert len(LOSSES) == 10
    free = sum(models.get(name).build.losses is None for name, _ in VARIANTS)
    assert free >= 7 and len(COMBINATIONS) >= 15 * free + len(VARIANTS) - free
    assert all(row in COMBINATIONS for row in QUICK) and {row[2] for row in QUICK} == {row[2] for row in COMBINATIONS}


def own_weights(model, player):
    """Return the names of a player's parameters."""
    own = {id(parameter) for network in model.players[player] for parameter in network.parameters()}
    return {key for key, parameter in model.named_parameters() if id(parameter) in own}


@pytest.mark.parametrize(("name", "changes", "loss", "loss_changes"), TURNS, ids=name_of)
def test_each_player_takes_a_turn_under_each_loss(name, changes, loss, loss_changes):
    torch.manual_seed(0)
    model = compose_model(name, compose_loss(loss, **loss_changes), **changes)
    batch = batch_for(model.spec)
    assert set(model.discriminators) <= set(model.players)
    waiting = {player: own_weights(model, player) for player in model.players}  # for a gradient in some phase
    opposed = set()  # players in the adversarial game, which others (of reconstructions, of classes) have no part in
    for players, progress in phases_of(model):
        for player in players:
            total, scalars = take_turn(model, player, batch, progress)
            assert total.shape == () and total.isfinite()
            opposed |= {player} if "adversarial" in scalars else set()
            assert ("D(G(z))" in scalars) == ("adversarial" in scalars)
            assert ("D(x)" in scalars) == (player in model.discriminators)
            assert all(value.shape == () and not value.requires_grad and value.isfinite() for value in scalars.values())
            touched = {key for key, parameter in model.named_parameters() if parameter.grad is not None}
            assert touched <= own_weights(model, player)
            assert all(model.get_parameter(key).grad.isfinite().all() for key in touched)
            waiting[player] -= touched
            model.after_step(player)
    assert not any(waiting.values()), waiting
    assert opposed >= set(model.discriminators) and (opposed - set(model.discriminators) or not model.discriminators)


@pytest.mark.parametrize(("name", "changes"), BY_TIER, ids=name_of)
def test_every_weight_gets_a_gradient_that_is_not_zero(name, changes):
    torch.manual_seed(0)
    model = compose_model(name, **changes)
    for parameter in model.parameters():  # what stands before weights that start at 0 has no gradient before they move
        if parameter.dim() > 1 and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    batch = batch_for(model.spec, n=16)
    still = {player: own_weights(model, player) for player in model.players}  # in no phase
    for players, progress in phases_of(model):
        for player in players:
            take_turn(model, player, batch, progress)
            still[player] -= {key for key, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    assert not any(still.values()), still


@pytest.mark.parametrize(("name", "changes"), BY_TIER, ids=name_of)
def test_each_model_builds_and_plays_on_the_meta_device(name, changes):
    loss = compose_loss(loss_for(name, "wgan_gp"), orthogonal_init=True)
    with torch.device("meta"):
        model = compose_model(name, loss, **changes)
        batch = batch_for(model.spec)
        for players, progress in phases_of(model):
            for player in players:
                total, _ = take_turn(model, player, batch, progress)
                assert total.is_meta
    assert all(parameter.is_meta for parameter in model.parameters())


@pytest.mark.parametrize(("name", "changes"), BY_TIER, ids=name_of)
def test_state_round_trips_and_is_float32(name, changes):
    torch.manual_seed(0)
    model, other = compose_model(name, **changes), compose_model(name, **changes)
    batch = batch_for(model.spec)
    for player in model.players:  # moves batch statistics and image pools
        take_turn(model, player, batch, Progress(total=1000))
    state = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    assert {tensor.dtype for tensor in state.values() if tensor.is_floating_point()} == {torch.float32}
    other.load_state_dict(state)
    results = []
    for each in (model, other):
        torch.manual_seed(7)
        results.append([take_turn(each, player, batch, Progress(total=1000))[0] for player in each.players])
    assert torch.equal(torch.stack(results[0]), torch.stack(results[1]))


@pytest.mark.parametrize(("name", "changes"), BY_TIER, ids=name_of)
def test_bfloat16_autocast_and_copies(name, changes):
    torch.manual_seed(0)
    model = copy.deepcopy(compose_model(name, compose_loss(loss_for(name, "wgan_gp")), **changes))
    with torch.autocast("cpu", torch.bfloat16):
        for players, progress in phases_of(model):
            for player in players:
                total, _ = take_turn(model, player, batch_for(model.spec), progress)
                assert total.dtype == torch.float32 and total.isfinite()


@pytest.mark.parametrize(("name", "changes"), BY_TIER, ids=name_of)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 14)], ids=str)
def test_showcase_and_sampling(name, changes, shape):
    torch.manual_seed(0)
    model = compose_model(name, spec=spec_near(name, shape, **changes), **changes).eval()
    batch, shape = batch_for(model.spec, n=12), model.spec.shape
    can_sample = able(model, "sample")
    z = model.draw_latents(12, torch.Generator().manual_seed(1)) if can_sample else None
    with torch.no_grad():
        fixed = Fixed(z, batch.labels, batch, columns=4)
        shown = model.showcase(fixed)
        for title, images in shown.items():
            assert images.shape[1:] == shape, title
            assert images.abs().max() <= (len(model.spec.vocabulary) - 1 if model.spec.kind == "tokens" else 1), title
            assert len(images) % 4 == 0, f"{title} leaves a row half empty"
            bands = model.bands(title, fixed)
            assert all(bands) and (not bands or len(images) // 4 % len(bands) == 0), f"the rows of {title} are not {bands}"
        if not can_sample:
            titles = {"translate": "translations", "upscale": "upscaled", "inpaint": "inpainted", "blend": "blends"}
            title = next((titles[ability] for ability in titles if able(model, ability)), "reconstructions")
            assert set(shown) == {title} and len(shown[title]) >= 8
            return
        domains = len(model.spec.domains)  # a row of each, one below the other
        assert len(shown["samples"]) == 12 * domains
        labels = batch.labels if model.needs.labels else None
        one, two = (model.sample(12, torch.Generator().manual_seed(1), labels) for _ in range(2))
    assert torch.equal(one, two) and torch.equal(one, shown["samples"].unflatten(0, (-1, domains, 4))[:, 0].flatten(0, 1))
    assert z.device.type == "cpu" and len(z.unique(dim=0)) == 12


def test_latents_have_the_papers_ranges():
    seen = {}
    for name, changes in VARIANTS:
        if name not in ("dcgan", "cgan", "bigan"):  # test_models_gan.py looks at the normal ones
            continue
        z = compose_model(name, **changes).draw_latents(4000, torch.Generator().manual_seed(0))
        seen[name, changes.get("backbone")] = (round(z.min().item(), 2), round(z.max().item(), 2))
    assert seen == {("dcgan", None): (-1, 1), ("cgan", None): (-1, 1),
                    ("cgan", "mlp"): (0, 1), ("bigan", None): (-1, 1), ("bigan", "conv"): (-1, 1)}


def parameters(model, player):
    return sum(p.numel() for network in model.players[player] for p in network.parameters())


def test_parameter_counts_are_the_papers():
    mnist = spec_for("gan", (1, 28, 28))
    with torch.device("meta"):
        gan = compose_model("gan", spec=mnist, small=False)
        dcgan = compose_model("dcgan", spec=spec_for("dcgan", (3, 64, 64)), small=False, width=128)
        bigan = compose_model("bigan", spec=mnist, small=False)
        cyclegan = compose_model("cyclegan", spec=spec_for("cyclegan", (3, 256, 256)), small=False)
    # Goodfellow 2014: 100-1200-1200-784, and 784-(240x5)-(240x5)-1
    assert parameters(gan, "generator") == 101 * 1200 + 1201 * 1200 + 1201 * 784
    assert parameters(gan, "discriminator") == 785 * 1200 + 241 * 1200 + 241
    # Radford 2016, figure 1: 100 -> 1024 at 4x4 -> 512 -> 256 -> 128 -> 3, with two numbers for each normalized channel
    convolutions = 16 * (1024 * 512 + 512 * 256 + 256 * 128 + 128 * 3)
    assert parameters(dcgan, "generator") == 100 * 1024 * 16 + convolutions + 2 * (1024 + 512 + 256 + 128) + 3
    # Donahue 2017: two hidden layers of 1024 in each module; z enters the second of the generator's and the discriminator's
    generator = 50 * 1024 + (50 + 1024) * 1024 + 1025 * 784
    assert parameters(bigan, "generator") == generator + (785 * 1024 + 1024**2 + 1025 * 50)
    assert parameters(bigan, "discriminator") == 785 * 1024 + (50 + 1024) * 1024 + 1025
    # Zhu 2017: 11.378 M and 2.765 M in the authors' code, whose biases before a norm are left out here
    assert parameters(cyclegan, "generator") == 2 * (11_378_179 - 5_248)
    assert parameters(cyclegan, "discriminator") == 2 * (2_764_737 - 896)


@pytest.mark.parametrize(("name", "changes"), [("gan", {}), ("cgan", {"backbone": "mlp"}), ("bigan", {})])
def test_points_are_welcome_where_networks_are_mlps(name, changes):
    torch.manual_seed(0)
    model = compose_model(name, compose_loss("wgan_gp"), spec_for(name, (2,)), **changes)
    for player in model.players:
        take_turn(model, player, batch_for(model.spec), Progress(total=1000))
    labels = torch.zeros(5, dtype=torch.int64) if name == "cgan" else None
    assert model.sample(5, torch.Generator(), labels=labels).shape == (5, 2)


REFUSED = [
    ("dcgan", {}, DataSpec((2,), 9), "holds points"),
    ("dcgan", {}, DataSpec((1, 7, 30), 9), "dataset.size=8"),
    ("cgan", {}, DataSpec((1, 8, 8), 9), "needs labels"),
    ("cgan", {}, DataSpec((2,), 9, ("a", "b")), "model.backbone=mlp"),
    ("bigan", {"backbone": "conv"}, DataSpec((1, 7, 8), 9), "dataset.size=8"),
    ("cyclegan", {}, DataSpec((1, 8, 8), 9), "dataset=unpaired"),
    ("gan", {}, DataSpec((1, 8, 8), 9, domains=("a", "b")), "model=cyclegan"),
]


@pytest.mark.parametrize(("name", "changes", "spec", "words"), REFUSED)
def test_data_that_does_not_fit_is_refused(name, changes, spec, words):
    assert len(REFUSED) == 7
    with pytest.raises(UserError, match=words):
        compose_model(name, spec=spec, **changes)


WRONG = [
    ("gan", {"pieces": 0}, "pieces must be at least 1"),
    ("gan", {"dropout": 1.0}, "dropout must be"),
    ("dcgan", {"discriminator_norm": "bach"}, "did you mean batch"),
    ("dcgan", {"widht": 3}, "did you mean width"),
    ("bigan", {"discriminator_norm": "instance"}, "needs maps"),
    ("cgan", {"backbone": "cnn"}, "backbone=cnn"),
    ("cyclegan", {"pool_size": -1}, "pool_size must be"),
]


@pytest.mark.parametrize(("name", "changes", "words"), WRONG)
def test_options_out_of_range_are_refused(name, changes, words):
    assert len(WRONG) == 7
    values = read(CONF / f"model/{name}.yaml")
    with pytest.raises(UsageError, match=words):
        model_options({**values, **changes})


@pytest.mark.parametrize("name", MODELS)
def test_conf_and_schema_have_the_same_keys(name):
    values = read(CONF / f"model/{name}.yaml")
    assert list(values) == [field.name for field in fields(models.get(name).options)]
    assert values.name == name
    assert {"optimizer", "lr", "batch_size", "kimg"} <= set(values.recipe)


def test_batch_norm_gives_way_to_layer_norm_under_a_gradient_penalty():
    values = dict(read(CONF / "model/dcgan.yaml"))
    adapted, notices = adapt(values, compose_loss("wgan_gp"))
    assert adapted["discriminator_norm"] == "layer" and values["discriminator_norm"] == "batch"
    assert len(notices) == 1 and "Gulrajani 2017" in notices[0]
    assert adapt(adapted, compose_loss("wgan_gp")) == (adapted, [])
    for penalty in ("gradient_penalty", "dragan", "r1", "r2"):
        changed, notices = adapt(values, compose_loss("nonsaturating", **{penalty: {"weight": 1.0}}))
        assert changed["discriminator_norm"] == "layer" and len(notices) == 1, penalty
    assert adapt(values, compose_loss("wgan")) == (values, [])
    for name in ("gan", "cgan"):  # maxout networks have no norm to replace
        maxout = {**read(CONF / f"model/{name}.yaml"), **({"backbone": "mlp"} if name == "cgan" else {})}
        assert adapt(maxout, compose_loss("wgan_gp")) == (maxout, [])
    assert adapt({**maxout, "backbone": "conv"}, compose_loss("wgan_gp"))[0]["discriminator_norm"] == "layer"


def test_one_pass_over_real_and_fake_changes_no_number():
    for name, changes in (("dcgan", {}), ("dcgan", {"discriminator_norm": "instance"}), ("bigan", {"backbone": "conv"})):
        model = compose_model(name, **changes)
        assert model.objective.one_pass
        batch = batch_for(model.spec)
        losses = []
        for one_pass in (True, False):
            model.objective.one_pass = one_pass
            torch.manual_seed(0)
            losses.append(model.player_loss("discriminator", batch, Progress(total=100))[0])
        torch.testing.assert_close(*losses)
    assert mixes_examples(compose_model("dcgan").discriminator)
    assert not mixes_examples(compose_model("dcgan", compose_loss("wgan_gp")).discriminator)


def test_stabilizers_reach_every_weight():
    model = compose_model("bigan", compose_loss("hinge", spectral_norm=True, orthogonal_init=True), backbone="conv")
    judge = model.discriminator.train()
    for _ in range(50):  # power iterations
        judge(torch.rand(2, *model.spec.shape), torch.rand(2, 6))
    weights = {key: p.detach() for key, p in judge.named_parameters() if p.dim() > 1}
    assert weights and all(key.endswith("parametrizations.weight.original") for key in weights)
    layers = [part for part in judge.modules() if hasattr(part, "parametrizations")]
    assert len(layers) == len(weights)
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=1e-3)
    for player in model.players.values():
        for network in player:
            for key, p in network.named_parameters():
                if p.dim() > 1:
                    inputs_first = network is model.generator and key.startswith("layers.")  # transposed convolutions
                    singular = torch.linalg.svdvals((p.transpose(0, 1) if inputs_first else p).detach().flatten(1))
                    assert torch.allclose(singular, torch.ones_like(singular), atol=1e-4), key
