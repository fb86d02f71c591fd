"""Parzen-window log-likelihood: Gaussians around the samples as a density (Breuleux 2009; Goodfellow 2014, section 5).

Goodfellow's numbers (MNIST 225 +/- 2 nats) are those of 28x28 pixels in [0, 1] and 10,000 samples.  The measure grows with
the dimension, so that padded images (32x32) are not comparable: every pixel that never changes adds up to
-log(bandwidth sqrt(2 pi)) nats.

The width is chosen on other examples than in the paper's code: there on the first 1,000 of MNIST's training images 50,000 to
59,999, which its networks never see, and all 10,000 test images are scored; here (metrics/scoring.py) 1,000 of the images
that were not trained on (a quarter of few) choose the width and the others are scored: 9,000 of MNIST's test images.

Legend: M samples, V validation examples, T test examples, D pixels.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from gancli.metrics.measures.distances import PIECE, centered, row_pieces

BANDWIDTHS = tuple(10 ** (step / 9 - 1) for step in range(10))  # 0.1 to 1, the grid of the paper's code


class Likelihood(NamedTuple):
    """Mean log-likelihood of the test examples in nats, its standard error over them, and the bandwidth.

    `at_edge`: the best bandwidth is the grid's first or last, so that a wider grid may find a better one.
    """

    mean: float
    standard_error: float
    bandwidth: float
    at_edge: bool


def parzen_likelihood(samples: Tensor, validation: Tensor, test: Tensor, bandwidths: Sequence[float] = BANDWIDTHS,
                      piece: int = PIECE) -> Likelihood:
    """Return the likelihood of test [T, D] under Gaussians around samples [M, D], as wide as validation [V, D] likes best.

    Raises:
        ValueError: an empty set or fewer than two test examples.
    """
    if not len(samples) or not len(validation) or len(test) < 2:
        raise ValueError(f"a Parzen window needs samples, validation and test examples, not {len(samples)}, "
                         f"{len(validation)} and {len(test)}")
    tried = log_likelihoods(samples, validation, bandwidths, piece).mean(1)  # [bandwidths]
    best = int(tried.argmax())
    values = log_likelihoods(samples, test, [bandwidths[best]], piece)[0]
    edge = len(bandwidths) > 1 and best in (0, len(bandwidths) - 1)
    return Likelihood(values.mean().item(), values.std().item() / len(values) ** 0.5, bandwidths[best], edge)


def log_likelihoods(samples: Tensor, examples: Tensor, bandwidths: Sequence[float], piece: int = PIECE) -> Tensor:
    """Return log p(x) in nats [bandwidths, T] of examples [T, D] under samples [M, D], each bandwidth in turn.

    The distances, at most `piece` at a time, are computed once for all bandwidths.
    """
    samples, examples = centered(samples, examples)
    count, size = samples.shape
    values = torch.empty(len(bandwidths), len(examples), dtype=torch.float64)
    for rows, distances in row_pieces(examples, samples, piece):
        for number, bandwidth in enumerate(bandwidths):
            values[number, rows] = (distances * (-0.5 / bandwidth**2)).logsumexp(1).double().cpu()
    norms = [math.log(count) + size * math.log(bandwidth * math.sqrt(2 * math.pi)) for bandwidth in bandwidths]
    return values - torch.tensor(norms, dtype=torch.float64)[:, None]


def unit_pixels(images: Tensor) -> Tensor:
    """Return images [N, C, H, W] in [-1, 1] as rows [N, D] in [0, 1], the range that the measure is stated in."""
    return images.flatten(1).float().add(1).mul(0.5).clamp(0, 1)
