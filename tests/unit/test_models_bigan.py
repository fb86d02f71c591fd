"""BiGAN: pairs, encoder, reconstructions."""

import pytest
import torch
from composing import batch_for, compose_loss, compose_model, take_turn

from gancli.game.model import Fixed, Progress


@pytest.fixture(params=["mlp", "conv"])
def model(request):
    torch.manual_seed(0)
    return compose_model("bigan", backbone=request.param)


def test_encoder_and_generator_are_one_player(model):
    assert model.players["generator"] == [model.generator, model.encoder]
    assert model.players["discriminator"] == [model.discriminator]


def test_real_pairs_come_from_the_encoder(model):
    batch = batch_for(model.spec)
    (x, encoded), (fake, z) = model.eval().pairs(batch)
    assert x is batch.real and torch.equal(encoded, model.encode(x)) and encoded.abs().max() <= 1
    assert torch.equal(fake, model.generate(z))


@torch.no_grad()
def test_the_judge_sees_image_and_latent(model):
    model.eval()
    x, z = batch_for(model.spec).real, torch.rand(4, 6)
    assert not torch.equal(model.judge(x, z), model.judge(x, -z))
    assert not torch.equal(model.judge(x, z), model.judge(-x, z))


def test_the_encoder_is_paid_for_the_real_side(model):
    """With the fake side held still, the player's loss is the nonsaturating loss of both sides (eq. 3)."""
    batch = batch_for(model.spec)
    torch.manual_seed(1)
    loss, _ = take_turn(model, "generator", batch, Progress(total=1))
    torch.manual_seed(1)
    (real, fake) = model.pairs(batch)
    expected = torch.nn.functional.softplus(-model.judge(*fake)).mean() + \
        torch.nn.functional.softplus(model.judge(*real)).mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)


@torch.no_grad()
def test_reconstructions_stand_under_the_real_images(model):
    model.eval()
    batch = batch_for(model.spec, n=8)
    shown = model.showcase(Fixed(torch.rand(8, 6), None, batch, columns=4))["reconstructions"]
    assert len(shown) == 8
    assert torch.equal(shown[:4], batch.real[:4])
    assert torch.allclose(shown[4:], model.reconstruct(batch.real[:4]), atol=1e-5)


def test_it_plays_every_loss_with_a_side_for_the_encoder():
    model = compose_model("bigan", compose_loss("rpgan"))
    batch = batch_for(model.spec)
    take_turn(model, "generator", batch, Progress(total=1))
    assert all(p.grad.any() for p in model.encoder.parameters())
