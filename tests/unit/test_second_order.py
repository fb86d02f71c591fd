"""Convolutions that are differentiated twice, and the filters that double and halve maps, against the library's."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from gancli.gradients import inputs_only, library_kernels
from gancli.networks import resampling
from gancli.networks.maps import channels_last
from gancli.networks.second_order import Convolution, convolved, transposed

# (inputs, outputs, kernel, stride, padding, groups, height, width): plain, grouped, channel by channel, strided over odd maps
CASES = [(3, 4, 3, 1, 1, 1, 5, 6), (4, 6, 1, 1, 0, 1, 4, 4), (8, 8, 3, 1, 1, 2, 6, 4), (4, 4, 4, 1, 0, 4, 4, 4),
         (3, 5, 3, 2, 0, 1, 9, 7), (2, 4, 4, 2, 1, 1, 6, 8), (1, 4, 1, 1, 0, 1, 4, 5)]


def derivatives(layer, x: torch.Tensor, *weights: torch.Tensor) -> list[torch.Tensor]:
    """Return the output, its gradients, those of a penalty on the slope at the input, and third ones."""
    x, weights = x.clone().requires_grad_(), [weight.clone().requires_grad_() for weight in weights]
    y = layer(x, *weights)
    first = torch.autograd.grad((y * torch.sin(3 * y.detach())).sum(), [x, *weights], retain_graph=True)
    with inputs_only():
        (slope,) = torch.autograd.grad(y.tanh().sum(), x, create_graph=True)
    second = torch.autograd.grad(slope.square().sum(), [x, *weights], create_graph=True)
    third = torch.autograd.grad(sum(one.square().sum() for one in second), [x, *weights])
    return [y, *first, *second, *third]


def assert_like_the_library(layer, x: torch.Tensor, *weights: torch.Tensor) -> None:
    ours = derivatives(layer, x, *weights)
    with library_kernels():
        theirs = derivatives(layer, x, *weights)
    assert len(ours) == 1 + 3 * (1 + len(weights))
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_convolutions_equal_the_librarys_up_to_third_gradients(case, bias):
    inputs, outputs, kernel, stride, padding, groups, height, width = case
    torch.manual_seed(0)
    x = torch.randn(2, inputs, height, width, dtype=torch.float64)
    weights = [torch.randn(outputs, inputs // groups, kernel, kernel, dtype=torch.float64)]
    weights += [torch.randn(outputs, dtype=torch.float64)] if bias else []
    assert_like_the_library(lambda x, weight, b=None: convolved(x, weight, b, stride, padding, groups), x, *weights)


def test_the_cases_are_all_there():
    assert len(CASES) == 7


@pytest.mark.parametrize(("kernel", "padding"), [(3, 0), (4, 1)])
def test_transposed_ones_too(kernel, padding):
    torch.manual_seed(0)
    x, weight = torch.randn(2, 3, 4, 5, dtype=torch.float64), torch.randn(3, 2, kernel, kernel, dtype=torch.float64)
    assert_like_the_library(lambda x, weight: transposed(x, weight, padding=padding), x, weight)
    assert transposed(x, weight, padding=padding).shape == functional.conv_transpose2d(x, weight, None, 2, padding).shape


@pytest.mark.parametrize("name", ["smoothly_doubled", "smoothly_halved", "blurred"])
@pytest.mark.parametrize("slow", [True, False])
def test_filters_too(name, slow, monkeypatch):
    """`slow`: as in bf16, each the other's gradient."""
    monkeypatch.setattr(resampling, "_slow", lambda x: slow and not library_kernels.on)
    torch.manual_seed(0)
    assert_like_the_library(getattr(resampling, name), torch.randn(2, 3, 4, 6, dtype=torch.float64))


def test_filters_take_odd_maps_in_bf16():
    x = torch.randn(2, 3, 5, 7).bfloat16()
    with library_kernels():
        theirs = resampling.smoothly_halved(x)
    assert resampling.smoothly_halved(x).shape == theirs.shape == (2, 3, 2, 3)


def test_they_do_what_autocast_does_and_give_gradients_in_the_weights_precision():
    layer, x = Convolution(3, 4, 3, padding=1), torch.randn(2, 3, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    y.float().sum().backward()
    assert y.dtype == torch.bfloat16
    assert layer.weight.grad.dtype == layer.bias.grad.dtype == torch.float32
    assert isinstance(layer, nn.Conv2d)


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_stay_innermost(channels):
    x = channels_last(torch.randn(2, channels, 8, 8)).requires_grad_()
    y = Convolution(channels, 4, 1)(x)
    assert y.is_contiguous(memory_format=torch.channels_last)
    (slope,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    assert slope.is_contiguous(memory_format=torch.channels_last)
