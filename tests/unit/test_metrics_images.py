"""Sliced distance, path length and structural similarity against closed forms, published code and a reference library."""

import math

import numpy as np
import pytest
import torch
from pytorch_msssim import ms_ssim, ssim
from scipy.ndimage import convolve

from gancli.metrics.measures.fidelity import absolute_error, gradient_energy, signal_to_noise
from gancli.metrics.measures.path_length import great_circle, mean_path_length, path_lengths
from gancli.metrics.measures.pyramid import laplacian_pyramid
from gancli.metrics.measures.similarity import multiscale_similarity, random_pairs, scales_for, structural_similarity
from gancli.metrics.measures.sliced import (
    draw_patches,
    image_distance,
    patches_per_image,
    reference_of,
    sliced_points,
    transport_cost,
)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def pictures(n, side=(32, 32), channels=3, seed=0):
    """Smooth random images in [-1, 1]."""
    coarse = noise(n, channels, 6, 6, seed=seed)
    smooth = torch.nn.functional.interpolate(coarse, side, mode="bicubic")
    return torch.tanh(smooth + 0.1 * noise(n, channels, *side, seed=seed + 1))


def published_pyramid(image, levels):
    """Build the pyramid as the code of Karras 2018 does (convolution with mirrored borders), of [C, H, W]."""
    row = np.array([1, 4, 6, 4, 1]) / 16
    kernel = (row[:, None] * row)[None]
    found = [image]
    for _ in range(levels - 1):
        half = convolve(found[-1], kernel, mode="mirror")[:, ::2, ::2]
        spread = np.zeros_like(found[-1])
        spread[:, ::2, ::2] = half
        found[-1] = found[-1] - convolve(spread, 4 * kernel, mode="mirror")
        found.append(half)
    return found


SHAPES = [((64, 64), 3), ((32, 32), 2), ((28, 28), 2), ((33, 45), 2), ((25, 24), 2), ((8, 8), 1), ((12, 100), 1)]


@pytest.mark.parametrize(("side", "levels"), SHAPES)
def test_pyramid_equals_the_published_code(side, levels):
    image = pictures(2, side, channels=2).double()
    mine = laplacian_pyramid(image, coarsest=12)
    assert len(mine) == levels and len(SHAPES) == 7
    for level, expected in zip(mine, published_pyramid(image[1].numpy(), levels), strict=True):
        np.testing.assert_allclose(level[1].numpy(), expected, atol=1e-12)


def sliced_images(real, generated, budget, seed=0, directions=64):
    """Return the distance of two sets as an evaluation has it: the real patches' reference, then the others'."""
    drawn = [draw_patches(images, patches_per_image(len(images), budget), 10 * seed + number)
             for number, images in enumerate((real, generated))]
    return image_distance(reference_of(drawn[0], directions, seed), drawn[1])


@pytest.mark.parametrize(("side", "channels"), [((32, 32), 3), ((28, 28), 1), ((8, 8), 1), ((17, 40), 4), ((9, 8), 2)])
def test_sliced_distance_tells_equal_from_different_images(side, channels):
    real, same, blurred = (pictures(150, side, channels, seed) for seed in (0, 10, 20))
    blurred = (blurred + blurred.roll(1, 2) + blurred.roll(1, 3)) / 3
    floor, worse = (sliced_images(real, other, 3000) for other in (same, blurred))
    assert 0 < floor.mean < worse.mean
    gray = sliced_images(real, torch.zeros_like(real), 3000)
    assert math.isfinite(gray.mean) and gray.mean > 2 * worse.mean
    assert sliced_images(real, same, 3000) == floor != sliced_images(real, same, 3000, seed=1)


def test_sliced_distance_sees_a_wrong_mean_color():
    real = pictures(100)
    shifted = (pictures(100, seed=5) + torch.tensor([0.3, 0, 0])[:, None, None]).clamp(-1, 1)
    levels = sliced_images(real, shifted, 2000).levels
    assert levels[1] > 3 * sliced_images(real, pictures(100, seed=5), 2000).levels[1]


def test_sliced_distance_of_known_patches():
    """Patches of one constant: all projections move by (step / std) times the sum of the direction's numbers."""
    real = 0.1 * noise(200, 1, 7, 7)
    (level,) = reference = reference_of([real], 32, seed=0)
    moved = image_distance(reference, [real + 0.05])
    expected = 1000 * (0.05 / real.std() * level.directions.sum(0)).abs().mean().item()
    assert moved.mean == pytest.approx(expected, rel=1e-4) and image_distance(reference, [real]).mean == 0


def test_patches_come_from_their_images():
    images = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 1, 8, 10)
    (level,) = draw_patches(images, 5, seed=0)
    assert level.shape == (20, 1, 7, 7)
    assert torch.equal(level[:, 0, 0, 0], torch.arange(4.0).repeat_interleave(5))
    places = draw_patches(torch.arange(80.0).view(1, 1, 8, 10), 200, seed=0)[0][:, 0, 0, 0]
    assert sorted(set(places.tolist())) == [0, 1, 2, 3, 10, 11, 12, 13]
    assert (patches_per_image(2000, 32000), patches_per_image(60000, 32000)) == (16, 1)


def test_transport_between_sets_of_unequal_size():
    a, b = torch.tensor([[0.0, 1.0]]), torch.tensor([[0.0, 0.0, 3.0]])
    assert transport_cost(a, b, 1).item() == pytest.approx((1 * 1 + 2 * 2) / 6)
    assert transport_cost(a, b, 2).item() == pytest.approx((1 * 1 + 2 * 4) / 6)
    x = noise(3, 40).sort(1).values
    torch.testing.assert_close(transport_cost(x, x.repeat_interleave(3, 1) + 1, 2), torch.ones(3))


def test_sliced_points_in_closed_form():
    """Two Gaussians on the line: W2^2 = (m - m')^2 + (s - s')^2; a shift in the plane: |shift| / sqrt(2)."""
    line = sliced_points(noise(50000, 1), 2 * noise(40000, 1, seed=1) + 3, 10, seed=0)
    assert line == pytest.approx(10**0.5, rel=0.02)
    plane = noise(500, 2)
    shift = torch.tensor([3.0, 4.0])
    assert sliced_points(plane, plane + shift, 4096, seed=0) == pytest.approx(5 / 2**0.5, rel=0.02)
    assert sliced_points(plane, plane + shift, 4096, seed=0, order=1) == pytest.approx(5 * 2 / math.pi, rel=0.02)
    assert sliced_points(plane, plane, 16, seed=0) == 0


def test_path_length_in_closed_form():
    """On the circle of radius 2, features that are the latent itself: the angle between the ends, squared."""
    starts = torch.tensor([[2.0, 0.0], [0.0, 2.0], [2.0, 0.0]])
    ends = torch.tensor([[0.0, 2.0], [2.0, 0.0], [math.sqrt(2), math.sqrt(2)]])
    found = path_lengths(lambda z: z.double(), lambda x: x, starts, ends, torch.tensor([0.0, 0.3, 0.9]))
    expected = torch.tensor([math.pi / 2, math.pi / 2, math.pi / 4], dtype=torch.float64) ** 2
    torch.testing.assert_close(found, expected, rtol=2e-3, atol=0)
    straight = path_lengths(lambda z: z.double(), lambda x: x, starts[:1], ends[:1], torch.tensor([0.5]), spherical=False)
    assert straight.item() == pytest.approx(4, rel=2e-3)  # the angle moves by 2 there


def test_path_length_leaves_out_the_extremes():
    lengths = torch.cat([torch.ones(196), torch.tensor([0.0, 0.0, 1e9, 1e9])])
    kept = mean_path_length(lengths[torch.randperm(200, generator=torch.Generator().manual_seed(0))])
    assert kept.paths == 198 and kept.mean > 1e6
    lengths[[197, 199]] = 1
    kept = mean_path_length(lengths)
    assert kept == (1, 0, 198)
    assert mean_path_length(torch.tensor([3.0])).mean == 3


def test_great_circle_keeps_the_length_and_takes_parallel_latents():
    a, b = (torch.nn.functional.normalize(noise(6, 9, seed=seed), dim=1).double() for seed in (1, 2))
    b[0] = a[0]
    between = great_circle(a, b, torch.linspace(0, 1, 6).double())
    torch.testing.assert_close(between.norm(dim=1), torch.ones(6).double(), rtol=1e-7, atol=0)
    torch.testing.assert_close(between[5], b[5])


def test_similarity_equals_pytorch_msssim():
    x, y = pictures(3, (192, 177)), pictures(3, (192, 177), seed=4)
    y = (x + 0.4 * y).clamp(-1, 1)
    theirs = ms_ssim((x + 1) / 2, (y + 1) / 2, data_range=1, size_average=False)
    torch.testing.assert_close(multiscale_similarity(x, y), theirs, rtol=1e-4, atol=1e-5)


SCALES = [((8, 8), 1), ((16, 16), 1), ((28, 28), 2), ((32, 32), 2), ((64, 64), 3), ((32, 200), 2), ((176, 176), 5),
          ((400, 352), 5)]


@pytest.mark.parametrize(("side", "scales"), SCALES)
def test_small_images_have_fewer_scales(side, scales):
    assert scales_for(*side) == scales and len(SCALES) == 8
    x = pictures(2, side, channels=1)
    torch.testing.assert_close(multiscale_similarity(x, x), torch.ones(2))
    assert (multiscale_similarity(x, pictures(2, side, channels=1, seed=9)) < 0.9).all()


def test_one_scale_is_plain_similarity():
    x = pictures(4, (16, 19))
    y = (x + 0.3 * noise(4, 3, 16, 19)).clamp(-1, 1)
    theirs = ssim((x + 1) / 2, (y + 1) / 2, data_range=1, size_average=False, nonnegative_ssim=True)
    torch.testing.assert_close(multiscale_similarity(x, y), theirs, rtol=1e-4, atol=1e-5)


def test_similarity_at_one_scale_equals_pytorch_msssim():
    x = pictures(3, (40, 33))
    y = (x + 0.4 * noise(3, 3, 40, 33)).clamp(-1, 1)
    theirs = ssim((x + 1) / 2, (y + 1) / 2, data_range=1, size_average=False)
    torch.testing.assert_close(structural_similarity(x, y), theirs, rtol=1e-4, atol=1e-5)


def test_errors_by_hand():
    x, y = torch.zeros(1, 1, 2, 2), torch.tensor([[[[0.0, 1.0], [0.0, -1.0]]]])
    assert absolute_error(x, y).tolist() == [0.25]
    assert signal_to_noise(x, y).item() == pytest.approx(-10 * math.log10(0.125))
    assert signal_to_noise(x, x).tolist() == [100.0]
    assert gradient_energy(y).item() == pytest.approx((0 + 1) / 2 + (0.25 + 0.25) / 2)


def test_pairs_are_different_images_of_one_class():
    labels = torch.tensor([0, 1, 0, 2, 1, 1, 0])
    pairs = random_pairs(7, 500, 0, labels)
    assert pairs.shape == (500, 2) and (pairs[:, 0] != pairs[:, 1]).all()
    assert torch.equal(labels[pairs[:, 0]], labels[pairs[:, 1]]) and 3 not in pairs
    assert {tuple(pair) for pair in pairs.tolist()} == {(i, j) for i in range(7) for j in range(7)
                                                        if i != j and labels[i] == labels[j]}
    free = random_pairs(3, 200, 1)
    assert len({tuple(pair) for pair in free.tolist()}) == 6
    with pytest.raises(ValueError, match="no two"):
        random_pairs(3, 5, 0, torch.arange(3))
