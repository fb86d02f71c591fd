"""Paths between latents.

Legend: K points, M images of the walk, Z latent size (any shape).
"""

import torch
from torch import Tensor

from gancli.game.prior import Prior, slerp

PATHS = ("spherical", "linear")


def walk(points: Tensor, steps: int, path: str = "spherical", closed: bool = False,
         prior: Prior | None = None) -> Tensor:
    """Return a path through latents, [M, *Z]: M = K' (steps - 1) + 1 for K' stretches, one less if closed.

    Args:
        points: [K, *Z].
        steps: latents from one point to the next, both included; points themselves are kept exactly.
        path: "linear", or "spherical" (White 2016, section 2.1), on which latents are as likely as the points.
        closed: go back to the first point, which then ends the path but is not repeated.
        prior: the latents' law; None: great circles, which keep their length.
    """
    if closed:
        points = torch.cat([points, points[:1]])
    between = slerp if prior is None else prior.between
    inner = points.double()
    pieces = [points[:1]]
    for start, end, last in zip(inner, inner[1:], points[1:], strict=False):
        times = torch.arange(1, steps - 1, dtype=torch.float64) / (steps - 1)
        on_line = torch.lerp(start, end, times.view(-1, *[1] * start.dim()))
        pieces += [(between(start, end, times) if path == "spherical" else on_line).to(points.dtype), last[None]]
    latents = torch.cat(pieces)
    return latents[:-1] if closed else latents
