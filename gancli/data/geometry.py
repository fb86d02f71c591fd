"""Bringing images to one height, width and number of channels: one at a time (Pillow) or many (arrays).

Both ways mean the same by `fit`: crop scales until the frame is covered and cuts the middle out; pad shrinks
what is too large, never enlarges, and centers it on the background; stretch scales each side by itself.
Scaling is bicubic with antialiasing (Pillow's, which torch's antialias=True follows).

Legend: N images, H, W target, h, w source, C channels.
"""

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601, as Pillow's convert("L")


def fit_image(image: Image.Image, size: tuple[int, int], fit: str, fill: tuple[int, ...]) -> Image.Image:
    """Return `image` (8-bit mode) at `size` (H, W); `fill` is one number per band, around padded images."""
    height, width = size
    if (image.height, image.width) == size:
        return image
    if fit == "stretch":
        return image.resize((width, height), Image.Resampling.BICUBIC)
    if fit == "crop":
        scale = max(height / image.height, width / image.width)
        w, h = width / scale, height / scale
        left, top = (image.width - w) / 2, (image.height - h) / 2
        box = (max(0.0, left), max(0.0, top), min(image.width, left + w), min(image.height, top + h))
        return image.resize((width, height), Image.Resampling.BICUBIC, box=box)
    rows, columns = padded_extent(image.height, image.width, size)
    if (rows, columns) != (image.height, image.width):
        image = image.resize((columns, rows), Image.Resampling.BICUBIC)
    canvas = Image.new(image.mode, (width, height), fill if len(fill) > 1 else fill[0])
    canvas.paste(image, ((width - columns) // 2, (height - rows) // 2))
    return canvas


def fit_array(images: np.ndarray, size: tuple[int, int], fit: str, fill: tuple[int, ...]) -> np.ndarray:
    """Return uint8 [N, H, W, C] from uint8 [N, h, w, C]; `fill` is one number per channel."""
    n, h, w, channels = images.shape
    height, width = size
    if (h, w) == size:
        return images
    if fit == "stretch":
        return resize_array(images, size)
    if fit == "crop":
        scale = max(height / h, width / w)
        rows, columns = max(height, round(h * scale)), max(width, round(w * scale))
        top, left = (rows - height) // 2, (columns - width) // 2
        return resize_array(images, (rows, columns))[:, top:top + height, left:left + width]
    rows, columns = padded_extent(h, w, size)
    top, left = (height - rows) // 2, (width - columns) // 2
    canvas = np.empty((n, height, width, channels), dtype=np.uint8)
    canvas[:] = np.array(fill, dtype=np.uint8)
    canvas[:, top:top + rows, left:left + columns] = resize_array(images, (rows, columns))
    return canvas


def padded_extent(h: int, w: int, size: tuple[int, int]) -> tuple[int, int]:
    """Return the (rows, columns) that an h x w image takes inside `size` under fit=pad."""
    scale = min(1.0, size[0] / h, size[1] / w)
    return max(1, round(h * scale)), max(1, round(w * scale))


def resize_array(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return uint8 [N, h, w, C] scaled to [N, H, W, C]."""
    if images.shape[1:3] == size:
        return images
    planes = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float()  # [N, C, h, w]
    planes = F.interpolate(planes, size=size, mode="bicubic", align_corners=False, antialias=True)
    return planes.round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def set_channels(images: np.ndarray, channels: int, rgb: tuple[int, int, int]) -> np.ndarray:
    """Return uint8 [N, h, w, channels] from 1 (gray), 2 (gray, alpha), 3 (RGB) or 4 (RGBA) channels.

    Alpha that is not wanted is composited on the background `rgb`; alpha that is missing is opaque.
    """
    have = images.shape[3]
    if have == channels:
        return images
    color = images[..., :have - 1] if have in (2, 4) else images
    alpha = images[..., have - 1:] if have in (2, 4) else None
    if alpha is not None and channels in (1, 3):
        share = alpha.astype(np.float32) / 255
        below = np.array(rgb if channels == 3 or have == 4 else rgb[:1], dtype=np.float32)
        color = np.rint(color * share + below * (1 - share)).astype(np.uint8)
    gray = color.shape[3] == 1
    if channels in (3, 4) and gray:
        color = np.repeat(color, 3, axis=3)
    elif channels in (1, 2) and not gray:
        color = np.rint(color @ LUMA).astype(np.uint8)[..., None]
    if channels in (1, 3):
        return color
    opaque = np.full((*images.shape[:3], 1), 255, dtype=np.uint8)
    return np.concatenate([color, opaque if alpha is None else alpha], axis=3)


def fill_for(rgb: tuple[int, int, int], channels: int) -> tuple[int, ...]:
    """Return the background as one number per channel; transparent where there is alpha."""
    gray = round(float(np.dot(LUMA, rgb)))
    return {1: (gray,), 2: (gray, 0), 3: tuple(rgb), 4: (*rgb, 0)}[channels]
