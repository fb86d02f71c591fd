"""Introspective adversarial networks: the ternary game, dilated blocks and orthogonality by hand, and who learns from what."""

import math

import pytest
import torch
from composing import batch_for, compose_model, read, take_turn
from systems import CONF
from torch import nn

from gancli.data.spec import DataSpec
from gancli.errors import UsageError
from gancli.game.build import model_options
from gancli.game.model import Progress
from gancli.losses.ternary import share_of_real, ternary_discrimination, ternary_generation
from gancli.models.ian import feature_error
from gancli.networks.ian import ChainedChannels, DilatedConvolution, distance_from_orthogonal


def model_of(**changes):
    torch.manual_seed(0)
    return compose_model("ian", **changes)


def loss_of(model, player, batch):
    torch.manual_seed(4)
    return model.player_loss(player, batch, Progress(total=1000))


def test_the_ternary_game_by_hand():
    even = torch.zeros(5, 3, dtype=torch.float64)
    assert ternary_discrimination(even, even, even).item() == pytest.approx(3 * math.log(3), rel=1e-12)
    assert ternary_generation(even, even).item() == pytest.approx(2 * math.log(3), rel=1e-12)
    logits = torch.tensor([[1.0, 2.0, -1.0]], dtype=torch.float64)
    total = math.log(math.exp(1) + math.exp(2) + math.exp(-1))
    assert ternary_discrimination(logits, logits, logits).item() == pytest.approx(3 * total - (1 + 2 - 1), rel=1e-12)
    assert ternary_generation(logits, even).item() == pytest.approx(total - 1 + math.log(3), rel=1e-12)
    assert share_of_real(logits).item() == pytest.approx(math.exp(1 - total), rel=1e-12)
    far = torch.tensor([[-800.0, 0.0, 0.0]], dtype=torch.float64)  # far in the tails
    assert ternary_generation(far, far).item() == pytest.approx(2 * (800 + math.log(2)), rel=1e-12)


def test_a_dilated_convolution_is_a_weighted_sum_of_one_kernel_at_several_distances():
    layer = DilatedConvolution(1, 1, (0, 2)).double()
    kernel = torch.arange(1.0, 10.0, dtype=torch.float64).view(3, 3)
    with torch.no_grad():
        layer.weight.copy_(kernel[None, None])
        layer.coefficients.copy_(torch.tensor([[1.0], [10.0], [100.0]]))
    x = torch.zeros(1, 1, 7, 7, dtype=torch.float64)
    x[0, 0, 3, 3] = 1
    expected = torch.zeros(7, 7, dtype=torch.float64)
    expected[2:5, 2:5] += kernel.flip(0, 1)  # correlation: an impulse gives the kernel turned round
    expected[1:6:2, 1:6:2] += 100 * kernel.flip(0, 1)
    expected[3, 3] += 10 * kernel.mean()
    torch.testing.assert_close(layer(x)[0, 0], expected)
    assert DilatedConvolution(4, 5, (0, 2, 3)).coefficients.unique().item() == 0.25


def test_channels_are_means_of_beta_laws_and_see_those_before_them():
    image = ChainedChannels(2, 3).double()
    x = torch.randn(1, 2, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    a, b = image.of_map[0](x).sigmoid()[0]
    torch.testing.assert_close(image(x)[0, 0], (2 * a / (a + b) - 1).float(), rtol=1e-5, atol=1e-6, check_dtype=False)
    before = image(x)
    with torch.no_grad():
        image.of_map[1].weight.add_(1.0)
    changed = (image(x) != before).flatten(2).any(2)[0]
    assert changed.tolist() == [False, True, True]


def test_orthogonality_by_hand():
    network = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.Linear(3, 3))
    with torch.no_grad():
        network[0].weight[0, 0] = torch.eye(3)  # its rows are orthonormal
        network[0].weight[1, 0] = 2 * torch.eye(3)
    assert distance_from_orthogonal(network).item() == 9
    wide = nn.ConvTranspose2d(1, 2, 2, bias=False)
    with torch.no_grad():
        wide.weight.copy_(torch.tensor([[[[1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 0.0]]]]))
    # rows over both channels: (1, 0, 0, 1) and (1, 0, 0, 0): products 2, 1, 1, 1
    assert distance_from_orthogonal(wide).item() == 3


def test_features_are_compared_layer_by_layer():
    one = (torch.zeros(2, 1, 2, 2), torch.zeros(2, 3))
    other = (torch.full((2, 1, 2, 2), 2.0), torch.full((2, 3), 1.0))
    assert feature_error(one, other).item() == (4 + 1) / 2  # however large a layer is


def test_the_autoencoder_minimizes_the_weighted_sum():
    model = model_of(lambda_pixel=5, lambda_feature=2, lambda_adversarial=0.5, lambda_kl=3, lambda_orthogonal=0.1, decay=0.01)
    batch = batch_for(model.spec)
    maps = model.trunk(batch.real)
    mean, log_std = (each.double() for each in model.heads(maps[-1]))
    torch.manual_seed(4)
    z = mean + log_std.exp() * torch.randn(4, 6)
    again, drawn = model.decoder(torch.cat((z.float(), torch.randn(4, 6)))).chunk(2)  # with common batch statistics
    feature = torch.stack([(a - b).double().square().mean() for a, b in zip(maps, model.trunk(again), strict=True)]).mean()
    logits = [model.verdict(model.trunk(x)[-1]).double() for x in (again, drawn)]
    adversarial = sum(-each.log_softmax(1)[:, 0].mean() for each in logits)
    divergence = -0.5 * (1 + 2 * log_std - mean.square() - (2 * log_std).exp()).mean()
    weights = sum(layer.weight.double().square().sum() for layer in (model.heads.hidden, *model.heads.heads))
    expected = (5 * 2 * (again - batch.real).double().abs().mean() + 2 * feature + 0.5 * adversarial + 3 * divergence
                + 0.1 * distance_from_orthogonal(model.decoder).double() + 0.01 * weights)
    loss, scalars = loss_of(model, "autoencoder", batch)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert scalars["kl"].item() == pytest.approx(divergence.item(), rel=1e-5)


def test_the_trunk_learns_from_verdicts_and_not_through_reconstructions():
    model = model_of(lambda_orthogonal=0.0)
    batch = batch_for(model.spec)
    torch.manual_seed(4)
    made = model.prepare(batch)
    take = {}
    for prepared in (made, None):
        batch.prepared = prepared
        torch.manual_seed(4)
        take_turn(model, "discriminator", batch, Progress(total=1000))
        take[prepared is None] = [p.grad.clone() for p in model.trunk.parameters()]
    torch.testing.assert_close(take[True], take[False])  # images that were made before are constants
    assert all(p.grad is None for network in model.players["autoencoder"] for p in network.parameters())


def test_running_statistics_of_the_trunk_are_of_real_images():
    model = model_of().train()
    batch = batch_for(model.spec)
    norm = model.trunk.norms[1]
    seen = []
    norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    take_turn(model, "discriminator", batch, Progress(total=1000))
    assert len(seen) == 3
    torch.testing.assert_close(norm.running_mean, 0.1 * seen[0].mean((0, 2, 3)))


def test_networks_are_the_authors_at_64_pixels():
    with torch.device("meta"):
        model = compose_model("ian", spec=DataSpec((3, 64, 64), 9), small=False)

    def count(network):
        return sum(p.numel() for p in network.parameters())

    pairs = ((3, 128), (128, 256), (256, 512), (512, 1024))
    assert count(model.trunk) == sum(25 * a * b for a, b in pairs) + 128 + 2 * (256 + 512 + 1024)
    assert count(model.verdict) == 1024 * 500 * 5 + 500 * 5 + 500 + 3 * 1524
    assert count(model.heads) == 16384 * 1000 + 2 * 1000 + 2 * (1000 * 100 + 2 * 100)
    blocks = sum(2 * (9 * f * f + dilations * f) + 3 * 2 * f for f, dilations in ((512, 3), (256, 4), (128, 4)))
    doublings = sum(25 * a * b + 2 * b for a, b in ((512, 512), (512, 256), (256, 128), (128, 128)))
    image = sum(9 * 2 * inputs + 4 * 2 for inputs in (128, 128, 128, 2, 4))
    assert count(model.decoder) == 101 * 512 * 16 + doublings + blocks + image


WRONG = [({"lambda_kl": -1}, "lambda_kl must be"), ({"decay": -1}, "decay must be"),
         ({"minibatch_kernels": 0}, "minibatch_kernels must be at least 1"), ({"width": 0}, "width must be at least 1")]


@pytest.mark.parametrize(("changes", "words"), WRONG)
def test_options_out_of_range_are_refused(changes, words):
    assert len(WRONG) == 4
    with pytest.raises(UsageError, match=words):
        model_options({**read(CONF / "model/ian.yaml"), **changes})
