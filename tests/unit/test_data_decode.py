"""Every kind of image file comes out upright, 8-bit, at one size and with the channels asked for."""

import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from gancli.data.decode import (
    BrokenImage,
    Frame,
    decode_halves,
    decode_image,
    decode_many,
    examine_image,
    open_upright,
    probe,
)
from gancli.data.geometry import fit_array, fit_image, set_channels

FRAME = Frame((16, 16), 3, "stretch", (255, 255, 255))


def uniform(mode, color, tmp_path, suffix=".png", **options):
    path = tmp_path / f"image{suffix}"
    Image.new(mode, (16, 16), color).save(path, **options)
    return path


MODES = [
    ("RGB", (10, 20, 30), ".png", (10, 20, 30)),
    ("L", 77, ".png", (77, 77, 77)),
    ("1", 1, ".png", (255, 255, 255)),
    ("LA", (0, 0), ".png", (255, 255, 255)),
    ("RGBA", (255, 0, 0, 0), ".png", (255, 255, 255)),
    ("RGBA", (0, 0, 0, 128), ".png", (127, 127, 127)),
    ("I;16", 65535, ".png", (255, 255, 255)),
    ("I;16", 32768, ".tif", (128, 128, 128)),
    ("I", 32768, ".tif", (128, 128, 128)),
    ("F", 0.5, ".tif", (127, 127, 127)),
    ("CMYK", (0, 255, 255, 0), ".tif", (255, 0, 0)),
    ("YCbCr", (128, 128, 128), ".tif", (128, 128, 128)),
    ("RGB", (10, 20, 30), ".bmp", (10, 20, 30)),
    ("RGB", (10, 20, 30), ".tga", (10, 20, 30)),
    ("RGB", (10, 20, 30), ".ppm", (10, 20, 30)),
]


@pytest.mark.parametrize(("mode", "color", "suffix", "expected"), MODES)
def test_mode(mode, color, suffix, expected, tmp_path):
    pixels = decode_image(uniform(mode, color, tmp_path, suffix), FRAME)
    assert pixels.shape == (16, 16, 3) and pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - expected).max() <= 1


def test_one_reading_tells_what_two_do(tmp_path, monkeypatch):
    opened, kinds = [], [*MODES[:6], ("RGB", (10, 20, 30), ".jpg", None)]
    for mode, color, suffix, _ in kinds:
        path = uniform(mode, color, tmp_path, suffix)
        expected = probe(path), decode_image(path, FRAME)
        with monkeypatch.context() as patched:
            patched.setattr("gancli.data.decode.Image.open", lambda *given, real=Image.open, **more: opened.append(1) or real(
                *given, **more))
            header, pixels = examine_image(path, FRAME)
        assert header == expected[0] and np.array_equal(pixels, expected[1])
    assert len(opened) == len(kinds)


def test_looking_at_a_header_decodes_no_more_than_the_file_can_hold(tmp_path):
    path = uniform("RGB", (0, 0, 0), tmp_path)
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", 9000, 9000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)
    for look in (probe, lambda path: examine_image(path, FRAME)):
        with pytest.raises(BrokenImage, match="bytes cannot hold 9000x9000 pixels"):
            look(path)


def test_number_of_modes():
    assert len(MODES) == 15


def test_palette_with_transparency_is_composited(tmp_path):
    image = Image.new("P", (16, 16), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(1, (8, 0, 16, 16))
    image.save(tmp_path / "p.png", transparency=0)
    pixels = decode_image(tmp_path / "p.png", Frame((16, 16), 3, "stretch", (0, 255, 0)))
    assert tuple(pixels[0, 0]) == (0, 255, 0) and tuple(pixels[0, 15]) == (0, 0, 255)


def test_alpha_is_kept_where_it_is_asked_for(tmp_path):
    path = uniform("RGBA", (9, 8, 7, 6), tmp_path)
    assert tuple(decode_image(path, Frame((16, 16), 4, "stretch", (0, 0, 0)))[0, 0]) == (9, 8, 7, 6)
    assert decode_image(path, Frame((16, 16), 2, "stretch", (0, 0, 0)))[0, 0, 1] == 6
    assert decode_image(uniform("RGB", 0, tmp_path), Frame((16, 16), 4, "stretch", (0, 0, 0)))[0, 0, 3] == 255


def test_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (16, 16), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert tuple(decode_image(tmp_path / "a.gif", FRAME)[0, 0]) == (255, 0, 0)


def test_exif_orientation_is_applied(tmp_path):
    image = Image.new("L", (32, 16), 0)
    image.paste(255, (0, 0, 16, 16))  # the left half is white
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    image.save(tmp_path / "o.jpg", exif=exif, quality=95)
    assert (probe(tmp_path / "o.jpg").height, probe(tmp_path / "o.jpg").width) == (32, 16)
    pixels = decode_image(tmp_path / "o.jpg", Frame((32, 16), 1, "crop", (0, 0, 0)))
    assert pixels[2:12].min() > 200 and pixels[20:30].max() < 50


def test_large_jpeg_is_the_same_but_for_the_decoders_shortcut(tmp_path):
    rows, columns = np.mgrid[0:512, 0:512] / 512
    smooth = np.stack([rows, columns, 1 - rows], axis=2)
    image = Image.fromarray((smooth * 255).astype(np.uint8))
    image.save(tmp_path / "big.jpg", quality=95)
    expected = np.asarray(image.resize((16, 16), Image.Resampling.BICUBIC)).astype(int)
    assert np.abs(decode_image(tmp_path / "big.jpg", FRAME) - expected).max() <= 4


def test_halves(tmp_path):
    image = Image.new("RGB", (32, 16), "red")
    image.paste("blue", (16, 0, 32, 16))
    image.save(tmp_path / "ab.png")
    left, right = decode_halves(tmp_path / "ab.png", FRAME)
    assert (left == (255, 0, 0)).all() and (right == (0, 0, 255)).all()


def broken_files(tmp_path):
    uniform("RGB", 0, tmp_path)
    whole = (tmp_path / "image.png").read_bytes()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.jpg")
    Image.new("RGB", (7, 20)).save(tmp_path / "small.png")
    contents = {"empty.png": b"", "text.png": b"hello", "cut.png": whole[:40],
                "cut.jpg": (tmp_path / "noise.jpg").read_bytes()[:900],
                "program.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 16\n"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return [tmp_path / name for name in (*contents, "small.png", "missing.png")]


def test_broken_files_raise_one_kind_of_error_with_a_short_reason(tmp_path):
    paths = broken_files(tmp_path)
    assert len(paths) == 7
    for path in paths:
        with pytest.raises(BrokenImage) as error:
            decode_image(path, FRAME)
        assert 0 < len(str(error.value)) < 80 and "\n" not in str(error.value)


def test_decode_many_keeps_the_order_and_names_the_broken():
    def decode(item):
        if item % 100 == 7:
            raise BrokenImage(f"{item}")
        return (item,)

    results = [result for part in decode_many(range(1000), decode) for result in part]
    assert [str(r) if isinstance(r, BrokenImage) else r[0] for r in results] == [
        f"{i}" if i % 100 == 7 else i for i in range(1000)]


SIZES = [((20, 30), (16, 16)), ((30, 20), (16, 16)), ((8, 8), (16, 16)), ((28, 28), (32, 32)), ((20, 30), (16, 24)),
         ((64, 48), (24, 16))]


@pytest.mark.parametrize(("source", "target"), SIZES)
@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_arrays_and_files_are_fitted_alike(source, target, fit):
    rows, columns = np.mgrid[0:source[0], 0:source[1]]
    images = np.stack([rows * 3, columns * 3, rows + columns], axis=2).astype(np.uint8)
    one = np.asarray(fit_image(Image.fromarray(images), target, fit, (9, 9, 9)))
    many = fit_array(np.stack([images] * 2), target, fit, (9, 9, 9))
    assert one.shape == (*target, 3) and many.shape == (2, *target, 3)
    most = 8 if fit == "crop" else 1  # of arrays, whole pixels are cropped
    assert np.abs(many[1].astype(int) - one).max() <= most


def test_pad_never_enlarges_and_centers():
    images = np.full((1, 28, 28, 1), 200, np.uint8)
    padded = fit_array(images, (32, 32), "pad", (5,))
    assert (padded[0, 2:30, 2:30] == 200).all() and (padded == 5).sum() == 32 * 32 - 28 * 28


def test_crop_takes_the_middle():
    image = np.zeros((1, 8, 24, 1), np.uint8)
    image[:, :, 8:16] = 255
    assert (fit_array(image, (8, 8), "crop", (0,)) == 255).all()
    assert (np.asarray(fit_image(Image.fromarray(image[0, :, :, 0]), (8, 8), "crop", (0,))) == 255).all()


@pytest.mark.parametrize("have", [1, 2, 3, 4])
@pytest.mark.parametrize("want", [1, 2, 3, 4])
def test_channels_of_arrays_follow_pillow(have, want):
    modes = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
    pixels = np.random.default_rng(have).integers(0, 256, (8, 8, have), dtype=np.uint8)
    image = Image.fromarray(pixels.squeeze(), modes[have])
    if have in (2, 4) and want in (1, 3):
        canvas = Image.new("RGBA", image.size, (200, 200, 200, 255))
        canvas.alpha_composite(image.convert("RGBA"))
        image = canvas.convert("RGB")
    expected = np.asarray(image.convert(modes[want])).reshape(8, 8, want)
    assert np.abs(set_channels(pixels[None], want, (200, 200, 200))[0].astype(int) - expected).max() <= 2


def test_enlarging_is_smooth():
    edge = np.zeros((1, 8, 8, 1), np.uint8)
    edge[:, :, 4:] = 255
    row = torch.from_numpy(fit_array(edge, (32, 32), "stretch", (0,))[0, 16, :, 0].astype(int))
    assert len(row.unique()) > 4 and row[10] == 0 and row[21] == 255


def test_a_header_claims_no_more_than_its_bytes_and_the_memory_hold(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    Image.new("RGBA", (16, 16)).save(path)
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">2I", 9000, 9000)  # of the header's chunk, whose checksum follows
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    path.write_bytes(data)
    with pytest.raises(BrokenImage, match="bytes cannot hold 9000x9000 pixels"):
        open_upright(path, None)
    Image.new("L", (16, 16)).save(tmp_path / "small.png")
    large = tmp_path / "large.bmp"
    Image.new("L", (5000, 5000)).save(large)
    assert open_upright(large, None).size == (5000, 5000)
    monkeypatch.setattr("gancli.data.decode.free_bytes", lambda: 1 << 28)
    with pytest.raises(BrokenImage, match="5000x5000 pixels do not fit into the memory that is free"):
        open_upright(large, None)
    with pytest.raises(BrokenImage, match="claims more than it holds"):
        monkeypatch.setattr("gancli.data.decode.free_bytes", lambda: 1 << 30)
        monkeypatch.setattr("gancli.data.decode.eight_bit", no_memory)
        open_upright(tmp_path / "small.png", None)
    monkeypatch.setattr("gancli.data.decode.free_bytes", lambda: 1 << 20)
    with pytest.raises(MemoryError):
        open_upright(tmp_path / "small.png", None)


def no_memory(image):
    raise MemoryError
