"""Equations of images against direct sparse solves and closed forms."""

import numpy as np
import pytest
import torch
from scipy.fft import dctn
from scipy.sparse import diags, eye, kron
from scipy.sparse.linalg import spsolve

from gancli.equations import (
    blended,
    cosine_transform,
    diffused,
    gaussian_poisson,
    inverse_cosine_transform,
    pasted,
    scales,
)


def differences(n):
    """Return the matrix of differences of neighbors, [n - 1, n]."""
    return diags([-np.ones(n - 1), np.ones(n - 1)], [0, 1], shape=(n - 1, n))


def gaussian(n, sigma):
    """Return the matrix of a Gaussian with mirrored borders, [n, n]."""
    reach, matrix = int(np.ceil(4 * sigma)), np.zeros((n, n))
    weights = np.exp(-np.arange(-reach, reach + 1) ** 2 / (2 * sigma**2))
    for row in range(n):
        for offset, weight in zip(range(-reach, reach + 1), weights / weights.sum(), strict=True):
            place = (row + offset) % (2 * n)
            matrix[row, min(place, 2 * n - 1 - place)] += weight
    return matrix


def images(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1


@pytest.mark.parametrize("height, width", [(7, 10), (8, 5), (1, 6)])
def test_cosine_transform(height, width):
    x = images(2, 3, height, width)
    np.testing.assert_allclose(cosine_transform(x).numpy(), dctn(x.numpy(), axes=(2, 3)), atol=1e-12)
    assert torch.allclose(inverse_cosine_transform(cosine_transform(x)), x, atol=1e-12)


@pytest.mark.parametrize("beta, sigma", [(1.0, 0.5), (0.1, 1.5), (3.0, 0.0)])
def test_gaussian_poisson_is_the_least_of_its_energy(beta, sigma):
    height, width = 9, 13
    source, target, color = images(3, 1, 1, height, width)
    mask = torch.zeros(1, 1, height, width, dtype=torch.float64)
    mask[..., 2:6, 3:11] = 1
    found = gaussian_poisson(source, target, mask, color, beta, sigma).flatten().numpy()
    down = kron(differences(height), eye(width)).tocsr()
    right = kron(eye(height), differences(width)).tocsr()
    blur = kron(gaussian(height, sigma), gaussian(width, sigma)).tocsr() if sigma else eye(height * width).tocsr()
    flat = [part.flatten().numpy() for part in (source, target, color, mask)]
    system, wanted = beta * blur.T @ blur, beta * blur.T @ flat[2]
    for step in (down, right):
        share = abs(step) @ flat[3] / 2  # of the source: half of it where one pixel of a pair is in the mask
        system = system + step.T @ step
        wanted = wanted + step.T @ (share * (step @ flat[0]) + (1 - share) * (step @ flat[1]))
    np.testing.assert_allclose(found, spsolve(system.tocsc(), wanted), atol=1e-10)


def test_diffusion_is_the_direct_solution():
    height, width = 8, 11
    x = images(2, 3, height, width)
    mask = torch.zeros(2, 1, height, width)
    mask[0, 0, 2:6, 3:9], mask[1, 0, :3, :4] = 1, 1  # one within, one at the border
    filled = diffused(x, mask)
    assert torch.equal(torch.where(mask > 0, x, filled), x)
    down, right = kron(differences(height), eye(width)), kron(eye(height), differences(width))
    laplacian = (down.T @ down + right.T @ right).tocsr()
    for number in range(2):
        hole = mask[number, 0].flatten().numpy() > 0
        for channel in range(3):
            values = x[number, channel].flatten().numpy()
            inside = spsolve(laplacian[hole][:, hole].tocsc(), -laplacian[hole][:, ~hole] @ values[~hole])
            np.testing.assert_allclose(filled[number, channel].flatten().numpy()[hole], inside, atol=1e-6)


def test_diffusion_of_a_slope_and_of_nothing():
    slope = torch.linspace(-1, 1, 12, dtype=torch.float64).expand(1, 1, 10, 12)
    mask = torch.zeros(1, 1, 10, 12)
    mask[..., 3:7, 2:9] = 1
    assert torch.allclose(diffused(slope, mask), slope, atol=1e-7)
    assert torch.equal(diffused(slope, torch.ones_like(mask)), torch.zeros_like(slope))
    assert torch.equal(diffused(slope, torch.zeros_like(mask)), slope)


def test_what_fits_is_left_alone_at_every_scale():
    x = images(1, 3, 40, 52).cumsum(2).cumsum(3) / 700
    mask = torch.zeros(1, 1, 40, 52)
    mask[..., 10:30, 9:41] = 1
    low = pasted(x, x, mask, (16, 16))
    assert torch.allclose(low, torch.nn.functional.interpolate(x, (16, 16), mode="bicubic", antialias=True), atol=1e-12)
    assert (blended(x, x, mask, low) - x).abs().mean() < 0.01  # up to what a small image does not tell
    moved = blended((x + 0.4).clamp(-1, 1), x, mask, low)
    seam = (moved - x)[..., 9:11, 9:41].diff(dim=2).abs().mean()
    assert seam < 0.1 and (pasted(x + 0.4, x, mask, (40, 52)) - x)[..., 9:11, 9:41].diff(dim=2).abs().mean() > 0.3


def test_scales():
    assert list(scales((64, 64), (300, 500))) == [(64, 64), (128, 128), (256, 256), (300, 500)]
    assert list(scales((64, 64), (40, 30))) == [(40, 30)] and list(scales((32, 32), (32, 32))) == [(32, 32)]
    assert list(scales((32, 32), (20, 70))) == [(20, 32), (20, 64), (20, 70)]
