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


def gradient_energy(images: Tensor) -> Tensor:
    """Return the mean squared difference of neighboring pixels, values from 0 to 1, down and to the right: [N].

    Of blurred images it is small, and large of noise: images are as sharp as others whose energy they have.

    Args:
        images: [N, C, H, W] in [-1, 1].
    """
    values = images.double() / 2
    down, right = values[:, :, 1:] - values[:, :, :-1], values[:, :, :, 1:] - values[:, :, :, :-1]
    return down.square().flatten(1).mean(1) + right.square().flatten(1).mean(1)
