"""Parzen windows, modes and neighbors equal hand-computed cases (and a direct sum in double precision)."""

import math

import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

from gancli.metrics.measures.modes import class_coverage, divergence, toy_coverage
from gancli.metrics.measures.nearest import Neighbors, memorization
from gancli.metrics.measures.parzen import BANDWIDTHS, log_likelihoods, parzen_likelihood, unit_pixels


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_parzen_by_hand():
    """Samples 0 and 2 on the line, width 1, at x = 1: both give exp(-1/2) / sqrt(2 pi)."""
    value = log_likelihoods(torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0]]), [1.0]).item()
    assert value == pytest.approx(-0.5 - 0.5 * math.log(2 * math.pi), abs=1e-6)


@pytest.mark.parametrize(("size", "bandwidth"), [(2, 0.1), (20, 0.3), (784, 0.2)])
def test_parzen_equals_the_direct_sum(size, bandwidth):
    samples, test = (unit_pixels(torch.tanh(normal(n, size, 1, 1, seed=n))) for n in (150, 60))
    distances = cdist(test.double().numpy(), samples.double().numpy(), "sqeuclidean")
    reference = (logsumexp(-distances / (2 * bandwidth**2), axis=1)  # scikit-learn's trees are wrong in 784 dimensions
                 - math.log(150) - size * math.log(bandwidth * math.sqrt(2 * math.pi)))
    for piece in (2**24, 1000):
        mine = log_likelihoods(samples, test, [0.5, bandwidth], piece)[1]
        torch.testing.assert_close(mine, torch.from_numpy(reference), rtol=1e-5, atol=1e-3)


def test_parzen_far_from_every_sample_stays_finite():
    value = log_likelihoods(torch.zeros(3, 4), torch.full((1, 4), 100.0), [0.1]).item()
    assert value == pytest.approx(-0.5 * 4 * 100**2 / 0.1**2 - 4 * math.log(0.1 * math.sqrt(2 * math.pi)), rel=1e-6)


def test_parzen_chooses_the_width_on_the_validation_set():
    samples, validation, test = normal(400, 2, seed=1), normal(200, 2, seed=2), normal(300, 2, seed=3)
    grid = [0.01, 0.1, 0.3, 1.0, 5.0]
    best = parzen_likelihood(samples, validation, test, grid)
    each = log_likelihoods(samples, validation, grid).mean(1)
    assert best.bandwidth == grid[each.argmax()] == 0.3 and not best.at_edge
    values = log_likelihoods(samples, test, [0.3])[0]
    assert best.mean == pytest.approx(values.mean().item())
    assert best.standard_error == pytest.approx(values.std().item() / 300**0.5)
    assert abs(best.mean + 1 + math.log(2 * math.pi)) < 0.2  # the entropy of the normal density
    assert parzen_likelihood(samples, validation, test, [0.3, 5.0]).at_edge
    with pytest.raises(ValueError, match="not 400, 0 and 300"):
        parzen_likelihood(samples, validation[:0], test)
    assert len(BANDWIDTHS) == 10 and BANDWIDTHS[0] == pytest.approx(0.1) and BANDWIDTHS[-1] == 1


def test_unit_pixels():
    assert unit_pixels(torch.tensor([-1.0, 0, 1, 1.5]).view(1, 1, 2, 2)).tolist() == [[0, 0.5, 1, 1]]


def test_toy_coverage_by_hand():
    """Three modes on the line of width 0.1: five good samples in the first, one in the second, two strays."""
    centers, stds, weights = torch.tensor([[0.0], [1.0], [2.0]]), torch.full((3,), 0.1), torch.tensor([0.5, 0.25, 0.25])
    points = torch.tensor([[0.0], [0.29], [-0.29], [0.1], [0.2], [1.25], [0.35], [5.0]])
    found = toy_coverage(points, centers, stds, weights)
    assert (found.modes, found.good_share, found.held) == (2, 6 / 8, 2) and found.counts.tolist() == [5, 1, 0]
    assert found.kl == pytest.approx(5 / 6 * math.log(5 / 6 / 0.5) + 1 / 6 * math.log(1 / 6 / 0.25))
    nothing = toy_coverage(points + 50, centers, stds, weights)
    assert (nothing.modes, nothing.good_share, nothing.kl, nothing.held) == (0, 0, math.inf, 0)


def test_one_stray_sample_catches_a_mode_but_does_not_hold_it():
    centers = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    points = torch.cat([0.01 * normal(999, 2), torch.tensor([[1.0, 0.0]])])
    found = toy_coverage(points, centers, torch.full((2,), 0.01), torch.full((2,), 0.5))
    assert (found.modes, found.held) == (2, 1) and found.good_share == pytest.approx(0.989, abs=0.01)


def test_modes_of_unequal_width_claim_samples_by_their_own_width():
    centers, stds = torch.tensor([[0.0], [1.0]]), torch.tensor([0.5, 0.01])
    found = toy_coverage(torch.tensor([[0.6]]), centers, stds, torch.tensor([0.5, 0.5]))
    assert found.counts.tolist() == [1, 0]


def test_class_coverage_by_hand():
    found = class_coverage(torch.tensor([0, 0, 0, 2]), torch.tensor([10, 20, 10]))
    assert found.classes == 2 and found.counts.tolist() == [3, 0, 1]
    assert found.kl == pytest.approx(0.75 * math.log(0.75 / 0.25) + 0.25 * math.log(0.25 / 0.25))
    assert divergence(torch.tensor([1, 1]), torch.tensor([5.0, 5.0])) == pytest.approx(0)
    assert divergence(torch.tensor([1, 1]), torch.tensor([1, 0])) == math.inf


def test_neighbors_of_a_stream_equal_those_of_the_whole():
    queries, training = normal(30, 12, seed=1) + 20, normal(200, 12, seed=2) + 20
    training[150] = queries[4]
    found = Neighbors(queries, 3, piece=500)
    for part in training.split([2, 90, 108]):
        found.update(part)
    exact = torch.cdist(queries.double(), training.double()).sort(dim=1)
    assert torch.equal(found.indices, exact.indices[:, :3])
    torch.testing.assert_close(found.distances.double(), exact.values[:, :3], rtol=1e-5, atol=1e-6)
    assert found.distances[4, 0] == 0 and found.indices[4, 0] == 150


def test_neighbors_pass_over_the_own_place():
    training = normal(50, 4)
    rows = torch.tensor([3, 49, 20])
    found = Neighbors(training[rows], 1, own=rows)
    for part in training.split(25):
        found.update(part)
    exact = torch.cdist(training[rows], training)
    exact[torch.arange(3), rows] = torch.inf
    assert torch.equal(found.indices[:, 0], exact.argmin(1)) and (found.distances > 0).all()


def test_memorization_by_hand():
    found = memorization(torch.tensor([0.0, 1.0, 2.0]), torch.tensor([1.0, 3.0]))
    assert found.ratio == 0.5 and found.nearer_share == pytest.approx((2 + 1.5 + 1) / 6)
    assert memorization(torch.zeros(5), torch.ones(5)) == (0, 1)
    healthy = memorization(normal(500, seed=1).abs(), normal(500, seed=2).abs())
    assert abs(healthy.ratio - 1) < 0.1 and abs(healthy.nearer_share - 0.5) < 0.05
