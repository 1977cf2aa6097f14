# SPDX-License-Identifier: BSD-3-Clause
"""How large an image of another format may be: refused before Pillow allocates anything."""

import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image
from support import jpegs, mixed_folder
from support.fallbacks import decode, refused
from support.jpegs import assert_same

import fastimg


def bomb(height, width):
    """A small PNG that says that it is large."""
    return (
        b"\x89PNG\r\n\x1a\n"
        + mixed_folder.chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        + mixed_folder.chunk(b"IDAT", zlib.compress(bytes(999)))
        + mixed_folder.chunk(b"IEND", b"")
    )


def bombs():
    png = bomb(20000, 20000)
    yield "PNG", png
    yield "ICO", b"\0\0\1\0\1\0" + struct.pack("<BBBBHHII", 64, 64, 0, 0, 1, 32, len(png), 22) + png
    yield "ICNS", b"icns" + struct.pack(">I", len(png) + 16) + b"ic07" + struct.pack(">I", len(png) + 8) + png
    data = bytearray(mixed_folder.saved(Image.new("RGB", (8, 8)), "GIF"))
    data[6:10] = struct.pack("<HH", 20000, 20000)
    yield "GIF", bytes(data)
    data = bytearray(
        mixed_folder.saved(Image.new("RGBA", (8, 8), (1, 2, 3, 4)), "WEBP", exif=mixed_folder.exif(1))
    )
    assert data[12:16] == b"VP8X"
    data[24:30] = (15999).to_bytes(3, "little") * 2
    yield "WebP", bytes(data)
    data = bytearray(mixed_folder.saved(Image.new("RGB", (8, 8)), "BMP"))
    data[18:26] = struct.pack("<II", 20000, 20000)
    yield "BMP", bytes(data)


@pytest.mark.parametrize(
    ("kind", "data"), list(bombs()), ids=lambda value: value if isinstance(value, str) else ""
)
@pytest.mark.parametrize("limit", [10**6, 10**8])
@pytest.mark.usefixtures("silent")
def test_too_large(kind, data, limit, monkeypatch):
    def new(*_):
        raise AssertionError("allocated")

    Image.init()
    monkeypatch.setattr(Image.core, "new", new)
    monkeypatch.setattr(Image.core, "fill", new)
    monkeypatch.setattr("PIL.WebPImagePlugin._webp.WebPAnimDecoder", new)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        error = refused(data, kind=fastimg.ImageTooLargeError, max_pixels=limit)
    size = "16000 x 16000" if kind == "WebP" else "20000 x 20000"
    assert f"{size} pixels, more than max_pixels = {limit}" in str(error)


@pytest.mark.parametrize("length", [2**20, 2**20 + 1, 2**32, 2**32 + 5])
@pytest.mark.parametrize("is_wide", [False, True])
def test_longest_side(length, is_wide):
    """The core counts in 32 bits: a longer side must not be taken for what is left of its number."""
    image = np.zeros(length, np.uint8)  # not touched: no memory is used
    image = image.reshape((1, -1) if is_wide else (-1, 1))
    options = {"fallback": lambda source: image, "size": 1, "max_pixels": 2**40}
    if length == 2**20:
        assert fastimg.decode(b"no JPEG", **options).shape == (3, 1, 1)
        return
    for call in (fastimg.decode, lambda data, **how: fastimg.load([data] * 2, **how)):
        with pytest.raises(fastimg.ImageTooLargeError, match=r"a side of more than 2\*\*20"):
            call(b"no JPEG", **options)
    with pytest.raises(fastimg.ImageTooLargeError, match=r"a side of more than 2\*\*20"):
        fastimg.read_header(b"no JPEG", fallback=options["fallback"])


@pytest.mark.parametrize("kind", ["PNG RGB", "GIF", "WebP", "TIFF LZW", "ICO", "BMP", "JPEG2000"])
def test_limit_of_pillow_is_not_that_of_images(kind, monkeypatch):
    """What max_pixels allows is decoded without a warning."""
    data = mixed_folder.encoded(kind, 0, 60, 64)
    expected = np.asarray(mixed_folder.reference(data))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same(np.broadcast_to(decode(data, max_pixels=64 * 64)[0], expected.shape), expected)
    refused(data, kind=fastimg.ImageTooLargeError, max_pixels=60 * 64 - 1)


def test_errors_of_the_limit():
    with pytest.raises(fastimg.ImageTooLargeError) as caught:
        fastimg.load(
            [jpegs.jpeg(), mixed_folder.encoded("BMP", 0, 50, 60)], size=8, fallback="pillow", max_pixels=2999
        )
    error = caught.value
    assert error.index == 1 and not isinstance(error, fastimg.JpegError)
    assert str(error) == f"image 1: {error.source}: 60 x 50 pixels, more than max_pixels = 2999"
