"""Perceptual path length: how far the picture moves for a small step in the latent space (Karras 2019, section 4.1).

Legend: N paths, Z latent size, F features.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

EPSILON = 1e-4  # Karras 2019
OUTLIERS = 0.01  # of the paths at each end, left out by the paper's code
PARALLEL = 1e-6  # sine of the angle below which a great circle is a line


class PathLength(NamedTuple):
    """Mean over the paths without the outliers, its standard error over them, and the number of paths kept."""

    mean: float
    standard_error: float
    paths: int


def path_lengths(generate: Callable[[Tensor], Tensor], features: Callable[[Tensor], Tensor], starts: Tensor, ends: Tensor,
                 times: Tensor, spherical: bool = True, epsilon: float = EPSILON) -> Tensor:
    """Return d(G(z_t), G(z_(t + epsilon))) / epsilon^2 [N] of a batch of paths (Karras 2019, eq. 2).

    d is the squared distance of unit-length feature vectors: the paper's d is a fitted distance between VGG16 activations
    (Zhang 2018), here it is the named extractor's feature space, so that values compare only within one extractor.

    Args:
        generate: latents [N, Z] on the CPU to images, in float32: a step of 1e-4 vanishes in bf16 or in 8-bit pixels.
            Noise and labels must be the same at both calls.
        features: images to [N, F].
        starts, ends: latents [N, Z], drawn independently.
        times: where on each path, in [0, 1], [N].
        spherical: the great circle, for normal latents; False: the line, for uniform ones and for intermediate spaces.
    """
    along = great_circle if spherical else line
    starts, ends, times = (part.cpu().double() for part in (starts, ends, times))
    first, second = (unit_length(features(generate(along(starts, ends, times + step).to(torch.float32))).cpu().double())
                     for step in (0.0, epsilon))
    return (first - second).square().sum(1) / epsilon**2


def mean_path_length(lengths: Tensor) -> PathLength:
    """Return the mean of path lengths [N] without the longest and the shortest hundredth, as the paper's code does."""
    last = len(lengths) - 1
    kept = lengths.cpu().double().sort().values[math.floor(last * OUTLIERS):math.ceil(last * (1 - OUTLIERS)) + 1]
    error = kept.std().item() / len(kept) ** 0.5 if len(kept) > 1 else float("nan")
    return PathLength(kept.mean().item(), error, len(kept))


def unit_length(features: Tensor) -> Tensor:
    """Return features [N, F] divided by their lengths (as Zhang 2018 does at every position)."""
    return features / features.norm(dim=1, keepdim=True).clamp_min(1e-10)


def great_circle(starts: Tensor, ends: Tensor, times: Tensor) -> Tensor:
    """Return the latents [N, Z] at times [N] between each start and end (White 2016); a line where both are parallel."""
    shape = starts.shape
    a, b, t = starts.flatten(1), ends.flatten(1), times[:, None]
    cosine = (a * b).sum(1, keepdim=True) / (a.norm(dim=1) * b.norm(dim=1)).clamp_min(1e-12)[:, None]
    angle = torch.acos(cosine.clamp(-1, 1))
    sine = torch.sin(angle)
    curved = (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / sine.clamp_min(PARALLEL)
    return torch.where(sine < PARALLEL, torch.lerp(a, b, t), curved).view(shape)


def line(starts: Tensor, ends: Tensor, times: Tensor) -> Tensor:
    """Return the latents at times [N] on the line from each start to its end [N, Z]."""
    return torch.lerp(starts, ends, times.view(-1, *[1] * (starts.dim() - 1)))
