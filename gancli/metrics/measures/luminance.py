"""How near images are to others in their luminance, as super-resolution is measured: PSNR and SSIM on Y, borders cut.

Y is that of ITU-R BT.601 from 16 to 235, not rounded; of gray images it is their values from 0 to 255 as they are.  The
largest value of the signal counts as 255 in both cases, as in the literature.

Legend: N images, C channels, H height, W width.
"""

from torch import Tensor

from gancli.metrics.measures.fidelity import signal_to_noise
from gancli.metrics.measures.similarity import structural_similarity

RED, GREEN, BLUE, BLACK = 65.481, 128.553, 24.966, 16.0  # of values from 0 to 1
LEAST_SIDE = 4  # of these parts of a side, one at most is cut off at each end


def luminance(pixels: Tensor) -> Tensor:
    """Return Y [N, 1, H, W] float64 of images [N, C, H, W] with values from 0 to 255; channels beyond three are ignored."""
    values = pixels.double()
    if pixels.shape[1] < 3:
        return values[:, :1]
    red, green, blue = (values[:, channel:channel + 1] / 255 for channel in range(3))
    return BLACK + RED * red + GREEN * green + BLUE * blue


def compared(made: Tensor, wanted: Tensor, border: int) -> tuple[Tensor, Tensor]:
    """Return PSNR in dB and SSIM, [N] each, of the luminance of images [N, C, H, W] with values from 0 to 255.

    Args:
        border: pixels that are left out at each side (the factor of enlargement), of small images a quarter at most.
    """
    pairs = (_signed(_inner(luminance(images), border)) for images in (made, wanted))
    x, y = pairs
    return signal_to_noise(x, y), structural_similarity(x, y)


def _inner(images: Tensor, border: int) -> Tensor:
    rows, columns = (min(border, side // LEAST_SIDE) for side in images.shape[2:])
    return images[:, :, rows:images.shape[2] - rows, columns:images.shape[3] - columns]


def _signed(values: Tensor) -> Tensor:
    """Return values from 0 to 255 as others measure them, from -1 to 1."""
    return values / 127.5 - 1
