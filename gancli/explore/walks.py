"""Paths between latents.

Legend: K points, M images of the walk, Z latent size (any shape).
"""

import math

import torch
from torch import Tensor

PATHS = ("spherical", "linear")
UNIFORM_EDGE = 1e-9  # quantiles at 0 and 1 would be infinite


def walk(points: Tensor, steps: int, path: str = "spherical", closed: bool = False,
         uniform: tuple[float, float] | None = None) -> Tensor:
    """Return a path through latents, [M, *Z]: M = K' (steps - 1) + 1 for K' stretches, one less if closed.

    Args:
        points: [K, *Z].
        steps: latents from one point to the next, both included; points themselves are kept exactly.
        path: "linear", or "spherical" (White 2016, section 2.1), which keeps the latents' length on the way.
        closed: go back to the first point, which then ends the path but is not repeated.
        uniform: (low, high) where latents are uniform.  Great circles leave the cube, so that the spherical path is
            taken between the latents' normal quantiles and mapped back: every latent on it is as uniform as the ends.
    """
    if closed:
        points = torch.cat([points, points[:1]])
    spherical = path == "spherical"
    inner = points.double()
    if spherical and uniform is not None:
        inner = _to_normal(inner, *uniform)
    pieces = [points[:1]]
    for start, end, last in zip(inner, inner[1:], points[1:], strict=False):
        times = torch.arange(1, steps - 1, dtype=torch.float64) / (steps - 1)
        between = slerp(start, end, times) if spherical else torch.lerp(start, end, _like(times, start))
        if spherical and uniform is not None:
            between = _to_uniform(between, *uniform)
        pieces += [between.to(points.dtype), last[None]]
    latents = torch.cat(pieces)
    return latents[:-1] if closed else latents


def slerp(start: Tensor, end: Tensor, times: Tensor) -> Tensor:
    """Return [T, *Z] on the great circle from start to end [*Z] at times [T] (White 2016); a line if parallel."""
    a, b, t = start.flatten(), end.flatten(), times[:, None]
    cosine = torch.dot(a, b) / (a.norm() * b.norm()).clamp_min(1e-12)
    angle = torch.acos(cosine.clamp(-1, 1))
    sine = torch.sin(angle)
    if sine < 1e-6:
        return torch.lerp(start, end, _like(times, start))
    mixed = (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / sine
    return mixed.view(len(times), *start.shape)


def _like(times: Tensor, latent: Tensor) -> Tensor:
    """Give times [T] the dimensions that broadcast against a latent [*Z]."""
    return times.view(-1, *[1] * latent.dim())


def _to_normal(latents: Tensor, low: float, high: float) -> Tensor:
    share = ((latents - low) / (high - low)).clamp(UNIFORM_EDGE, 1 - UNIFORM_EDGE)
    return math.sqrt(2) * torch.erfinv(2 * share - 1)


def _to_uniform(normal: Tensor, low: float, high: float) -> Tensor:
    return low + (high - low) * (torch.erf(normal / math.sqrt(2)) + 1) / 2
