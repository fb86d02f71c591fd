"""Mode coverage: of toy densities by their centers, of labeled sets (stacked digits) by a classifier.

Legend: N samples, P coordinates, M modes or classes.
"""

from typing import NamedTuple

import torch
from torch import Tensor

GOOD_STDS = 3  # Srivastava 2017, section 4.1: a sample is good within so many standard deviations of a center
HELD_SHARE = 0.1  # of its due share of the samples that a mode must get to count as held


class ToyCoverage(NamedTuple):
    """How a generator covers a mixture of Gaussians."""

    modes: int  # with at least one good sample (Srivastava 2017)
    good_share: float  # of all samples; of the true density, 0.997 on the line and 0.989 in the plane
    kl: float  # divergence of the good samples' modes from the mixture's weights, in nats; inf if no sample is good
    held: int  # modes with at least a tenth of their due share of all samples: one stray sample does not count
    counts: Tensor  # good samples of each mode, int64 [M]


class ClassCoverage(NamedTuple):
    """How the samples' classes compare with the data's."""

    classes: int  # that at least one sample is assigned to
    kl: float  # divergence of the samples' classes from the data's, in nats; inf for a class that the data lack
    counts: Tensor  # samples of each class, int64 [M]


def toy_coverage(points: Tensor, centers: Tensor, stds: Tensor, weights: Tensor) -> ToyCoverage:
    """Return the coverage of points [N, P] for centers [M, P], standard deviations [M] and weights [M] that sum to 1.

    A sample belongs to the center that is nearest in that mode's standard deviations, and is good within 3 of them.
    """
    modes, points = len(centers), points.cpu()
    scaled = (points.double()[:, None] - centers.double()[None]).norm(dim=2) / stds.double().clamp_min(1e-12)  # [N, M]
    nearest = scaled.min(1)
    good = nearest.values <= GOOD_STDS
    counts = torch.bincount(nearest.indices[good], minlength=modes)
    due = weights.double() * len(points)
    return ToyCoverage(int((counts > 0).sum()), int(good.sum()) / len(points), divergence(counts, weights),
                       int((counts >= (HELD_SHARE * due).clamp_min(1)).sum()), counts)


def class_coverage(predicted: Tensor, real_counts: Tensor) -> ClassCoverage:
    """Return the coverage of predicted classes [N] against the data's histogram [M]."""
    counts = torch.bincount(predicted.cpu(), minlength=len(real_counts))
    return ClassCoverage(int((counts > 0).sum()), divergence(counts, real_counts), counts)


class ClassAgreement(NamedTuple):
    """How often a sample's class is the one it was made with."""

    share: float  # of all samples
    classes: Tensor  # the same for each class, float64 [M]; not a number for one that nothing was made with


def class_agreement(predicted: Tensor, given: Tensor, classes: int) -> ClassAgreement:
    """Return how often predicted classes [N] are the given ones [N]."""
    right = predicted == given
    shares = torch.bincount(given[right], minlength=classes).double() / torch.bincount(given, minlength=classes)
    return ClassAgreement(right.double().mean().item(), shares)


def divergence(counts: Tensor, weights: Tensor) -> float:
    """Return KL(q || p) in nats for histograms q and p [M], neither of which need sum to 1 (Srivastava 2017)."""
    if counts.sum() == 0:
        return float("inf")
    q, p = counts.double() / counts.sum(), weights.double() / weights.sum()
    return torch.where(q > 0, q * (q.log() - p.log()), 0).sum().item()
