"""Equations of images, solved on their pixels' grid: diffusion into holes, and the Gaussian-Poisson equation of Wu 2017.

At an image's border nothing flows in or out (Neumann).  All is computed in float64.

Legend: N images, C channels, H height, W width, h, w sides of a smaller image.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import interpolate

SMALL_RESIDUAL = 1e-8  # of the right-hand side's norm, at which an iteration ends
LOOKS = 16  # iterations between two looks at the residual


def diffused(x: Tensor, mask: Tensor) -> Tensor:
    """Return images x [N, C, H, W] whose holes are filled as heat would: each pixel is the mean of its neighbors.

    Laplace's equation in the hole with the pixels around it as they are, by conjugate gradients; of a hole that is the whole
    image nothing is known, and it is 0.

    Args:
        mask: [N, 1, H, W], 1 in the hole.
    """
    hole = mask.to(torch.float64)
    known = x.to(torch.float64) * (1 - hole)
    right = -_laplacian(known) * hole  # what flows in from the pixels that are known
    filled = known + _conjugate_gradients(lambda u: _laplacian(u) * hole, right)
    return torch.where(mask > 0, filled.to(x.dtype), x)


def _conjugate_gradients(apply, right: Tensor) -> Tensor:
    """Return the solutions of apply(u) = right [N, C, H, W], each image and channel for itself."""
    u, residual = torch.zeros_like(right), right
    direction, size = residual, _dot(residual, residual)
    enough = size * SMALL_RESIDUAL ** 2
    for number in range(4 * right.shape[2] * right.shape[3]):
        if number % LOOKS == 0 and bool((size <= enough).all()):
            break
        image = apply(direction)
        step = size / _dot(direction, image).clamp_min(1e-300)
        u, residual = u + step * direction, residual - step * image
        before, size = size, _dot(residual, residual)
        direction = residual + size / before.clamp_min(1e-300) * direction
    return u


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum((2, 3), keepdim=True)


def _laplacian(u: Tensor) -> Tensor:
    """Return how far each pixel is above its neighbors, in sum over them [N, C, H, W]; positive semidefinite."""
    return -_divergence(u.diff(dim=2), u.diff(dim=3))


def _divergence(down: Tensor, right: Tensor) -> Tensor:
    """Return the sum of what leaves each pixel [N, C, H, W] of flows down [N, C, H - 1, W] and right [N, C, H, W - 1]."""
    nothing = {dim: torch.zeros_like(flow.narrow(dim, 0, 1)) for dim, flow in ((2, down), (3, right)) if flow.shape[dim]}
    parts = [torch.cat((nothing[dim], flow, nothing[dim]), dim).diff(dim=dim)
             for dim, flow in ((2, down), (3, right)) if dim in nothing]
    return sum(parts, down.new_zeros(*right.shape[:3], down.shape[3]))


# The Gaussian-Poisson equation


def gaussian_poisson(source: Tensor, target: Tensor, mask: Tensor, color: Tensor, beta: float, sigma: float) -> Tensor:
    """Return the image x [N, C, H, W] with the gradients of two images and the colors of a third (Wu 2017, eq. 3 to 5).

    x is the least of |grad x - v|^2 + beta |g * x - color|^2, where v are the source's gradients where the mask is 1 and the
    target's elsewhere, halfway between them across the seam, and g is a Gaussian.  The normal equations
    (beta g^2 - laplacian) x = beta g color - div v are diagonal under the cosine transform.

    The authors' code (github.com/wuhuikai/GP-GAN, gp_gan.py) has the same v, and the Gaussian once on the left and not on
    the right side.

    Args:
        mask: [N, 1, H, W] of 0 and 1.
        beta: weight of the colors, above 0.
        sigma: the Gaussian's standard deviation in pixels; 0: none.
    """
    source, target, mask, color = (part.to(torch.float64) for part in (source, target, mask, color))
    flows = [_across(mask, dim) * source.diff(dim=dim) + (1 - _across(mask, dim)) * target.diff(dim=dim) for dim in (2, 3)]
    height, width = source.shape[2:]
    blur = _gaussian_factors(height, sigma)[:, None] * _gaussian_factors(width, sigma)
    stiffness = _laplacian_factors(height)[:, None] + _laplacian_factors(width)
    right = cosine_transform(-_divergence(*flows)) + beta * blur * cosine_transform(color)
    return inverse_cosine_transform(right / (stiffness + beta * blur.square()))


def blended(source: Tensor, target: Tensor, mask: Tensor, low: Tensor, beta: float = 1.0, sigma: float = 0.5) -> Tensor:
    """Return the source's part that the mask shows in the target, at full size, from colors of a small image.

    The equation is solved at several scales from the small image's size on, each of which gives the next one its colors
    (Wu 2017, algorithm 1); values are kept within [-1, 1].  Scales are the images with antialiased bicubic interpolation,
    where the authors' code smooths them with a Gaussian first; masks are taken at the nearest pixels.

    Args:
        source, target: [N, C, H, W] in [-1, 1].
        mask: [N, 1, H, W] of 0 and 1.
        low: [N, C, h, w], how the result should look from afar.
    """
    color = low.to(torch.float64)
    for size in scales(tuple(low.shape[2:]), tuple(source.shape[2:])):
        parts = (resized(image, size) for image in (source, target))
        color = gaussian_poisson(*parts, nearest(mask, size), resized(color, size), beta, sigma).clamp(-1, 1)
    return color.to(source.dtype)


def pasted(source: Tensor, target: Tensor, mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the copy and paste of both images [N, C, H, W] at another size."""
    mask = nearest(mask, size)
    return torch.where(mask > 0, resized(source, size), resized(target, size)).clamp(-1, 1).to(source.dtype)


def scales(small: tuple[int, int], full: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Yield sizes from the small one on, doubled while the full one is larger, and the full one, which no side exceeds."""
    steps = max(0, math.ceil(math.log2(max(side / least for side, least in zip(full, small, strict=True)))))
    for step in range(steps):
        yield min(small[0] * 2**step, full[0]), min(small[1] * 2**step, full[1])
    yield full


def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Return images [N, C, H, W] at another size, bicubic with antialiasing, in float64."""
    x = x.to(torch.float64)
    return x if tuple(x.shape[2:]) == size else interpolate(x, size=size, mode="bicubic", antialias=True)


def nearest(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Return masks [N, 1, H, W] at another size, of the nearest pixels."""
    return interpolate(mask.to(torch.float64), size=size, mode="nearest-exact")


def _across(mask: Tensor, dim: int) -> Tensor:
    """Return the mean of the mask at both pixels of each pair of neighbors."""
    return (mask.narrow(dim, 1, mask.shape[dim] - 1) + mask.narrow(dim, 0, mask.shape[dim] - 1)) / 2


def _laplacian_factors(n: int) -> Tensor:
    """Return by what minus the second difference multiplies each of n cosines."""
    return 2 - 2 * torch.cos(math.pi / n * torch.arange(n, dtype=torch.float64))


def _gaussian_factors(n: int, sigma: float) -> Tensor:
    """Return by what a Gaussian of whole taps, up to 4 sigma away and of sum 1, multiplies each of n cosines."""
    if sigma == 0:
        return torch.ones(n, dtype=torch.float64)
    taps = torch.arange(math.ceil(4 * sigma) + 1, dtype=torch.float64)
    weights = torch.exp(-(taps / sigma).square() / 2)
    weights[1:] *= 2  # both sides
    return torch.cos(math.pi / n * torch.arange(n, dtype=torch.float64)[:, None] * taps) @ (weights / weights.sum())


def cosine_transform(x: Tensor) -> Tensor:
    """Return sum over m, n of 4 x cos(pi k (2 m + 1) / 2 H) cos(pi l (2 n + 1) / 2 W) of x [..., H, W] (DCT-II)."""
    return _cosines(_cosines(x).mT).mT


def inverse_cosine_transform(x: Tensor) -> Tensor:
    """Return what `cosine_transform` makes x [..., H, W] of."""
    return _inverse_cosines(_inverse_cosines(x).mT).mT


def _cosines(x: Tensor) -> Tensor:
    """Return the transform along the last dimension, by a Fourier transform of as many numbers (Makhoul 1980)."""
    spectrum = torch.fft.fft(torch.cat((x[..., ::2], x[..., 1::2].flip(-1)), -1))
    return 2 * (spectrum * _half_steps(x.shape[-1]).conj()).real


def _inverse_cosines(x: Tensor) -> Tensor:
    n = x.shape[-1]
    mirrored = torch.cat((torch.zeros_like(x[..., :1]), x[..., 1:].flip(-1)), -1)
    values = torch.fft.ifft(torch.complex(x, -mirrored) * _half_steps(n) / 2).real
    found = torch.empty_like(x)
    found[..., ::2], found[..., 1::2] = values[..., :(n + 1) // 2], values[..., (n + 1) // 2:].flip(-1)
    return found


def _half_steps(n: int) -> Tensor:
    angles = math.pi / (2 * n) * torch.arange(n, dtype=torch.float64)
    return torch.polar(torch.ones_like(angles), angles)
