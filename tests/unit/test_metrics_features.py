"""Measures of features equal the reference libraries' on the same features."""

import numpy as np
import pytest
import torch
from prdc import compute_prdc
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric

from gancli.features.extractors import Features
from gancli.metrics.collectors import ScoreSums, Seen
from gancli.metrics.measures.distances import centered, row_pieces
from gancli.metrics.measures.frechet import Moments, frechet_distance
from gancli.metrics.measures.inception import inception_score
from gancli.metrics.measures.kernel import cubic_kernel, kernel_distance, squared_discrepancy
from gancli.metrics.measures.manifold import compare_manifolds


def features(n, size, seed, mean=0.5, spread=1.0):
    """Features like an extractor's: correlated, not negative, a mean of their own."""
    random = torch.Generator().manual_seed(seed)
    mixing = torch.randn(size, size, generator=torch.Generator().manual_seed(99)) / size**0.5
    return (spread * torch.randn(n, size, generator=random) @ mixing + mean).relu()


def moments_of(features):
    """Return the moments of features that arrive in batches."""
    moments = Moments.empty(features.shape[1])
    for part in features.split(50):
        moments.update(part)
    return moments


def reference_fid(real, generated):
    statistics = [fid_features_to_statistics(part.double()) for part in (real, generated)]
    return fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]


SIZES = [(400, 64), (130, 128), (128, 128), (100, 128), (20, 128)]  # examples far above, near and below the dimension


@pytest.mark.parametrize(("n", "size"), SIZES)
def test_frechet_distance_equals_torch_fidelity(n, size):
    real, generated = features(n, size, 0), features(n + 7, size, 1, mean=0.7, spread=1.2)
    mine = frechet_distance(moments_of(real), moments_of(generated))
    assert mine == pytest.approx(reference_fid(real, generated), rel=1e-5)
    assert len(SIZES) == 5


def test_frechet_distance_of_known_gaussians():
    """Diagonal covariances commute: |m - m'|^2 + sum (s - s')^2."""
    real = Moments(11, torch.tensor([0.0, 1.0]).double(), 10 * torch.diag(torch.tensor([1.0, 4.0])).double())
    generated = Moments(21, torch.tensor([3.0, 1.0]).double(), 20 * torch.diag(torch.tensor([9.0, 0.0])).double())
    assert frechet_distance(real, generated) == pytest.approx(9 + 4 + 4, rel=1e-12)
    assert frechet_distance(real, real) == pytest.approx(0, abs=1e-12)


def test_moments_stream_and_merge():
    """Batches of any size and ranks that saw different parts give the moments of the whole, also far from 0."""
    everything = features(500, 16, 3) * 0.01 + 1000
    ranks = [Moments.empty(16), Moments.empty(16), Moments.empty(16)]
    for rank, batch in zip([0, 1, 0, 1, 0], everything.split([1, 200, 99, 0, 200]), strict=True):
        ranks[rank].update(batch)
    merged = Moments.from_state(ranks[2].state())
    for rank in ranks:
        merged.merge(Moments.from_state(rank.state()))
    expected = np.cov(everything.double().numpy(), rowvar=False)
    np.testing.assert_allclose(merged.covariance().numpy(), expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(merged.mean.numpy(), everything.double().mean(0).numpy(), rtol=1e-14)
    assert merged.count == 500
    with pytest.raises(ValueError, match="two examples"):
        moments_of(everything[:1]).covariance()


@pytest.mark.parametrize(("n", "size", "subset_size"), [(300, 64, 100), (150, 256, 150), (120, 32, 1000)])
def test_kernel_distance_equals_torch_fidelity(n, size, subset_size):
    real, generated = features(n, size, 0), features(n + 50, size, 1, mean=0.6)
    mine = kernel_distance(real, generated, 20, subset_size, seed=7)
    theirs = kid_features_to_metric(real, generated, kid_subsets=20, kid_subset_size=min(subset_size, n), rng_seed=7,
                                    kid_kernel="poly", verbose=False)
    assert mine.mean == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-3)
    assert mine.std == pytest.approx(theirs["kernel_inception_distance_std"], rel=1e-2)
    assert mine.mean > 3 * mine.std / 20**0.5


def test_kernel_distance_by_hand():
    """x = {0, 1}, y = {1, 2} in one dimension: kernels (xy + 1)^3."""
    x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[1.0], [2.0]])
    assert cubic_kernel(x, y).tolist() == [[1, 1], [8, 27]]
    assert squared_discrepancy(x, y).item() == 1 + 27 - 2 * (1 + 1 + 8 + 27) / 4
    with pytest.raises(ValueError, match="two examples"):
        kernel_distance(x[:1], y, 1, 1, 0)


def test_kernel_distance_is_unbiased_and_seeded():
    same = [kernel_distance(features(200, 16, seed), features(200, 16, 100 + seed), 5, 200, seed).mean for seed in range(30)]
    assert min(same) < 0 < max(same) and abs(np.mean(same)) < 3 * np.std(same) / 30**0.5
    a, b = features(200, 16, 0), features(200, 16, 1)
    assert kernel_distance(a, b, 5, 50, 3) == kernel_distance(a, b, 5, 50, 3) != kernel_distance(a, b, 5, 50, 4)


def score_of(logits, splits):
    """Return the inception score of logits [N, K] that arrive in batches, in consecutive splits."""
    sums = ScoreSums(len(logits), splits)
    for start in range(0, len(logits), 64):
        part = logits[start:start + 64]
        sums.add(Seen(start, part, Features(part, part)))
    return inception_score(sums.counts, sums.entropies, sums.marginals)


@pytest.mark.parametrize(("n", "splits"), [(500, 10), (105, 7), (20, 1)])
def test_inception_score_equals_torch_fidelity(n, splits):
    logits = 4 * torch.randn(n, 10, generator=torch.Generator().manual_seed(n))
    theirs = isc_features_to_metric(logits, splits=splits, rng_seed=5)
    mine = score_of(logits[torch.from_numpy(np.random.RandomState(5).permutation(n))], splits)  # their order
    assert mine.mean == pytest.approx(theirs["inception_score_mean"], rel=1e-5)
    assert mine.std == pytest.approx(theirs["inception_score_std"], rel=1e-4, abs=1e-9)


def test_inception_score_between_one_and_the_classes():
    sure = torch.eye(5).log().repeat(20, 1)  # a probability of 1 for one class and 0 for the others
    assert score_of(sure, 1).mean == pytest.approx(5)
    assert score_of(sure[:1].expand(50, 5), 5) == (1, 0)


@pytest.mark.parametrize(("n", "m", "size", "k"), [(300, 250, 32, 5), (120, 200, 128, 3), (60, 60, 16, 1)])
def test_manifold_figures_equal_prdc(n, m, size, k):
    real, generated = features(n, size, 0), features(m, size, 1, mean=0.55, spread=0.9)
    theirs = compute_prdc(real.numpy(), generated.numpy(), nearest_k=k)
    for piece in (2**24, 500):
        mine = compare_manifolds(real, generated, k, piece)
        assert mine._asdict() == pytest.approx(theirs, rel=1e-3)
    assert 0 < mine.precision < 1 and 0 < mine.coverage < 1


def test_manifold_figures_by_hand():
    """On the line with k = 1: real balls around 0, 1, 10 reach 1, 1, 9; generated around 0.5, 30, 31 reach 29.5, 1, 1."""
    real, generated = torch.tensor([[0.0], [1.0], [10.0]]), torch.tensor([[0.5], [30.0], [31.0]])
    assert compare_manifolds(real, generated, 1) == pytest.approx((1 / 3, 1.0, 2 / 3, 2 / 3))
    with pytest.raises(ValueError, match="needs at least 4 points, not 3"):
        compare_manifolds(real, generated, 3)


def test_distances_lose_nothing_to_a_large_mean():
    x = features(40, 8, 0) + 1000
    y = features(30, 8, 1) + 1000
    close = torch.cat([distances for _, distances in row_pieces(*centered(x, y), piece=100)])
    torch.testing.assert_close(close.double(), torch.cdist(x.double(), y.double()) ** 2, rtol=1e-4, atol=1e-4)
