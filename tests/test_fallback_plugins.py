# SPDX-License-Identifier: BSD-3-Clause
"""Formats that Pillow has packages of their own for, where these are installed."""

import numpy as np
import pytest
from PIL import Image
from support import mixed_folder
from support.fallbacks import LIMIT, PILLOW, decode
from support.jpegs import assert_same

import fastimg
from fastimg.image_sizes import jxl_header

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200)


def picture(height=60, width=80):
    return Image.fromarray(mixed_folder.picture(0, height, width))


def check(data, expected, format):
    pixels, orientation = decode(data)
    header = PILLOW.measure(data, None, LIMIT)
    height, width = expected.shape[:2]
    assert orientation == header.orientation == 1  # the decoder applies it
    assert (header.height, header.width, header.format) == (height, width, format)
    assert_same(pixels, expected)
    with pytest.raises(fastimg.ImageTooLargeError):
        decode(data, max_pixels=height * width - 1)
    for end in range(0, len(data) - 40, 97):
        with pytest.raises(fastimg.FallbackError):
            decode(data[:end])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic(orientation):
    """It needs no registering by the user."""
    pytest.importorskip("pillow_heif")
    with pytest.raises(fastimg.FallbackError, match="HEIC"):
        decode(HEIC)
    data = mixed_folder.saved(picture(), "HEIF", exif=mixed_folder.exif(orientation), quality=90)
    check(data, np.asarray(mixed_folder.reference(data)), "HEIF")
    assert PILLOW.measure(data, None, LIMIT).height == (60 if orientation < 5 else 80)


@pytest.mark.parametrize("size", [(60, 80), (64, 64), (48, 64), (37, 1000), (90, 160), (8, 256)])
@pytest.mark.parametrize("options", [{}, {"exif": mixed_folder.exif(6)}], ids=["bare", "container"])
def test_jpeg_xl(size, options):
    pytest.importorskip("pillow_jxl")
    image = picture(*size)
    data = mixed_folder.saved(image, "JXL", lossless=True, **options)
    check(data, np.asarray(image), "JXL")


@pytest.mark.parametrize(
    ("bits", "header"),
    [
        # small, height / 8 - 1, ratio 1; all defaults
        ([(1, 1), (7, 5), (1, 3), (1, 1)], (64, 64, 1)),
        # small, height, no ratio, width; fields that are not the defaults, among them the orientation
        ([(1, 1), (0, 5), (0, 3), (31, 5), (0, 1), (1, 1), (5, 3)], (256, 8, 6)),
        # heights of 9, 13, 18 and 30 bits; width = 16 / 9
        ([(0, 1), (0, 2), (89, 9), (5, 3), (0, 1), (0, 1)], (160, 90, 1)),
        ([(0, 1), (1, 2), (4999, 13), (0, 3), (2, 2), (99999, 18), (1, 1)], (100000, 5000, 1)),
        ([(0, 1), (3, 2), (2**30 - 1, 30), (7, 3), (1, 1)], (2**31, 2**30, 1)),
    ],
)
def test_headers_of_jpeg_xl(bits, header):
    value = at = 0
    for number, count in bits:
        value |= number << at
        at += count
    stream = b"\xff\x0a" + value.to_bytes(20, "little")
    assert jxl_header(stream) == header
    boxes = b"\0\0\0\x0cJXL \r\n\x87\n" + b"\0\0\0\x0cftypjxl "
    assert jxl_header(boxes + (len(stream) + 8).to_bytes(4, "big") + b"jxlc" + stream) == header
    assert jxl_header(boxes + (len(stream) + 12).to_bytes(4, "big") + b"jxlp\0\0\0\0" + stream) == header
    assert jxl_header(boxes + b"\0\0\0\1jxlc" + (len(stream) + 16).to_bytes(8, "big") + stream) == header
    with pytest.raises(ValueError, match="no JPEG XL codestream"):
        jxl_header(boxes)


def test_heic_without_its_package(monkeypatch):
    import fastimg.signatures as signatures

    if any(name == "HEIF" for name in Image.ID):
        pytest.skip("pillow-heif is in use")
    monkeypatch.setattr(signatures, "find_spec", lambda name: None)
    signatures.advice_for.cache_clear()
    with pytest.raises(fastimg.FallbackError, match=r"cannot identify HEIC; pip install pillow-heif"):
        decode(HEIC)
    signatures.advice_for.cache_clear()
