"""Pictures of any mode for a network of so many channels: what goes through it, and what becomes of the rest.

The network takes the colors.  Opacity that it has no channel for is enlarged bicubically, and a gray picture stays gray.  Of a
color picture a gray network takes the luminance, and the two differences of color, in which the eye sees little, are enlarged
bicubically, as has been usual since the first networks for super-resolution (Dong 2014, 1501.00092).

Legend: H height, W width, C channels, f the factor.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gancli.data.decode import MODES

OPACITY = ("LA", "RGBA")


@dataclass(frozen=True)
class Planes:
    """A picture taken apart."""

    seen: NDArray[np.uint8]  # [H, W, C] what the network takes
    mode: str  # of the picture, L, LA, RGB or RGBA
    differences: tuple[Image.Image, ...] = ()  # of color, which a gray network does not take
    opacity: Image.Image | None = None  # which the network does not take

    def joined(self, made: NDArray[np.uint8]) -> Image.Image:
        """Return what the network made, [f H, f W, C], as a picture with all the rest at that size."""
        picture = Image.fromarray(made[:, :, 0] if made.shape[2] == 1 else made, MODES[made.shape[2]])
        if self.differences:
            rest = (plane.resize(picture.size, Image.Resampling.BICUBIC) for plane in self.differences)
            picture = Image.merge("YCbCr", (picture, *rest)).convert("RGB")
        elif self.mode in ("L", "LA") and picture.mode == "RGB":
            picture = picture.convert("L")
        if self.opacity is not None:
            picture.putalpha(self.opacity.resize(picture.size, Image.Resampling.BICUBIC))
        return picture


def taken_apart(image: Image.Image, channels: int) -> Planes:
    """Return a picture of mode L, LA, RGB or RGBA for a network of so many channels."""
    mode = image.mode
    if channels in (2, 4):
        return Planes(_array(image.convert(MODES[channels])), mode)
    opacity = image.getchannel("A") if mode in OPACITY else None
    if channels == 1 and mode in ("RGB", "RGBA"):
        luminance, *differences = image.convert("RGB").convert("YCbCr").split()
        return Planes(_array(luminance), mode, tuple(differences), opacity)
    return Planes(_array(image.convert("RGB" if channels == 3 else "L")), mode, (), opacity)


def flat(image: Image.Image, gray: bool) -> NDArray[np.uint8]:
    """Return a picture [H, W, 1 or 3] without opacity, over white, to be compared with another."""
    if image.mode in OPACITY:
        canvas = Image.new("RGBA", image.size, "white")
        canvas.alpha_composite(image.convert("RGBA"))
        image = canvas
    return _array(image.convert("L" if gray else "RGB"))


def _array(image: Image.Image) -> NDArray[np.uint8]:
    return np.array(image).reshape(image.height, image.width, -1)
