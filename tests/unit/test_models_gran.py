"""The recurrent canvas: the recurrence by hand, shared weights, the authors' sizes and start, and one step alone."""

import pytest
import torch
from composing import batch_for, compose_loss, compose_model, read, spec_for, take_turn
from systems import CONF
from torch.nn.functional import softplus

from gancli.errors import UsageError
from gancli.game.build import model_options
from gancli.game.model import Fixed, Progress
from gancli.networks.recurrent_canvas import CanvasDiscriminator, CanvasGenerator, StepNorm


def gran(shape=(1, 16, 16), **changes):
    torch.manual_seed(0)
    return compose_model("gran", spec=spec_for("gran", shape), **changes)


def weights(network):
    return sum(p.numel() for p in network.parameters())


def test_the_canvas_is_the_sum_of_what_the_steps_add():
    network = gran(steps=3).generator.double()
    for norm in (part for part in network.modules() if isinstance(part, StepNorm)):
        torch.nn.init.normal_(norm.weight, 1.0, 0.5)
        torch.nn.init.normal_(norm.bias)
    z = torch.randn(4, 6, dtype=torch.float64)
    noise = torch.nn.functional.batch_norm(z @ network.dense.weight.T, None, None, network.norm.weight, network.norm.bias,
                                           training=True).tanh()
    memory, added = torch.zeros_like(noise), []
    for step in range(3):
        added.append(network.decoder(torch.cat((noise, memory), 1), step))
        if step < 2:
            memory = network.encoder(added[-1], step)  # of the last increment, not of the canvas
            assert memory.shape == (4, 6) and memory.abs().max() <= 1
    torch.testing.assert_close(torch.stack(network.additions(z)), torch.stack(added))
    image = torch.stack(added).sum(0).sigmoid() * 2 - 1
    torch.testing.assert_close(network(z), image.float())
    for step, canvas in enumerate(network.canvases(z), 1):
        torch.testing.assert_close(canvas, (torch.stack(added[:step]).sum(0).sigmoid() * 2 - 1).float())


def test_steps_share_all_weights_but_not_statistics():
    two, five = gran(steps=2), gran(steps=5)
    assert weights(two.generator) == weights(five.generator)
    norm = StepNorm(3, 2)
    x = torch.randn(50, 3) * 4 + 1
    norm(x, 0)
    assert (norm.norms[0].running_mean != 0).all() and not norm.norms[1].running_mean.any()
    torch.testing.assert_close(norm(x, 1).mean(0), torch.zeros(3), atol=1e-5, rtol=0)


def test_one_step_has_no_memory():
    model = gran(steps=1)
    assert model.generator.encoder is None and list(model.stages(torch.randn(3, 6))) == ["step 1"]
    for player in model.players:
        take_turn(model, player, batch_for(model.spec), Progress(total=100))
    assert all(p.grad is not None for p in model.generator.parameters())


def test_networks_are_those_of_the_authors_code():
    with torch.device("meta"):
        small, large = CanvasGenerator(100, (1, 28, 28), 32, 3), CanvasGenerator(100, (3, 32, 32), 128, 3)
        judge, color_judge = (CanvasDiscriminator(shape, width, 100, "batch")
                              for shape, width in (((1, 28, 28), 10), ((3, 32, 32), 128)))
    assert small.decoder.start == (256, 7, 7) and large.decoder.start == (1024, 4, 4)
    norms = 2 * 100 + 2 * 100 + 2 * 256 * 49 + 2 * 128 + 2 * 256  # of z, of h_c, of the first map, of the encoder
    dense = 100 * 100 + 200 * 256 * 49 + 256 * 49 * 100
    assert weights(small) == dense + norms + 2 * 25 * (256 * 128 + 128) + 128 + 1  # and the decoder's biases
    channels = [(layer.in_channels, layer.out_channels, layer.kernel_size) for layer in large.encoder.layers]
    assert channels == [(3, 256, (5, 5)), (256, 512, (5, 5)), (512, 1024, (5, 5))]
    assert [isinstance(norm, StepNorm) for norm in large.encoder.norms] == [True, True, False]
    assert [layer.bias is None for layer in large.encoder.layers] == [True, True, False]
    assert weights(judge) == 25 * (80 + 80 * 40) + 2 * (80 + 40) + 40 * 49 * 100 + 100 + 100
    assert [layer.out_channels for layer in color_judge.layers] == [1024, 512, 256]  # widest first
    model = gran(width=16)
    assert model.generator.decoder.layers[0].weight.std().item() == pytest.approx(0.01, rel=0.05)
    bound = (6 / (12 + model.generator.decoder.dense.out_features)) ** 0.5
    assert model.generator.decoder.dense.weight.abs().max().item() == pytest.approx(bound, rel=0.01)


@pytest.mark.parametrize(("norm", "unlike"), [("batch", True), ("none", False)])
def test_what_all_weights_share_does_not_make_all_images_alike(norm, unlike):
    """Adam's first steps move a layer's weights alike: without a norm behind it what images have in common grows alone."""
    decoder = gran(width=8, generator_norm=norm).generator.decoder
    layers = list(decoder.layers)
    for layer in layers[:-1]:
        torch.nn.init.normal_(layer.weight, 0.05, 0.01)
    memory, seen = torch.zeros(64, 6), []
    layers[-1].register_forward_hook(lambda layer, inputs, output: seen.append(inputs[0]))
    decoder(torch.cat((torch.randn(64, 6).tanh(), memory), 1), 0)
    (maps,) = seen
    between = maps.var(0).mean() / maps.square().mean()
    assert between > 0.15 if unlike else between < 0.08


def test_the_norm_between_the_decoders_layers_is_of_each_step():
    with torch.device("meta"):
        plain, normed = (CanvasGenerator(100, (3, 32, 32), 128, 3, norm) for norm in ("none", "batch"))
    assert [len(network.decoder.norms) for network in (plain, normed)] == [0, 2]
    assert weights(normed) - weights(plain) == 512 + 256  # a gain and a bias in place of the layer's bias
    assert len(normed.decoder.norms[0].norms) == 3 and normed.decoder.layers[-1].bias is not None


def test_the_discriminators_dense_weights_decay():
    model, batch = gran(decay=0.5), batch_for(spec_for("gran"))
    torch.manual_seed(1)
    with_decay = model.player_loss("discriminator", batch, Progress(total=100))
    model.decay = 0.0
    torch.manual_seed(1)
    without = model.player_loss("discriminator", batch, Progress(total=100))
    squares = sum(layer.weight.square().sum() for layer in (model.discriminator.dense, model.discriminator.head))
    torch.testing.assert_close(with_decay[0] - without[0], 0.5 * 0.5 * squares)
    torch.manual_seed(1)
    fake = model.generate(model.latents_for(batch.real))
    expected = softplus(-model.discriminator(batch.real)).mean() + softplus(model.discriminator(fake)).mean()
    torch.testing.assert_close(without[0], expected)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 17, 30)], ids=str)
def test_any_size_is_drawn(shape):
    model = gran(shape, steps=2).eval()
    z = model.draw_latents(8, torch.Generator().manual_seed(0))
    with torch.no_grad():
        shown = model.showcase(Fixed(z, None, batch_for(model.spec, 8), columns=4))
    assert set(shown) == {"samples", "canvas"} and shown["samples"].shape == (8, *shape)
    assert torch.equal(shown["canvas"][4:8], shown["samples"][:4])  # a row after the first step, a row after the last


def test_a_gradient_penalty_replaces_the_discriminators_norm():
    model = compose_model("gran", compose_loss("wgan_gp"))
    assert isinstance(model.discriminator.norms[0], torch.nn.GroupNorm)


def test_less_than_a_step_is_refused():
    for key, value in (("steps", 0), ("width", 0), ("decay", -1), ("discriminator_units", 0)):
        with pytest.raises(UsageError, match=f"model.{key} must be at least"):
            model_options({**read(CONF / "model/gran.yaml"), key: value})
