"""BiGAN: pairs, encoder, reconstructions."""

import pytest
import torch
from composing import CONF, batch_for, compose_loss, compose_model, read, take_turn
from torch.nn.functional import leaky_relu

from gancli.game.build import model_options
from gancli.game.model import Fixed, Progress
from gancli.networks.layers import mixes_examples


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


def test_the_mlps_are_those_of_the_published_code():
    """net.py of jeffdonahue/bigan: z at G's second layer again, both its layers normalized; D sees z at its second only."""
    model = compose_model("bigan", compose_loss("nonsaturating"))
    generator, discriminator, encoder = model.generator.body, model.discriminator.body, model.encoder.body
    assert [mixes_examples(norm) for norm in generator.norms] == [True, True]
    assert [mixes_examples(norm) for norm in discriminator.norms] == [False, True]
    assert [mixes_examples(norm) for norm in encoder.norms] == [False, True] and len(encoder.conditions) == 0
    assert [layer.weight.shape for layer in generator.conditions] == [(16, 6)]
    assert [layer.weight.shape for layer in discriminator.conditions] == [(16, 6)]
    model.eval()
    z, x = torch.rand(4, 6), batch_for(model.spec).real.flatten(1)
    first = torch.relu(generator.norms[0](generator.layers[0](z)))
    second = torch.relu(generator.norms[1](generator.layers[1](first) + generator.conditions[0](z)))
    torch.testing.assert_close(generator(z, z), second)
    first = leaky_relu(discriminator.layers[0](x), 0.2)
    second = leaky_relu(discriminator.norms[1](discriminator.layers[1](first) + discriminator.conditions[0](z)), 0.2)
    torch.testing.assert_close(discriminator(x, z), second)


def test_a_checkpoint_that_names_no_layout_has_the_older_one():
    """Runs from before the option: z at every layer of the discriminator, and once in the generator."""
    values = read(CONF / "model/bigan.yaml")
    del values["layout"]
    assert model_options(values).layout == "plain"
    model = compose_model("bigan", layout="plain")
    assert len(model.discriminator.body.conditions) == 2 and len(model.generator.body.conditions) == 0
    assert not mixes_examples(model.generator.body.norms[0])


def test_one_layer_is_enough_for_either_layout():
    for layout in ("published", "plain"):
        model = compose_model("bigan", layout=layout, layers=1)
        x, z = batch_for(model.spec).real, torch.rand(4, 6)
        assert not torch.equal(model.judge(x, z), model.judge(x, -z))
