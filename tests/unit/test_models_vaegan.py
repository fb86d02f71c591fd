"""VAE/GAN: three losses whose gradients stay where they belong, and who rests when the game is out of balance."""

import math

import pytest
import torch
from composing import batch_for, compose_loss, compose_model, read, take_turn
from omegaconf import OmegaConf
from systems import CONF
from torch.nn.functional import softplus

from gancli.data.spec import DataSpec
from gancli.errors import UsageError
from gancli.game.build import model_options
from gancli.game.model import Progress
from gancli.game.phase import in_turn
from gancli.losses.penalties import interpolate
from gancli.models.vaegan import resting
from gancli.networks.layers import norm_layer


def model_of(loss="minimax", **changes):
    torch.manual_seed(0)
    return compose_model("vaegan", compose_loss(loss), **changes)


def loss_of(model, player, batch):
    torch.manual_seed(4)
    return model.player_loss(player, batch, Progress(total=1000))


def made(model, x):
    """Return the posterior, the reconstruction and the prior's images that `loss_of` draws."""
    torch.manual_seed(4)
    mean, log_variance = model.encoder(x)
    z = mean + (log_variance / 2).exp() * torch.randn(len(x), 6)
    both = model.decoder(torch.cat((z, torch.randn(len(x), 6))))
    return mean, log_variance, z, both[:len(x)], both[len(x):]


def feature_distance(model, x, y):
    """Return half the squared distance in the features, in float64 from their float32 values."""
    one, two = model.discriminator.features(torch.cat((x, y))).double().chunk(2)
    return 0.5 * (one - two).square().sum() / len(x)


def test_the_encoder_minimizes_divergence_and_feature_distance():
    model = model_of()
    batch = batch_for(model.spec)
    mean, log_variance, z, _, _ = made(model, batch.real)
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).double().sum() / 4
    expected = divergence + feature_distance(model, batch.real, model.decoder(z))
    loss, scalars = loss_of(model, "encoder", batch)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert scalars["kl"].item() == pytest.approx(divergence.item(), rel=1e-5)


def test_the_decoders_running_statistics_are_of_both_kinds_together():
    model = model_of()
    batch = batch_for(model.spec)
    statistics = {name: value for name, value in model.decoder.named_buffers() if "running" in name}
    before = {name: value.clone() for name, value in statistics.items()}
    assert len(before) == 8
    loss_of(model, "encoder", batch)
    assert all(torch.equal(value, before[name]) for name, value in statistics.items())
    loss_of(model, "decoder", batch)
    assert not any(torch.equal(value, before[name]) for name, value in statistics.items())


@pytest.mark.parametrize("fakes", ["both", "samples"])
def test_decoder_and_discriminator_play_the_rule_over_both_kinds_of_fakes(fakes):
    model = model_of(fakes=fakes, reconstruction_weight=0.25)
    batch = batch_for(model.spec)
    _, _, _, again, samples = made(model, batch.real)
    fake = torch.cat((again, samples)) if fakes == "both" else samples
    real, judged = model.discriminator(torch.cat((batch.real, fake))).double().split((4, len(fake)))  # batch statistics of all
    expected = softplus(-real).mean() + softplus(judged).mean()
    assert loss_of(model, "discriminator", batch)[0].item() == pytest.approx(expected.item(), rel=1e-4)
    rule = -softplus(judged).sum() / 4  # log(1 - D), each fake counted once
    expected = 0.25 * feature_distance(model, batch.real, again) + 0.75 * rule
    assert loss_of(model, "decoder", batch)[0].item() == pytest.approx(expected.item(), rel=1e-4)


def test_gradients_are_blocked_where_the_paper_blocks_them():
    model = model_of(reconstruction_weight=0.0)
    batch = batch_for(model.spec)
    for player in model.players:
        take_turn(model, player, batch, Progress(total=1000))
        own = {id(p) for network in model.players[player] for p in network.parameters()}
        assert all((p.grad is None) == (id(p) not in own) for p in model.parameters()), player
    one = loss_of(model, "encoder", batch)[0]
    with torch.no_grad():
        model.discriminator.head.weight.add_(1.0)  # behind the features: the encoder's loss has no part of the verdict
    assert torch.equal(loss_of(model, "encoder", batch)[0], one)


@pytest.mark.parametrize("fakes", ["both", "samples"])
def test_what_turns_share_changes_no_gradient(fakes):
    """Of a batch that the model prepared, each player learns what it learns by itself from the same latents."""
    model = model_of(fakes=fakes, reconstruction_weight=0.1)
    batch = batch_for(model.spec)
    for network in (model.encoder, model.decoder):
        network.requires_grad_(True)
    torch.manual_seed(4)
    batch.prepared = model.prepare(batch)
    for player in model.players:
        shared = take_turn(model, player, batch, Progress(total=1000))
        gradients = [p.grad.clone() for network in model.players[player] for p in network.parameters()]
        alone = batch_for(model.spec)
        alone.domains, alone.prepared = batch.domains, None
        torch.manual_seed(4)
        own = take_turn(model, player, alone, Progress(total=1000))
        torch.testing.assert_close(shared[0], own[0])
        torch.testing.assert_close(gradients, [p.grad for network in model.players[player] for p in network.parameters()])


def test_all_step_from_one_point_unless_the_discriminator_has_more_turns():
    model = model_of()
    players = list(model.players)
    turns = model.phase(Progress(total=1000), in_turn(players)).turns
    assert [turn.player for turn in turns] == ["encoder", "decoder", "discriminator"]
    assert [turn.together for turn in turns] == [True, True, False] and [turn.draws for turn in turns] == [True, False, False]
    more = in_turn(players, {"discriminator": 2})
    assert model.phase(Progress(total=1000), more) == more


RESTS = [((0.69, 0.69), (False, False)), ((0.30, 0.69), (True, False)), ((0.69, 0.32), (True, False)),
         ((1.04, 0.69), (False, True)), ((0.69, 1.5), (False, True)), ((0.1, 1.5), (False, False)),
         ((0.34, 1.02), (False, False))]


@pytest.mark.parametrize(("costs", "rest"), RESTS)
def test_who_rests_at_which_costs(costs, rest):
    found = resting(torch.tensor(costs), 0.68, 0.35)
    assert (found["discriminator"].item(), found["decoder"].item()) == rest


def test_a_resting_player_has_a_gradient_of_zero():
    model = model_of(equilibrium=1.2, margin=0.1)  # costs at the start are log 2, below 1.1: the discriminator rests
    batch = batch_for(model.spec)
    loss, scalars = take_turn(model, "discriminator", batch, Progress(total=1000))
    assert loss.item() == 0 and scalars["rests"].item() == 1
    assert scalars["adversarial"].item() == pytest.approx(2 * math.log(2), abs=0.2)
    assert not any(p.grad.any() for p in model.discriminator.parameters())
    assert take_turn(model, "decoder", batch, Progress(total=1000))[1]["rests"].item() == 0
    assert "rests" not in take_turn(model_of("hinge", equilibrium=0.68), "decoder", batch, Progress(total=1000))[1]


def test_fakes_that_are_surely_rejected_are_moved_unless_the_rule_is_the_papers():
    norms = {}
    for loss in ("nonsaturating", "minimax"):
        model = model_of(loss, reconstruction_weight=0.0, equilibrium=None)
        torch.nn.init.constant_(model.discriminator.head.bias, -12.0)
        take_turn(model, "decoder", batch_for(model.spec), Progress(total=1000))
        norms[loss] = torch.nn.utils.get_total_norm([p.grad for p in model.decoder.parameters()]).item()
    assert norms["nonsaturating"] > 0 and norms["minimax"] < 1e-4 * norms["nonsaturating"]
    defaults = OmegaConf.load(CONF / "model/vaegan.yaml").defaults
    assert len(defaults) == 4 and not any("loss" in str(entry) for entry in defaults)  # train.yaml's is nonsaturating


def test_the_two_sides_are_balanced_as_published_unless_asked_otherwise():
    batch = batch_for(model_of().spec)
    assert model_of().equilibrium == 0.68 and model_of().options.margin == 0.35
    assert "rests" in take_turn(model_of(), "decoder", batch, Progress(total=1000))[1]
    assert "rests" not in take_turn(model_of(equilibrium=None), "decoder", batch, Progress(total=1000))[1]


def test_features_are_the_chosen_layers_before_their_norm():
    x = torch.rand(4, 1, 16, 16)
    for layer, shape in ((0, (1, 16, 16)), (1, (4, 16, 16)), (2, (16, 8, 8)), (3, (24, 4, 4)), (4, (32, 2, 2))):
        judge = model_of(feature_layer=layer).discriminator
        features = judge.features(x)
        assert features.shape == (4, *shape)
    assert torch.equal(model_of(feature_layer=0).discriminator.features(x), x)
    one = model_of(feature_layer=1).discriminator
    assert torch.equal(one.features(x), one.layers[0](x))
    two = model_of(feature_layer=2).discriminator
    torch.testing.assert_close(two.features(x), two.layers[1](two.layers[0](x).relu()))


def test_networks_are_the_authors():
    with torch.device("meta"):
        model = compose_model("vaegan", spec=DataSpec((3, 32, 32), 9), small=False)
    count = {player: sum(p.numel() for network in networks for p in network.parameters())
             for player, networks in model.players.items()}
    pairs = {"encoder": ((3, 64), (64, 128), (128, 256)), "decoder": ((256, 192), (192, 128), (128, 32)),
             "discriminator": ((32, 128), (128, 192), (192, 256))}
    convolutions = {player: sum(25 * a * b + 2 * b for a, b in each) for player, each in pairs.items()}  # norms have two
    assert count["encoder"] == convolutions["encoder"] + 4096 * 1024 + 2 * 1024 + 1025 * 256
    assert count["decoder"] == 128 * 4096 + 2 * 4096 + convolutions["decoder"] + 25 * 32 * 3 + 3
    assert count["discriminator"] == 25 * 3 * 32 + 32 + convolutions["discriminator"] + 4096 * 512 + 2 * 512 + 513


def test_several_fakes_for_a_real_image_are_paired_each():
    torch.manual_seed(0)
    real, fake = torch.zeros(3, 5), torch.ones(6, 5)
    (points,) = interpolate((real,), (fake,))
    assert points.shape == (6, 5) and ((0 <= points) & (points <= 1)).all() and len(points[:, 0].unique()) == 6


def test_judged_together_statistics_are_of_all():
    model = model_of()
    norm = norm_layer("batch", 2).train()
    judged = model.objective.discriminator(lambda x: norm(x)[:, 0], (torch.zeros(2, 2),), (torch.ones(4, 2),), 0)
    assert judged.real.logits.mean() < -1 and judged.fake.logits.mean() > 0.5  # apart, both would be 0
    assert len(judged.real.logits) == 2 and len(judged.fake.logits) == 4


WRONG = [({"feature_layer": 5}, "feature_layer must be"), ({"reconstruction_weight": 2}, "reconstruction_weight must be"),
         ({"fakes": "all"}, "fakes=all does not exist"), ({"equilibrium": -1}, "equilibrium must be"),
         ({"latent_size": 0}, "latent_size must be at least 1")]


@pytest.mark.parametrize(("changes", "words"), WRONG)
def test_options_out_of_range_are_refused(changes, words):
    assert len(WRONG) == 5
    with pytest.raises(UsageError, match=words):
        model_options({**read(CONF / "model/vaegan.yaml"), **changes})
