"""The search for points whose images lose least, by Adam from given starts: of projections and of edits.

Legend: N images, C channels, H height, W width, P a point's shape.
"""

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gancli.devices import start_quickly
from gancli.explore.spaces import Space
from gancli.seeds import mix

RISE, FALL = 0.05, 0.25  # of the steps: in the first ones the rate rises, in the last ones it falls (Karras 2020, appendix D)
EXPLORED = 0.75  # of the steps have noise on points
JITTER = 0.05  # of a space's deviation at the first step
MAPS_WEIGHT = 1e5  # of what keeps noise maps noise
SMALLEST_MAP = 8
JITTER_STREAM = 1 << 39  # kept apart from the latents'

Loss = Callable[[Tensor, Tensor], Tensor]  # of images [N, C, H, W] and points [N, *P], for each [N]
Watch = Callable[[int, Tensor], None]  # is shown the images of some step


@dataclass(frozen=True)
class Descent:
    """How points move."""

    steps: int
    rate: float
    betas: tuple[float, float] = (0.9, 0.999)


@dataclass
class Found:
    """The best points on the way of each image, on the CPU."""

    points: Tensor  # [N, *P]
    losses: Tensor  # [N]
    maps: list[Tensor]  # noise maps [N, 1, h, w], where they were moved


def descend(space: Space, start: Tensor, labels: Tensor | None, loss: Loss, descent: Descent, *, maps: Sequence[Tensor] = (),
            jitter: bool = False, seed: int = 0, first: int = 0, watch: Watch = lambda step, images: None) -> Found:
    """Move points down a loss; each has its own Adam and none sees the others, so that batches do not matter.

    What is returned was seen without noise, and loses no more than the start.

    Args:
        start: [N, *P] on the model's device; labels [N] likewise.
        maps: noise maps that move along; each keeps mean 0 and deviation 1, and neighbors that are independent.
        jitter: explore with noise on points, which falls to 0 (styles).
        seed, first: of that noise, and the number of the first image in it.
    """
    free = space.free(start).detach().clone().requires_grad_()
    maps = [each.detach().clone().requires_grad_() for each in maps]
    draws = [torch.Generator().manual_seed(mix(JITTER_STREAM, seed, first + i)) for i in range(len(start))] if jitter else []
    start_quickly()
    optimizer = torch.optim.Adam([free, *maps], descent.rate, descent.betas)
    bare_step = inspect.unwrap(type(optimizer).step)  # the wrappers import torch's compiler, which takes seconds
    best: list[Tensor] = []  # losses, points, maps
    for step in range(descent.steps + 1):
        time = step / max(descent.steps, 1)
        point = space.held(free, start)
        strength = space.jitter * JITTER * max(0.0, 1 - time / EXPLORED) ** 2 if jitter and 0 < step < descent.steps else 0.0
        seen = point + strength * _noise(draws, point) if strength else point
        images = space.make(seen, labels, maps or None)
        losses = loss(images, seen)
        watch(step, images.detach())
        if not strength:
            best = _better(best, [each.detach().clone() for each in (losses, point, *maps)])
        if step == descent.steps:
            break
        optimizer.param_groups[0]["lr"] = descent.rate * ramp(time)
        total = losses.sum() + MAPS_WEIGHT * sum(map(unlike_noise, maps))
        for variable, gradient in zip((free, *maps), torch.autograd.grad(total, [free, *maps]), strict=True):
            variable.grad = gradient.nan_to_num(0, 0, 0)
        with torch.no_grad():
            bare_step(optimizer)
        for each in maps:
            each.data.copy_(normalized_map(each.data))
    losses, points, *kept = (each.cpu() for each in best)
    return Found(points, losses, kept)


def ramp(time: float) -> float:
    """Return the part of the rate at a time from 0 to 1: a line up, then a cosine down (Karras 2020, appendix D)."""
    down = min(1.0, (1 - time) / FALL)
    return (0.5 - 0.5 * math.cos(down * math.pi)) * min(1.0, max(time, 1e-3) / RISE)


def unlike_noise(noise: Tensor) -> Tensor:
    """Return how far maps [N, 1, h, w] are from independent pixels (Karras 2020, eqs. 5 and 6, as its code has it).

    The squared mean product of neighbors to the right and down, at every scale down to 8 pixels, summed over the maps.
    """
    total = noise.new_zeros(())
    while True:
        for dimension in (2, 3):
            total = total + (noise * noise.roll(1, dimension)).mean((1, 2, 3)).square().sum()
        if min(noise.shape[2:]) <= SMALLEST_MAP:
            return total
        noise = torch.nn.functional.avg_pool2d(noise, 2)


def normalized_map(noise: Tensor) -> Tensor:
    """Return maps [N, 1, h, w] with mean 0 and mean square 1 each."""
    noise = noise - noise.mean((1, 2, 3), keepdim=True)
    return noise * noise.square().mean((1, 2, 3), keepdim=True).clamp_min(1e-12).rsqrt()


def _noise(draws: Sequence[torch.Generator], like: Tensor) -> Tensor:
    return torch.stack([torch.randn(like.shape[1:], generator=each) for each in draws]).to(like)


def _better(best: list[Tensor], now: list[Tensor]) -> list[Tensor]:
    """Return of each image what belongs to its smaller loss; numbers that are not finite never count."""
    if not best:
        return now
    wins = (now[0] < best[0]) | best[0].isnan()
    return [torch.where(wins.view(-1, *[1] * (new.dim() - 1)), new, old) for old, new in zip(best, now, strict=True)]
