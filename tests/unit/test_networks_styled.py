"""Layers and networks of style-based and residual generators against their closed forms, in float64 where it matters."""

import importlib
import inspect
import math
from pathlib import Path

import pytest
import torch
from composing import compose_model, spec_for
from torch import nn
from torch.nn.functional import avg_pool2d, conv2d, conv_transpose2d, interpolate, leaky_relu, linear

from gancli.models.stylegan2 import path_lengths
from gancli.networks.equalized import EqualizedLinear
from gancli.networks.r3gan import GAIN, ResidualBlock, ResidualDiscriminator, whole_groups
from gancli.networks.resampling import blurred, smoothly_doubled, smoothly_halved
from gancli.networks.styled import Mapping, ModulatedLayer, ModulatedToImages, NoiseMaps, demodulation, modulated
from gancli.networks.stylegan import StyledLayer, instance_norm, spread_kernel

TAPS = torch.tensor([1.0, 3, 3, 1], dtype=torch.float64)
FILTER = torch.outer(TAPS, TAPS) / 64


def numbers(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def each_filtered(x, kernel, **how):
    """Return every map of x filtered by itself."""
    return torch.cat([conv2d(x[:, c:c + 1], kernel[None, None], **how) for c in range(x.shape[1])], 1)


# Resampling


def test_doubling_puts_zeros_between_pixels_and_filters():
    x = numbers(2, 3, 4, 5)
    wide = x.new_zeros(2, 3, 8, 10)
    wide[:, :, ::2, ::2] = x
    by_hand = each_filtered(nn.functional.pad(wide, (2, 1, 2, 1)), 4 * FILTER)
    torch.testing.assert_close(smoothly_doubled(x), by_hand)
    inner = interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)[:, :, 1:-1, 1:-1]
    torch.testing.assert_close(smoothly_doubled(x)[:, :, 1:-1, 1:-1], inner)


def test_halving_is_the_transpose_of_doubling():
    x, y = numbers(2, 3, 8, 10), numbers(2, 3, 4, 5)
    torch.testing.assert_close(smoothly_halved(x), each_filtered(nn.functional.pad(x, (1, 1, 1, 1)), FILTER)[:, :, ::2, ::2])
    torch.testing.assert_close(4 * (smoothly_halved(x) * y).sum(), (x * smoothly_doubled(y)).sum())
    assert torch.allclose(smoothly_halved(torch.ones(1, 1, 8, 8))[..., 1:-1, 1:-1], torch.ones(()))


def test_blur_by_hand():
    x = torch.zeros(1, 1, 3, 3)
    x[..., 1, 1] = 16
    assert torch.equal(blurred(x)[0, 0], torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]))


def test_pixels_seen_twice_are_a_wider_kernel():
    x, weight = numbers(2, 3, 6, 4), numbers(5, 3, 3, 3)
    by_hand = conv2d(interpolate(x, scale_factor=2), weight.flip(2, 3), padding=1)  # a transposed convolution turns it around
    torch.testing.assert_close(conv_transpose2d(x, spread_kernel(weight).transpose(0, 1), stride=2, padding=1), by_hand)
    by_hand = avg_pool2d(conv2d(x, weight, padding=1), 2)
    torch.testing.assert_close(conv2d(x, spread_kernel(weight) / 4, stride=2, padding=1), by_hand)


# Mapping


def test_a_slow_layer_stores_larger_weights_and_gives_the_same():
    torch.manual_seed(0)
    layer = EqualizedLinear(400, 300, gain=1, rate=0.01, bias=0.5)
    assert layer.weight.std().item() == pytest.approx(100, rel=0.02) and layer.bias.eq(50).all()
    x = torch.randn(5, 400)
    torch.testing.assert_close(layer(x), linear(x, layer.weight / 100 / 20, torch.full((300,), 0.5)), rtol=1e-4, atol=1e-4)


def test_mapping_by_hand_with_and_without_labels_and_latents():
    z = numbers(4, 6)
    unit = z / (z.square().mean(1, keepdim=True) + 1e-8).sqrt()
    mapping = Mapping(6, 0, 5, layers=2).double()
    x = unit
    for layer in mapping.layers:
        x = math.sqrt(2) * leaky_relu(x @ layer.weight.T * 0.01 / math.sqrt(x.shape[1]), 0.2)
    torch.testing.assert_close(mapping(z), x, rtol=1e-6, atol=1e-7)  # lengths are taken in float32
    assert torch.allclose(mapping(3 * z), x, atol=1e-6)  # the length of a latent says nothing
    labeled = Mapping(6, 3, 5, layers=1).double()
    embedded = labeled.embedding.weight.T / math.sqrt(3)
    embedded = embedded / (embedded.square().mean(1, keepdim=True) + 1e-8).sqrt()
    joined = torch.cat((unit, embedded[[0, 2, 1, 0]]), 1)
    by_hand = math.sqrt(2) * leaky_relu(joined @ labeled.layers[0].weight.T * 0.01 / math.sqrt(11), 0.2)
    weights = torch.eye(3, dtype=torch.float64)[[0, 2, 1, 0]]
    torch.testing.assert_close(labeled(z, weights), by_hand, rtol=1e-6, atol=1e-7)
    assert torch.allclose(labeled.float()(z.float(), torch.tensor([0, 2, 1, 0])), by_hand.float(), atol=1e-6)
    assert Mapping(0, 3, 5, layers=8)(None, torch.tensor([1, 2])).shape == (2, 5)


# Modulation


def test_modulation_equals_weights_of_each_examples_own():
    x, weight, style = numbers(3, 4, 6, 5), numbers(7, 4, 3, 3), numbers(3, 4)
    own = weight[None] * style[:, None, :, None, None]
    normed = own / (own.square().sum((2, 3, 4), keepdim=True) + 1e-8).sqrt()
    torch.testing.assert_close(demodulation(weight, style), 1 / (own.square().sum((2, 3, 4)) + 1e-8).sqrt())
    for demodulate, each in ((True, normed), (False, own)):
        by_hand = torch.cat([conv2d(x[i:i + 1], each[i], padding=1) for i in range(3)])
        torch.testing.assert_close(modulated(x, weight, style, demodulate), by_hand)
    wide = torch.cat([conv_transpose2d(x[i:i + 1], normed[i].transpose(0, 1), stride=2) for i in range(3)])
    by_hand = each_filtered(nn.functional.pad(wide, (1, 1, 1, 1)), 4 * FILTER)
    torch.testing.assert_close(modulated(x, weight, style, double=True), by_hand)


def test_demodulated_maps_have_the_size_of_their_inputs():
    torch.manual_seed(0)
    made = modulated(torch.randn(8, 64, 16, 16), torch.randn(64, 64, 3, 3), 5 * torch.rand(8, 64))
    assert made[..., 1:-1, 1:-1].std().item() == pytest.approx(1, rel=0.02)


def test_a_modulated_layer_by_hand_and_its_start():
    layer = ModulatedLayer(4, 5, 6, double=False).double()
    assert layer.style.bias.eq(1).all() and not layer.bias.any() and layer.strength.item() == 0
    with torch.no_grad():
        layer.bias.normal_()
        layer.strength.fill_(0.3)
    x, w, noise = numbers(2, 4, 8, 8), numbers(2, 6), numbers(1, 1, 8, 8)
    style = w @ layer.style.weight.T / math.sqrt(6) + 1
    by_hand = modulated(x, layer.weight, style) + 0.3 * noise + layer.bias[:, None, None]
    torch.testing.assert_close(layer(x, w, noise), math.sqrt(2) * leaky_relu(by_hand, 0.2))
    torch.testing.assert_close(layer(x, w, None), layer(x, w, 0 * noise))
    images = ModulatedToImages(4, 3, 6).double()
    style = (w @ images.style.weight.T / math.sqrt(6) + 1) / 2
    torch.testing.assert_close(images(x, w), modulated(x, images.weight, style, demodulate=False))


def test_adain_by_hand():
    x = 3 + 2 * numbers(2, 4, 8, 8)
    normed = instance_norm(x)
    torch.testing.assert_close(normed.mean((2, 3)), torch.zeros(2, 4), atol=1e-6, rtol=0, check_dtype=False)
    torch.testing.assert_close(normed.square().mean((2, 3)), torch.ones(2, 4), check_dtype=False)
    layer = StyledLayer(None, 4, 6, double=False).double()
    w = numbers(2, 6)
    scale, shift = (w @ layer.style.weight.T / math.sqrt(6)).view(2, 2, 4, 1, 1).unbind(1)
    torch.testing.assert_close(layer(x, w, None), instance_norm(leaky_relu(x, 0.2)) * (1 + scale) + shift)
    with torch.no_grad():
        layer.strength.copy_(torch.arange(4))
    noise = numbers(1, 1, 8, 8)
    expected = instance_norm(leaky_relu(x + noise * torch.arange(4)[:, None, None], 0.2)) * (1 + scale) + shift
    torch.testing.assert_close(layer(x, w, noise), expected, rtol=1e-6, atol=1e-6)


def test_noise_is_new_in_training_and_fixed_else():
    maps, like = NoiseMaps([(4, 6), (8, 12)]), torch.zeros(3, 2)
    one, two = maps(None, like), maps(None, like)
    assert [tuple(each.shape) for each in one] == [(3, 1, 4, 6), (3, 1, 8, 12)] and not torch.equal(one[0], two[0])
    maps.eval()
    assert all(torch.equal(a, b) for a, b in zip(maps(None, like), maps.fixed(), strict=True))
    assert maps([None, None], like) == [None, None]


def test_path_lengths_of_a_linear_synthesis():
    torch.manual_seed(0)
    jacobian = numbers(3 * 4 * 5, 2 * 6)  # pixels, layers times style
    styles = numbers(4, 2, 6).requires_grad_()
    images = (styles.flatten(1) @ jacobian.T).view(4, 3, 4, 5)
    torch.manual_seed(1)
    found = path_lengths(images, styles)
    torch.manual_seed(1)
    y = torch.randn_like(images) / math.sqrt(4 * 5)
    by_hand = (y.flatten(1) @ jacobian).view(4, 2, 6).square().sum(2).mean(1).sqrt()
    torch.testing.assert_close(found, by_hand, check_dtype=False)


# Residual networks


def test_a_residual_block_begins_as_nothing_and_its_weights_shrink_with_the_depth():
    torch.manual_seed(0)
    block = ResidualBlock(64, 16, blocks=16)
    x = torch.randn(2, 64, 5, 5)
    assert torch.equal(block(x), x) and block.grouped.groups == 8
    assert GAIN == pytest.approx(math.sqrt(2 / 1.04))
    assert block.spread.weight.std().item() == pytest.approx(GAIN / 2 / 8, rel=0.05)
    assert block.grouped.weight.std().item() == pytest.approx(GAIN / 2 / 12, rel=0.05)
    with torch.no_grad():
        block.gather.weight.normal_()
        block.grouped.bias.normal_()
    inner = leaky_relu(conv2d(x, block.spread.weight), 0.2)
    inner = leaky_relu(conv2d(inner, block.grouped.weight, block.grouped.bias, padding=1, groups=8), 0.2)
    torch.testing.assert_close(block(x), x + conv2d(inner, block.gather.weight))


def test_channels_divide_into_whole_groups():
    assert [whole_groups(width, 16) for width in (3, 8, 21, 64, 768)] == [8, 8, 16, 64, 768]
    assert [whole_groups(width, 1) for width in (1, 5)] == [1, 5] and whole_groups(10, 3) == 9


def test_a_label_is_projected_onto_the_last_features():
    judge = ResidualDiscriminator(1, [(4, 4), (8, 8)], [8, 8], 4, 1, classes=3).double()
    x = numbers(2, 1, 8, 8)
    rows = torch.stack([judge(x, torch.eye(3, dtype=torch.float64)[[label] * 2]) for label in range(3)], 1)
    torch.testing.assert_close(judge(x, torch.full((2, 3), 1 / 3, dtype=torch.float64)), rows.mean(1))


# The papers' sizes


def counted(model):
    return [sum(p.numel() for network in model.players[player] for p in network.parameters())
            for player in ("generator", "discriminator")]


PAPER = {"latent_size": 512, "style_size": 512, "channel_max": 512}
PUBLISHED = {  # counted in the authors' code
    "stylegan2 cifar": ("stylegan2", 32, {**PAPER, "channel_base": 32768, "discriminator": "plain"}, [19_947_539, 20_720_641]),
    "stylegan2 cifar with labels": ("stylegan2", 32, {**PAPER, "channel_base": 32768, "discriminator": "plain",
                                                      "conditional": True}, [20_215_315, 23_089_664]),
    "stylegan2 auto": ("stylegan2", 64, {**PAPER, "channel_base": 16384}, [22_243_608, 23_407_361]),
    "stylegan2": ("stylegan2", 1024, {**PAPER, "channel_base": 32768, "mapping_layers": 8}, [30_370_060, 29_012_513]),
    "r3gan cifar10": ("r3gan", 32, {"channel_base": 24576, "channel_max": 768}, [20_732_160, 20_683_776]),
    "r3gan cifar10 with labels": ("r3gan", 32, {"channel_base": 24576, "channel_max": 768, "conditional": True},
                                  [20_781_952, 21_280_512]),
    "r3gan ffhq64": ("r3gan", 64, {"channel_base": 24576, "channel_max": 768}, [22_429_824, 22_381_440]),
}


@pytest.mark.parametrize("setting", PUBLISHED)
def test_parameter_counts_are_the_published_codes(setting):
    name, side, changes, expected = PUBLISHED[setting]
    with torch.device("meta"):
        spec = spec_for(name, (3, side, side))
        spec = type(spec)(spec.shape, spec.count, tuple(map(str, range(10))))
        model = compose_model(name, spec=spec, small=False, **changes)
        assert counted(model) == expected
        labels = (torch.zeros(2, dtype=torch.int64),) if model.needs.labels else ()
        x = model.generate(model.latents_for(torch.zeros(2, 3, side, side)), *labels)
        assert x.shape == (2, 3, side, side) and model.judge(x, *labels).shape == (2,)


def test_the_benchs_formulation_of_modulation_is_the_same(monkeypatch):
    """scripts/bench compares with weights of each example's own in a grouped convolution, put in this one's place."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "scripts"))
    other = importlib.import_module("benching.reference").modulated_by_example
    assert inspect.signature(other) == inspect.signature(modulated)
    x, weight, style = numbers(2, 3, 4, 4), numbers(5, 3, 3, 3), numbers(2, 3)
    for double in (False, True):
        torch.testing.assert_close(other(x, weight, style, double=double, gain=1.5),
                                   modulated(x, weight, style, double=double, gain=1.5))
