"""Our strided convolutions against the library's, and one pass over real and fake against two."""

import copy
from contextlib import nullcontext

import pytest
import torch
from torch import nn

from gancli.gradients import halves_apart, inputs_only, library_kernels
from gancli.networks.convolution import KERNELS, Doubling, Halving
from gancli.networks.layers import mixes_examples, mixes_halves, norm_layer

# (layer, inputs, outputs, height, width): few channels, many channels over small maps, neither, odd sizes
CASES = [(Halving, 1, 8, 8, 12), (Halving, 3, 8, 8, 8), (Halving, 160, 16, 8, 8), (Halving, 16, 24, 8, 8),
         (Halving, 3, 8, 9, 7), (Doubling, 8, 1, 4, 6), (Doubling, 8, 3, 4, 4), (Doubling, 16, 160, 4, 4),
         (Doubling, 16, 24, 4, 4)]


def results(layer: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    """Return output, first gradients, those of a penalty on the input's gradient, and the slope of the weight's there."""
    x = x.clone().requires_grad_()
    y = layer(x)
    first = torch.autograd.grad((y * torch.sin(y.detach() * 3)).sum(), [x, *layer.parameters()], retain_graph=True)
    with inputs_only():
        (slope,) = torch.autograd.grad((y ** 2).sum(), x, create_graph=True)
    second = torch.autograd.grad((slope ** 2).sum(), [x, *layer.parameters()])
    (step,) = torch.autograd.grad((layer(x) ** 2).sum(), layer.weight, create_graph=True)  # as unrolling takes it
    return [y, *first, *second, *torch.autograd.grad((step ** 2).sum(), x)]


@pytest.mark.parametrize(("kind", "inputs", "outputs", "height", "width"), CASES)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kernel", KERNELS)
def test_equal_the_library_up_to_second_gradients(kind, inputs, outputs, height, width, bias, kernel):
    torch.manual_seed(0)
    layer = kind(inputs, outputs, bias=bias, kernel=kernel).double()
    x = torch.randn(3, inputs, height, width, dtype=torch.float64)
    ours = results(layer, x)
    with library_kernels():
        theirs = results(layer, x)
    assert len(ours) == len(theirs) == (8 if bias else 6)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other)


def test_the_cases_are_all_there():
    assert len(CASES) == 9


def test_one_channel_keeps_the_channels_innermost():
    x = torch.randn(2, 1, 8, 8)
    y = Halving(1, 4)(x)
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert Halving(1, 4)(Doubling(4, 1)(y)).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("kernel", KERNELS)
def test_odd_maps_are_halved_rounding_down_and_doubled_to_their_size(kernel):
    assert Halving(3, 4, kernel=kernel)(torch.zeros(2, 3, 9, 8)).shape == (2, 4, 4, 4)
    assert Doubling(4, 3, odd=(1, 0), kernel=kernel)(torch.zeros(2, 4, 4, 4)).shape == (2, 3, 9, 8)


@pytest.mark.parametrize("odd", [(0, 0), (1, 0), (1, 1)], ids=str)
@pytest.mark.parametrize("plain", [False, True], ids=["ours", "library"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_doubling_is_the_transpose_of_halving(kernel, odd, plain):
    """With one weight <halve(x), y> = <x, double(y)>: a generator's layer places its taps as a discriminator's reads them."""
    halve = Halving(3, 5, bias=False, kernel=kernel).double()
    double = Doubling(5, 3, bias=False, odd=odd, kernel=kernel).double()
    double.weight.data = halve.weight.data
    x = torch.randn(2, 3, 6 + odd[0], 8 + odd[1], dtype=torch.float64)
    y = torch.randn(2, 5, 3, 4, dtype=torch.float64)
    with library_kernels() if plain else nullcontext():
        torch.testing.assert_close((halve(x) * y).sum(), (x * double(y)).sum())


def test_windows_of_five_are_centered_where_radford_has_them():
    """Padding 2 on every side of an even map (border_mode=(2, 2) of its code)."""
    x = torch.randn(2, 3, 8, 8)
    layer = Halving(3, 4, kernel=5)
    torch.testing.assert_close(layer(x), nn.functional.conv2d(x, layer.weight, layer.bias, 2, 2))


@pytest.mark.parametrize("kernel", KERNELS)
def test_weight_gradient_of_wide_layers_in_bf16(kernel):
    torch.manual_seed(0)
    layer, x = Halving(64, 32, kernel=kernel), torch.randn(8, 64, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        (ours,) = torch.autograd.grad(layer(x).float().square().sum(), layer.weight)
        with library_kernels():
            (theirs,) = torch.autograd.grad(layer(x).float().square().sum(), layer.weight)
    assert (ours - theirs).norm() < 0.01 * theirs.norm()


def test_autocast_reaches_into_them():
    layer = Halving(3, 4)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(torch.randn(2, 3, 8, 8))
    assert y.dtype == torch.bfloat16
    y.float().sum().backward()
    assert layer.weight.grad.dtype == torch.float32


def test_weights_get_no_gradient_where_only_inputs_are_asked_for():
    layer = Halving(3, 4)
    x = torch.randn(2, 3, 8, 8, requires_grad=True)
    with inputs_only():
        layer(x).sum().backward()
    assert x.grad is not None and layer.weight.grad is None and layer.bias.grad is None


def test_halves_have_statistics_of_their_own():
    torch.manual_seed(0)
    apart = nn.Sequential(nn.Conv2d(2, 3, 3), norm_layer("batch", 3))
    together = copy.deepcopy(apart)
    real, fake = torch.randn(4, 2, 6, 6), 3 + 2 * torch.randn(4, 2, 6, 6)
    expected = torch.cat([apart(real), apart(fake)])
    with halves_apart():
        found = together(torch.cat([real, fake]))
    torch.testing.assert_close(found, expected)
    for mine, other in zip(together.buffers(), apart.buffers(), strict=True):
        torch.testing.assert_close(mine, other)
    assert not torch.allclose(together(torch.cat([real, fake])), expected)


def test_a_layer_that_mixes_its_batch_forbids_one_pass_unless_it_keeps_halves_apart():
    other = nn.Identity()
    other.mixes_examples = True
    assert mixes_examples(norm_layer("batch", 3)) and not mixes_halves(norm_layer("batch", 3))
    assert mixes_halves(nn.BatchNorm2d(3)) and mixes_halves(nn.Sequential(other))
    assert not mixes_examples(norm_layer("layer", 3))
