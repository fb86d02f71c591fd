"""Image files -> uint8 arrays: any mode, upright, at one size; in a pool of threads (Pillow releases the lock).

Legend: H height, W width, C channels.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from gancli.capacity import cores, free_bytes
from gancli.data.broken import BrokenImage
from gancli.data.geometry import fill_for, fit_image
from gancli.data.options import MIN_SIDE, ImageOptions

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "TGA", "AVIF", "JPEG2000",
           "MPO")  # no reader among them starts a program
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
GRAY_MODES = ("1", "L", "LA", "La", "I", "F")  # and all of I;16
ORIENTATION = 0x0112  # EXIF; 5 to 8 exchange width and height
MOST_PACKED = 1100  # bytes that deflate makes of one, and a little
LARGE = 1 << 24  # pixels, above which it is asked how much memory there is
COPIES = 12  # bytes of a pixel while it is decoded: up to four values, copied as it is turned and converted
PART = 256  # files decoded between two looks at the progress bar


@dataclass(frozen=True)
class Frame:
    """What every image is brought to."""

    size: tuple[int, int]  # H, W
    channels: int
    fit: str
    rgb: tuple[int, int, int]  # background
    least: int = MIN_SIDE  # pixels of an image's side, of which fewer show nothing to learn from

    @classmethod
    def of(cls, options: ImageOptions, shape: tuple[int, ...]) -> "Frame":
        """Return the frame for images of `shape` (C, H, W)."""
        return cls((shape[1], shape[2]), shape[0], options.fit, options.rgb)


@dataclass(frozen=True)
class Header:
    """What a file says before it is decoded."""

    height: int
    width: int
    gray: bool
    mode: str = ""  # as Pillow names it
    format: str = ""


@cache
def readable() -> tuple[str, ...]:
    """Return those of FORMATS that this Pillow can read."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def probe(path: Path | io.BytesIO, least: int = MIN_SIDE) -> Header:
    """Return the size (upright) and kind of an image without decoding it; BrokenImage if it is none or a side is smaller."""
    try:
        with Image.open(path, formats=readable()) as image:
            return _header(image, path, least)
    except BrokenImage:
        raise
    except Exception as error:
        raise BrokenImage(reason_of(error)) from None


def _header(image: Image.Image, file: Path | io.BytesIO, least: int) -> Header:
    """Return the header of an image just opened; what it claims is checked first, since a PNG's EXIF may follow its pixels."""
    width, height = image.size
    refuse_large(image, file)
    if image.getexif().get(ORIENTATION, 1) >= 5:
        width, height = height, width
    refuse_small(width, height, least)
    return Header(height, width, image.mode in GRAY_MODES or image.mode.startswith("I;16"), image.mode, image.format or "")


def examine_image(file: Path | io.BytesIO, frame: Frame) -> tuple[Header, np.ndarray]:
    """Return an image's header and its pixels, uint8 [H, W, C] in the frame, of one reading; BrokenImage as by both."""
    found: list[Header] = []
    picture = open_upright(file, frame, lambda image: found.append(_header(image, file, frame.least)))
    return found[0], framed(picture, frame)


def decode_image(file: Path | io.BytesIO, frame: Frame) -> np.ndarray:
    """Return one image as uint8 [H, W, C]; BrokenImage if it cannot be decoded or has a side below the frame's least."""
    return framed(open_upright(file, frame), frame)


def decode_halves(file: Path, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """Return the left and the right half of one image, each as uint8 [H, W, C] (Isola 2017's files)."""
    image = open_upright(file, None)
    middle = image.width // 2
    left, right = image.crop((0, 0, middle, image.height)), image.crop((image.width - middle, 0, *image.size))
    return framed(left, frame), framed(right, frame)


def open_upright(file: Path | io.BytesIO, frame: Frame | None,
                 look: Callable[[Image.Image], None] = lambda image: None) -> Image.Image:
    """Return the first frame, turned as its EXIF orientation says, in mode L, LA, RGB or RGBA.

    Args:
        look: is given the image before its pixels are decoded.
    """
    try:
        with Image.open(file, formats=readable()) as image:
            refuse_large(image, file)
            look(image)
            if frame is not None and image.format == "JPEG":
                scale = 2 * max(frame.size) / min(image.size)
                if scale < 1:  # the decoder itself halves while twice the size remains
                    image.draft(None, (round(image.width * scale), round(image.height * scale)))
            image.load()
            return eight_bit(ImageOps.exif_transpose(image))
    except MemoryError:
        if (free_bytes() or 0) > COPIES * LARGE:  # a part of the file claims more bytes than any file has
            raise BrokenImage("it claims more than it holds") from None
        raise
    except Exception as error:  # Pillow's readers raise OSError, SyntaxError, ValueError, struct.error, ...
        raise BrokenImage(reason_of(error)) from None


def eight_bit(image: Image.Image) -> Image.Image:
    """Return the image in mode L, LA, RGB or RGBA; 16-bit values keep their high byte, floats in [0, 1] are scaled."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image).astype(np.float64)
        if image.mode == "F" and values.min() >= 0 and values.max() <= 1:
            values = values * 65535
        elif image.mode == "F":
            values = values * 257
        return Image.fromarray((np.clip(np.nan_to_num(values), 0, 65535) / 256).astype(np.uint8))
    if image.has_transparency_data:
        return image.convert("LA" if image.mode in ("L", "LA", "La", "1") else "RGBA")
    if image.mode in ("L", "RGB"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def framed(image: Image.Image, frame: Frame) -> np.ndarray:
    """Return an 8-bit image as uint8 [H, W, C] in the frame."""
    refuse_small(*image.size, frame.least)
    if image.mode in ("LA", "RGBA") and frame.channels in (1, 3):
        canvas = Image.new("RGBA", image.size, (*frame.rgb, 255))
        canvas.alpha_composite(image.convert("RGBA"))
        image = canvas.convert("RGB")
    image = fit_image(image.convert(MODES[frame.channels]), frame.size, frame.fit, fill_for(frame.rgb, frame.channels))
    return np.asarray(image).reshape(*frame.size, frame.channels)


def refuse_small(width: int, height: int, least: int = MIN_SIDE) -> None:
    """Raise BrokenImage for an image too small to show anything."""
    if min(width, height) < least:
        raise BrokenImage(f"{width}x{height} pixels are too few")


def refuse_large(image: Image.Image, file: Path | io.BytesIO) -> None:
    """Raise BrokenImage for more pixels than the file's bytes, or this machine's memory, can hold, before any is decoded."""
    pixels = image.width * image.height
    size = file.stat().st_size if isinstance(file, Path) else file.getbuffer().nbytes
    if image.format == "PNG" and pixels / 8 > MOST_PACKED * size:  # a bit each at the least
        raise BrokenImage(f"{size} bytes cannot hold {image.width}x{image.height} pixels")
    if pixels > LARGE and (free := free_bytes()) is not None and pixels * COPIES > free:
        raise BrokenImage(f"{image.width}x{image.height} pixels do not fit into the memory that is free")


def reason_of(error: Exception) -> str:
    """Return one short line that says why."""
    if isinstance(error, Image.UnidentifiedImageError):
        return "not an image"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")


def decode_many(items: Sequence[Any], decode: Callable[[Any], tuple[np.ndarray, ...]]) -> Iterator[list[Any]]:
    """Yield, for every PART of `items` in order, what `decode` returned or the BrokenImage it raised.

    One part is decoded ahead, so that the pool does not wait for the disk that takes the one before.
    """
    def attempt(part: Sequence[Any]) -> list[Any]:
        results = []
        for item in part:
            try:
                results.append(decode(item))
            except BrokenImage as broken:
                results.append(broken)
        return results

    workers = min(16, cores())
    pool = ThreadPoolExecutor(workers)
    grain = max(1, PART // (4 * workers))
    waiting: list[list[Future]] = []
    try:
        for start in range(0, len(items), PART):
            part = items[start:start + PART]
            waiting.append([pool.submit(attempt, part[at:at + grain]) for at in range(0, len(part), grain)])
            if len(waiting) > 1:
                yield [result for future in waiting.pop(0) for result in future.result()]
        for futures in waiting:
            yield [result for future in futures for result in future.result()]
    finally:
        pool.shutdown(cancel_futures=True)
