"""The norm of a player's gradients, however they lie in memory."""

import math

import pytest
import torch

from gancli.engine.norms import LARGE, _as_stored, total_norm


def tensors():
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(200, 130, generator=generator)
    kernels = torch.randn(64, 32, 3, 3, generator=generator)
    innermost = kernels.contiguous(memory_format=torch.channels_last)
    return [matrix, matrix.T, kernels, innermost, torch.randn(7, generator=generator),
            torch.randn(2, 200, 130, generator=generator)[:, :, ::2], torch.tensor(3.0), torch.zeros(0)]


def test_it_is_the_root_of_all_squares():
    mixed = tensors()
    assert [_as_stored(tensor) is not None for tensor in mixed] == [True, False, True, True, False, False, False, False]
    expected = math.sqrt(sum(tensor.double().square().sum().item() for tensor in mixed))
    assert total_norm(mixed).item() == pytest.approx(expected, rel=1e-6)
    for each in mixed:
        assert total_norm([each]).item() == pytest.approx(each.double().norm().item(), rel=1e-6)
    assert total_norm([]).item() == 0.0
    assert total_norm(mixed).shape == ()


@pytest.mark.parametrize("place", range(8))
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_one_number_that_is_not_finite_is_seen(place, value):
    mixed = [tensor.clone() for tensor in tensors()]
    if mixed[place].numel():
        mixed[place].select(0, -1).fill_(value) if mixed[place].dim() else mixed[place].fill_(value)
    assert math.isfinite(total_norm(mixed).item()) == (mixed[place].numel() == 0)


def test_stored_values_are_no_copy():
    for tensor in tensors()[2:4]:
        rows = _as_stored(tensor)
        assert rows.data_ptr() == tensor.data_ptr() and rows.shape == (tensor.numel(),)
    assert _as_stored(torch.zeros(LARGE - 1)) is None and _as_stored(torch.zeros(LARGE)) is not None
