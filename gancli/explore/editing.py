"""The energy of an edit by strokes (Zhu 2016, 1609.03552, sections 3 and 4), and the way to give the edit back to a photo.

Legend: N images, C channels, H height, W width, P a point's shape, h, w cells, K orientations.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from gancli.explore.strokes import Strokes
from gancli.losses.orientations import cells_touched, histograms

EPSILON = 1e-5  # beside the area of strokes, in the authors' code
BLUR = 0.7  # deviation in pixels of the mask that gives an edit back (Brock 2017's code)


@dataclass(frozen=True)
class Weights:
    """Of the parts of an edit's energy beside the strokes' colors, whose weight is 1."""

    sketch: float  # edges
    smoothness: float  # distance from the latent that the edit began at
    keep: float  # pixels away from strokes


class Energy:
    """What an edited image should be: as the strokes say, near to what it was.

    E(z) = color + sketch * edges + smoothness * mean ((z - z0) / scale)^2 + keep * outside, each of the first two and the last
    a mean over its own area: of squared differences of pixels, of squared distances of histograms of oriented gradients, of
    squared differences of pixels that no stroke touches.  The last one is ours: Zhu 2016 keeps the picture by the latent
    alone.  There z0 is that of the picture; here it is the point that a candidate began at, near that one, so that candidates
    still differ when the search has come to rest.
    """

    def __init__(self, strokes: Strokes, before: Tensor, starts: Tensor, scale: float, weights: Weights) -> None:
        """Remember what is asked for.

        Args:
            before: the image [C, H, W] that is edited.
            starts: z0 of each candidate, [N, *P].
            scale: of its numbers (Space.scale).
        """
        self.before, self.starts, self.scale, self.weights = before[None], starts, scale, weights
        device = before.device
        self.color, self.color_mask = strokes.color[None].to(device), strokes.color_mask[None].to(device)
        self.cells = cells_touched(strokes.sketch_mask[None].to(device))
        self.edges = histograms(strokes.sketch[None].to(device))
        self.outside_mask = 1 - strokes.touched[None].to(device)

    def __call__(self, images: Tensor, points: Tensor) -> Tensor:
        """Return the energies [N] of images [N, C, H, W] and their points [N, *P]."""
        weights = self.weights
        energy = over(images, self.color, self.color_mask)
        if weights.sketch and self.cells.any():
            energy = energy + weights.sketch * self.edges.shape[1] * over(histograms(images), self.edges, self.cells)
        if weights.smoothness:
            energy = energy + weights.smoothness * ((points - self.starts) / self.scale).square().flatten(1).mean(1)
        return energy + weights.keep * over(images, self.before, self.outside_mask)


def over(x: Tensor, wanted: Tensor, mask: Tensor) -> Tensor:
    """Return the mean squared difference of x [N, C, H, W] from `wanted` [1, C, H, W] over a mask [1, 1, H, W], [N].

    As in the authors' code the mean over all pixels is divided by the mask's mean plus 1e-5.
    """
    return ((x - wanted).square() * mask).flatten(1).mean(1) / (mask.mean() + EPSILON)


def given_back(photo: Tensor, before: Tensor, after: Tensor, touched: Tensor) -> Tensor:
    """Return the photo with what an edit changed: exact where nothing did (Brock 2017, 1609.07093, section 3.3).

    The result is before + M (after - before) + (1 - M) (photo - before) with M the blurred size of the change, at most 1.
    Under strokes it is the generator's own here: what was painted over and is no part of its image before would stay else.

    Args:
        photo, before: [C, H, W] in [-1, 1], and what the generator made of it.
        after: edited images [N, C, H, W].
        touched: where strokes are, [1, H, W] from 0 to 1.
    """
    change = after - before
    mask = blurred(torch.maximum(change.abs().mean(1, keepdim=True).clamp_max(1), touched))
    return (before + mask * change + (1 - mask) * (photo - before)).clamp(-1, 1)


def blurred(mask: Tensor, deviation: float = BLUR) -> Tensor:
    """Return masks [N, 1, H, W] blurred by a Gaussian of a deviation in pixels; edges are repeated."""
    reach = max(1, round(4 * deviation))
    places = torch.arange(-reach, reach + 1, dtype=mask.dtype, device=mask.device)
    taps = torch.exp(-places.square() / (2 * deviation**2))
    taps = taps / taps.sum()
    rows = conv2d(pad(mask, (reach, reach, 0, 0), mode="replicate"), taps.view(1, 1, 1, -1))
    return conv2d(pad(rows, (0, 0, reach, reach), mode="replicate"), taps.view(1, 1, -1, 1))


def kept_candidates(energies: Tensor) -> Tensor:
    """Return the numbers of candidates by energy [N], the best first; those of twice the better half's mean are left out."""
    order = energies.argsort()
    half = energies[order[:max(1, len(order) // 2)]]
    return order[energies[order] <= 2 * half.mean()] if half.isfinite().all() else order[:1]
