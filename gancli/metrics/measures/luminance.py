"""How near images are to others in their luminance, as super-resolution is measured: PSNR and SSIM on Y, borders cut.

Y is that of ITU-R BT.601 from 16 to 235, not rounded; of gray images it is their values from 0 to 255 as they are.  The
largest value of the signal counts as 255 in both cases, as in the literature.

Legend: N images, C channels, H height, W width.
"""

import torch
from torch import Tensor

from gancli.metrics.measures.fidelity import EXACT_DB
from gancli.metrics.measures.similarity import WINDOW, gaussian_window, similarity_terms

RED, GREEN, BLUE, BLACK = 65.481, 128.553, 24.966, 16.0  # of values from 0 to 1
PARTS = 4  # of a small image's side, of which one at most is cut off at each end
STRIP = 256  # rows that are looked at together: float64 of a whole large image would be many times as large as itself


def luminance(pixels: Tensor) -> Tensor:
    """Return Y [N, 1, H, W] float64 of images [N, C, H, W] with values from 0 to 255; a fourth channel is ignored."""
    values = pixels.double()
    if pixels.shape[1] < 3:
        return values[:, :1]
    return BLACK + (RED * values[:, :1] + GREEN * values[:, 1:2] + BLUE * values[:, 2:3]) / 255


def compared(made: Tensor, wanted: Tensor, border: int) -> tuple[Tensor, Tensor]:
    """Return PSNR in dB (at most 100) and SSIM, [N] float64 each, of the luminance of images [N, C, H, W] from 0 to 255.

    Args:
        border: pixels that are left out at each side (the factor of enlargement), of small images a quarter at most.
    """
    made, wanted = _inner(made, border), _inner(wanted, border)
    height, width = made.shape[2:]
    window = gaussian_window(min(WINDOW, height - (height + 1) % 2, width - (width + 1) % 2))
    squares = likeness = torch.zeros(len(made), dtype=torch.float64, device=made.device)
    places = height - len(window) + 1  # rows of the map of similarities
    for start in range(0, height, STRIP):
        x, y = (luminance(images[:, :, start:start + STRIP + len(window) - 1]) / 255 for images in (made, wanted))
        squares = squares + (x - y)[:, :, :STRIP].square().flatten(1).sum(1)
        if start < places:
            terms = similarity_terms(x, y, window)
            likeness = likeness + (terms[0] * terms[1])[:, :, :STRIP].flatten(1).sum(1)
    noise = squares / (height * width)
    return ((-10 * noise.clamp_min(1e-30).log10()).clamp_max(EXACT_DB),
            likeness / (places * (width - len(window) + 1)))


def _inner(images: Tensor, border: int) -> Tensor:
    rows, columns = (min(border, side // PARTS) for side in images.shape[2:])
    return images[:, :, rows:images.shape[2] - rows, columns:images.shape[3] - columns]
