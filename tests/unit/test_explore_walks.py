"""Paths between latents keep their ends, their length and their distribution."""

import math

import pytest
import torch

from gancli.explore.labels import spread
from gancli.explore.walks import walk
from gancli.game.prior import Normal, Uniform, slerp


def test_slerp_equals_its_closed_form():
    a, b = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 4.0])
    times = torch.tensor([0.25, 0.5, 1.0])
    expected = [[2 * math.sin((1 - t) * math.pi / 2), 4 * math.sin(t * math.pi / 2)] for t in times.tolist()]
    assert torch.allclose(slerp(a, b, times), torch.tensor(expected), atol=1e-6)


@pytest.mark.parametrize("path", ["linear", "spherical"])
@pytest.mark.parametrize("prior", [None, Normal(2, 4), Uniform(2, 4, low=-1, high=1), Uniform(2, 4, low=0, high=1)])
def test_a_walk_passes_through_its_points_exactly(path, prior):
    points = (prior or Uniform(2, 4, low=0.1, high=0.9)).draw(3, torch.Generator().manual_seed(0))
    latents = walk(points, 5, path, prior=prior)
    assert latents.shape == (9, 2, 4) and latents.dtype == points.dtype
    assert torch.equal(latents[::4], points)
    closed = walk(points, 5, path, closed=True, prior=prior)
    assert closed.shape == (12, 2, 4)
    assert torch.equal(closed[:9], latents) and torch.equal(closed[::4], points)
    assert torch.equal(walk(points[[2, 0]], 5, path, prior=prior)[1:4], closed[9:])
    assert torch.equal(walk(points, 2, path, prior=prior), points)


def test_linear_is_a_line():
    points = torch.randn(2, 7)
    assert torch.allclose(walk(points, 3, "linear")[1], points.mean(0), atol=1e-6)


def test_spherical_keeps_the_length_of_normal_latents_and_linear_does_not():
    points = torch.randn(2, 10_000, generator=torch.Generator().manual_seed(0))
    spherical, linear = walk(points, 3)[1].norm(), walk(points, 3, "linear")[1].norm()
    assert abs(spherical / 100 - 1) < 0.02
    assert abs(linear / 100 - math.sqrt(0.5)) < 0.02


def test_spherical_keeps_uniform_latents_uniform():
    generator = torch.Generator().manual_seed(0)
    points = 2 * torch.rand(2, 100_000, generator=generator) - 1
    middle = walk(points, 3, prior=Uniform(100_000, low=-1, high=1))[1]
    assert middle.abs().max() <= 1
    shares = torch.histc(middle, 10, -1, 1) / 100_000
    assert (shares - 0.1).abs().max() < 0.005


def test_parallel_and_opposite_points_stay_finite():
    point = torch.randn(6)
    for points in (torch.stack([point, point]), torch.stack([point, -point]), torch.zeros(2, 6)):
        assert walk(points, 5).isfinite().all()
    assert torch.allclose(walk(torch.stack([point, point]), 5), point.expand(5, 6))


def test_spread_shares_images_evenly():
    assert spread(7, [2, 0, 1]).tolist() == [2, 2, 2, 0, 0, 1, 1]
    assert spread(2, range(5)).tolist() == [0, 1]
