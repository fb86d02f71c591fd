"""What scripts/bench counts of a step."""

import importlib

import pytest
import torch
from torch import nn

pytestmark = pytest.mark.usefixtures("benching_on_path")


@pytest.fixture
def benching_on_path(monkeypatch, pytestconfig):
    monkeypatch.syspath_prepend(str(pytestconfig.rootpath / "scripts"))


def touched(layer: nn.Module, side: int) -> float:
    """Return the multiplications with values of images and not with padding, by a pass of ones through weights of one."""
    with torch.no_grad():
        layer.weight.fill_(1.0)
        return layer(torch.ones(1, layer.in_channels, side, side)).sum().item()


@pytest.mark.parametrize("layer", [nn.Conv2d(3, 5, 3, padding=1, bias=False), nn.Conv2d(3, 5, 4, 2, 1, bias=False),
                                   nn.Conv2d(3, 5, 3, padding=2, dilation=2, bias=False), nn.Conv2d(3, 5, 3, bias=False),
                                   nn.ConvTranspose2d(3, 5, 4, 2, 1, bias=False),
                                   nn.ConvTranspose2d(3, 5, 5, 2, 2, output_padding=1, bias=False)], ids=str)
def test_operations_on_padding_are_not_counted_as_useful(layer):
    ceiling = importlib.import_module("benching.ceiling")
    x = torch.randn(1, 3, 8, 8, requires_grad=True)
    forward = ceiling.needs(lambda: layer(x))
    assert forward.useful == pytest.approx(2 * touched(layer, 8))
    assert forward.useful <= forward.flops and (forward.useful < forward.flops) == (layer.padding != (0, 0))
    both = ceiling.needs(lambda: layer(x).sum().backward())
    assert both.useful / both.flops == pytest.approx(forward.useful / forward.flops)
    assert both.flops == 3 * forward.flops  # the input's gradient and the weights'


def test_products_are_useful_throughout():
    ceiling = importlib.import_module("benching.ceiling")
    layer = nn.Linear(4, 6)
    found = ceiling.needs(lambda: layer(torch.randn(10, 4)))
    assert found.useful == found.flops == 2 * 10 * 4 * 6


def test_neighbors_compute_as_long_as_they_are_wanted():
    with importlib.import_module("benching.neighbors").neighbors(2) as busy:
        assert [process.poll() for process in busy] == [None, None]
    assert None not in [process.poll() for process in busy]
