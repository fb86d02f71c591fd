"""Multi-scale structural similarity between images (Wang 2003), a measure of diversity (Odena 2017).

Legend: N images or pairs, C channels, H height, W width.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, finest first (Wang 2003, section 3.2)
WINDOW, SIGMA = 11, 1.5  # pixels of the Gaussian window (Wang 2004)
C1, C2 = 0.01**2, 0.03**2  # for values in [0, 1]


def random_pairs(n: int, pairs: int, seed: int, labels: Tensor | None = None) -> Tensor:
    """Return so many pairs [pairs, 2] of different images out of n; of one class each where labels [n] are given.

    Odena 2017 compares 100 pairs of each class.

    Raises:
        ValueError: no two images (of one class) to compare.
    """
    random = torch.Generator().manual_seed(seed)
    labels = torch.zeros(n, dtype=torch.int64) if labels is None else labels.cpu()
    groups = torch.bincount(labels)
    eligible = (groups[labels] > 1).nonzero()[:, 0]
    if not len(eligible):
        raise ValueError(f"{n} images hold no two to compare")
    firsts = eligible[torch.randint(len(eligible), (pairs,), generator=random)]
    order = torch.argsort(labels, stable=True)
    places, starts = torch.argsort(order), torch.cumsum(groups, 0) - groups
    sizes = groups[labels[firsts]]
    steps = 1 + (torch.rand(pairs, generator=random) * (sizes - 1)).long().clamp_max(sizes - 2)
    inside = (places[firsts] - starts[labels[firsts]] + steps) % sizes
    return torch.stack([firsts, order[starts[labels[firsts]] + inside]], dim=1)


def scales_for(height: int, width: int) -> int:
    """Return the number of scales, at most 5, at which the window fits into the image; at least 1."""
    scales = 1
    while scales < len(WEIGHTS) and min(height, width) // 2**scales >= WINDOW:
        scales += 1
    return scales


def multiscale_similarity(x: Tensor, y: Tensor) -> Tensor:
    """Return the similarity [N] of images x and y [N, C, H, W] in [-1, 1]: 1 for equal ones (Wang 2003, eq. 7).

    Five scales need 176 pixels a side; smaller images have fewer (64: 3, 32: 2, 16: 1), their weights divided by their
    sum, and images below 11 pixels a smaller window.  Negative contrast terms count as 0, as in the usual
    implementations.
    """
    x, y = (x + 1) / 2, (y + 1) / 2  # luminances are compared by their ratio and must not be negative
    height, width = x.shape[2:]
    scales = scales_for(height, width)
    weights = torch.tensor(WEIGHTS[:scales], dtype=x.dtype, device=x.device)
    weights = weights / weights.sum()
    window = gaussian_window(min(WINDOW, height - (height + 1) % 2, width - (width + 1) % 2))
    terms = []
    for scale in range(scales):
        if scale:
            x, y = (F.avg_pool2d(images, 2, padding=[side % 2 for side in images.shape[2:]]) for images in (x, y))
        luminance, contrast = similarity_terms(x, y, window)
        terms.append((luminance * contrast if scale == scales - 1 else contrast).flatten(2).mean(2))  # [N, C]
    powers = torch.stack(terms).relu() ** weights[:, None, None]
    return powers.prod(0).mean(1)


def structural_similarity(x: Tensor, y: Tensor) -> Tensor:
    """Return the similarity [N] of images x and y [N, C, H, W] in [-1, 1] at their own scale (Wang 2004, eq. 13)."""
    height, width = x.shape[2:]
    window = gaussian_window(min(WINDOW, height - (height + 1) % 2, width - (width + 1) % 2))
    luminance, contrast = similarity_terms((x + 1) / 2, (y + 1) / 2, window)
    return (luminance * contrast).flatten(1).mean(1)


def similarity_terms(x: Tensor, y: Tensor, window: list[float]) -> tuple[Tensor, Tensor]:
    """Return the luminance and the contrast-structure terms at every place (Wang 2004, eq. 6 and 13)."""
    mean_x, mean_y = smoothed(x, window), smoothed(y, window)
    variances = smoothed(x * x, window) - mean_x**2 + smoothed(y * y, window) - mean_y**2
    covariance = smoothed(x * y, window) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    return luminance, (2 * covariance + C2) / (variances + C2)


def gaussian_window(size: int) -> list[float]:
    """Return the weights of a Gaussian window that sum to 1."""
    weights = [math.exp(-((place - size // 2) ** 2) / (2 * SIGMA**2)) for place in range(size)]
    return [weight / sum(weights) for weight in weights]


def smoothed(images: Tensor, window: list[float]) -> Tensor:
    """Return images [N, C, H, W] smoothed in both directions, without borders.

    By sums of slices: an accelerator may round the products of a convolution to ten bits (TF32), which the difference
    of the squares' mean and the mean's square does not survive.
    """
    for dim in (2, 3):
        length = images.shape[dim] - len(window) + 1
        images = sum(weight * images.narrow(dim, start, length) for start, weight in enumerate(window))
    return images
