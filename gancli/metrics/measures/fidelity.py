"""How near images are to those that they should be, and how sharp they are.

Legend: N images, C channels, H height, W width.
"""

from torch import Tensor

EXACT_DB = 100.0  # of equal images, whose ratio is infinite


def absolute_error(made: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean absolute error [N] of images [N, C, H, W] in [-1, 1], of pixels in [0, 1]."""
    return (made - wanted).abs().flatten(1).mean(1) / 2


def signal_to_noise(made: Tensor, wanted: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio [N] in dB of images [N, C, H, W] in [-1, 1], at most 100."""
    error = ((made - wanted) / 2).square().flatten(1).mean(1)
    return (-10 * error.clamp_min(1e-30).log10()).clamp_max(EXACT_DB)


def errors_within(made: Tensor, wanted: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean absolute error and the peak signal-to-noise ratio in dB [N] of the pixels where a mask is 1.

    Args:
        made: [N, C, H, W] in [-1, 1], as `wanted`; errors are of pixels in [0, 1].
        mask: [N, 1, H, W] of 0 and 1, with a 1 in each.
    """
    difference = (made - wanted) / 2
    inside = mask.expand_as(difference).flatten(1)
    count = inside.sum(1)
    mean, square = ((values.flatten(1) * inside).sum(1) / count for values in (difference.abs(), difference.square()))
    return mean, (-10 * square.clamp_min(1e-30).log10()).clamp_max(EXACT_DB)


def seam_energy(images: Tensor, mask: Tensor) -> Tensor:
    """Return the mean squared difference of neighboring pixels, values from 0 to 1, of which a mask has one alone: [N].

    Args:
        images: [N, C, H, W] in [-1, 1].
        mask: [N, 1, H, W] of 0 and 1; without a seam the energy is 0.
    """
    energy, pairs = 0.0, 0.0
    for dim in (2, 3):
        on_seam = mask.diff(dim=dim).abs().double().expand(-1, images.shape[1], -1, -1)
        energy = energy + ((images.double() / 2).diff(dim=dim).square() * on_seam).flatten(1).sum(1)
        pairs = pairs + on_seam.flatten(1).sum(1)
    return energy / pairs.clamp_min(1)


def gradient_energy(images: Tensor) -> Tensor:
    """Return the mean squared difference of neighboring pixels, values from 0 to 1, down and to the right: [N].

    Of blurred images it is small, and large of noise: images are as sharp as others whose energy they have.

    Args:
        images: [N, C, H, W] in [-1, 1].
    """
    values = images.double() / 2
    down, right = values[:, :, 1:] - values[:, :, :-1], values[:, :, :, 1:] - values[:, :, :, :-1]
    return down.square().flatten(1).mean(1) + right.square().flatten(1).mean(1)
