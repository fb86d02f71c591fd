"""Mode-regularized GANs: each loss against its closed form, the printed sign's meaning, and the turns of both forms."""

from dataclasses import replace

import pytest
import torch
from composing import batch_for, compose_loss, compose_model, spec_for, take_turn
from planning import SMALL_NETWORKS, TINY, plan
from torch.nn.functional import softplus

from gancli.data.spec import DataSpec
from gancli.engine.options import TrainerOptions
from gancli.engine.players import Player
from gancli.engine.rounds import default_phase
from gancli.errors import UsageError
from gancli.game.build import build_model
from gancli.game.model import Progress
from gancli.losses.objective import Objective

DIFFUSION = {"form": "diffusion"}


def known(**changes):
    """Return a model on points whose networks are known: G(z) = 2 z, E(x) = x + 1, D(x) = x_1, the second D(x) = x_2."""
    changes |= {"backbone": "mlp", "latent_size": 2}
    model = compose_model("mdgan", compose_loss("nonsaturating"), DataSpec((2,), 100), **changes)
    model.generator.forward = lambda z: 2 * z
    model.encoder.forward = lambda x: x + 1
    model.discriminator.forward = lambda x: x[:, 0]
    if model.second is not None:
        model.second.forward = lambda x: x[:, 1]
    batch = batch_for(DataSpec((2,), 100, ("a", "b")), 4)
    batch.domains = (batch.real.double(),)
    batch.prepared = torch.tensor([[0.3, -2.0], [1.0, 0.5], [-0.4, 0.1], [0.0, 2.0]], dtype=torch.float64)
    return model, batch, batch.real, 2 * (batch.real + 1), batch.prepared  # real, reconstructed, generated


def nats(logits):
    """Return the mean of -log D for logits."""
    return softplus(-logits).mean().item()


def test_the_regularized_losses():
    model, batch, x, back, fake = known(lambda_distance=0.3, lambda_mode=0.7)
    distance = (x - back).square().sum(1).mean().item()
    way = 0.3 * distance + 0.7 * nats(back[:, 0])  # judged real: minus the logarithm, unlike what is printed
    expected = {"discriminator": nats(x[:, 0]) + nats(-fake[:, 0]), "encoder": way, "generator": nats(fake[:, 0]) + way}
    assert list(model.players) == list(expected) == ["discriminator", "encoder", "generator"]
    for player, value in expected.items():
        loss, scalars = model.player_loss(player, batch, Progress(100))
        assert loss.item() == pytest.approx(value, rel=1e-6), player
        assert player == "discriminator" or scalars["distance"].item() == pytest.approx(distance)


def test_the_losses_of_two_steps():
    model, batch, x, back, fake = known(lambda_manifold=0.05, **DIFFUSION)
    way = (x - back).square().sum(1).mean().item() + 0.05 * nats(back[:, 0])
    expected = {"discriminator": nats(x[:, 0]) + nats(-back[:, 0]), "encoder": way, "generator": nats(fake[:, 1]),
                "diffusion_discriminator": nats(back[:, 1]) + nats(-fake[:, 1])}
    assert model.players.keys() == expected.keys()
    for player, value in expected.items():
        assert model.player_loss(player, batch, Progress(100))[0].item() == pytest.approx(value, rel=1e-6), player
    assert model.part_loss("manifold", "generator", batch, Progress(100))[0].item() == pytest.approx(way, rel=1e-6)
    for part, player in (("manifold", "encoder"), ("gap", "generator")):
        with pytest.raises(ValueError, match="has no part"):
            model.part_loss(part, player, batch, Progress(100))


def test_reconstructions_are_led_to_what_is_judged_real():
    """A step down the encoder's loss raises D(G(E(x))), which the printed sign would lower."""
    torch.manual_seed(0)
    model = compose_model("mdgan", compose_loss("nonsaturating"), backbone="mlp", lambda_distance=0.0,
                          discriminator_norm="none").double().eval()
    batch = batch_for(model.spec, 8)
    batch.domains = (batch.real.double(),)

    def judged():
        with torch.no_grad():
            return model.discriminator(model.reconstruct(batch.real)).mean().item()

    before = judged()
    take_turn(model, "encoder", batch, Progress(100))
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter -= 1e-4 * parameter.grad
    assert judged() > before


def test_discriminators_share_no_weight_and_the_encoder_hears_nothing_of_the_second():
    model = compose_model("mdgan", **DIFFUSION)
    ids = [{id(p) for p in network.parameters()} for network in (model.discriminator, model.second)]
    assert len(ids[0]) == len(ids[1]) and not ids[0] & ids[1]
    assert model.discriminators == ("discriminator", "diffusion_discriminator")
    assert compose_model("mdgan").discriminators == ("discriminator",)
    batch = batch_for(model.spec)
    model.requires_grad_(True)
    model.player_loss("generator", batch, Progress(100))[0].backward()
    assert all(p.grad is None for p in model.encoder.parameters())  # of the diffusion step


@pytest.mark.parametrize("form", ["regularized", "diffusion"])
def test_running_statistics_are_those_of_the_priors_samples(form):
    """Whatever the encoder says, the generator normalizes afterwards by what it makes of the prior."""
    found = []
    for shift in (0.0, 5.0):
        torch.manual_seed(0)
        model = compose_model("mdgan", form=form).train()
        encode = model.encoder.forward
        model.encoder.forward = lambda x, encode=encode, shift=shift: encode(x) + shift
        batch, start = batch_for(model.spec), model.generator.norms[0].running_mean.clone()
        torch.manual_seed(1)
        for player in model.players:
            model.player_loss(player, batch, Progress(100))
        if form == "diffusion":
            model.part_loss("manifold", "generator", batch, Progress(100))
        statistics = [buffer.clone() for name, buffer in model.generator.named_buffers() if "running" in name]
        assert len(statistics) >= 4 and not torch.equal(model.generator.norms[0].running_mean, start)
        found.append(statistics)
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def trainer(turns=1):
    return TrainerOptions(**{field: None for field in TrainerOptions.__dataclass_fields__}
                          | dict(discriminator_turns=turns, batch_size=4, scheme="alternating", unrolled=0, consensus=0.0,
                                 accumulate=1, precision="fp32", keep=1, loggers=[]))


@pytest.mark.parametrize("turns", [1, 3])
def test_a_round_of_two_steps(turns):
    model = compose_model("mdgan", **DIFFUSION)
    phase = model.phase(Progress(100), default_phase(model, trainer(turns)))
    played = [(turn.player, turn.part, turn.draws, turn.together) for turn in phase.turns]
    manifold = [("encoder", "", False, True), ("generator", "manifold", False, False)]
    diffusion = [*[("diffusion_discriminator", "", True, False)] * turns, ("generator", "", False, False)]
    assert played == [("discriminator", "", True, False)] * turns + manifold + diffusion
    assert phase.full_steps and [turn.shared for turn in phase.turns].count(True) == 1
    plain = compose_model("mdgan")
    default = default_phase(plain, trainer(turns))
    assert plain.phase(Progress(100), default) is default


SHORT = (*TINY, "model=mdgan", *SMALL_NETWORKS["mdgan"], "trainer.kimg=0.032", "trainer.checkpoint_kimg=0.016")


def test_the_steps_of_a_part_are_full_ones(tmp_path):
    """Two steps a round, each at the rate that is given; a lazy penalty's would be corrected."""
    made = plan(tmp_path / "run", *SHORT, "model.form=diffusion")
    model = build_model(made.model, Objective(made.loss), made.spec)
    player = Player("generator", model, made.optimizer, made.trainer, "fp32")
    phase = model.phase(Progress(1), default_phase(model, made.trainer))
    player.enter(phase, True)
    assert player.correction == 1.0 and player.optimizer.param_groups[0]["betas"] == (0.5, 0.999)
    player.enter(replace(phase, full_steps=False), True)
    assert player.correction == 0.5


def test_players_of_the_other_form_are_merely_named(tmp_path):
    plan(tmp_path / "run", *SHORT)
    with pytest.raises(UsageError, match="diffusion_discriminator: model=mdgan has no such player"):
        plan(tmp_path / "run", *SHORT, "optimizer.players.diffusion_discriminator.lr=1e-4")
    made = plan(tmp_path / "run", *SHORT, "model.form=diffusion", "optimizer.players.diffusion_discriminator.lr=1e-4")
    assert made.optimizer.of("diffusion_discriminator", True).lr == 1e-4


@pytest.mark.parametrize(("override", "words"), [
    ("model.form=manifold", "model.form=manifold does not exist"), ("model.lambda_mode=-1", "lambda_mode must be at least 0"),
    ("trainer.scheme=extragradient", "give trainer.scheme=alternating")])
def test_what_is_wrong_is_refused(tmp_path, override, words):
    with pytest.raises(UsageError, match=words):
        plan(tmp_path / "run", *SHORT, "model.form=diffusion", override)


def test_points_and_images():
    for spec in (DataSpec((2,), 9), spec_for("mdgan")):
        for changes in ({}, DIFFUSION):
            model = compose_model("mdgan", spec=spec, backbone="mlp", **changes)
            x = model.sample(3, torch.Generator())
            assert x.shape == (3, *spec.shape) and model.encode(x).shape == (3, 6) and model.reconstruct(x).shape == x.shape
