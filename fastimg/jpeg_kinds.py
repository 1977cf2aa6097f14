# SPDX-License-Identifier: BSD-3-Clause
"""JPEG files of more than 8 bits a sample, which imagecodecs decodes where it is installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastimg.errors import FallbackError

_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_ALONE = frozenset((0x01, *range(0xD0, 0xD9)))  # markers without a length


class JpegKind(NamedTuple):
    """What a frame header says, and the metadata before it as Pillow keeps them."""

    sof: int
    precision: int
    height: int
    width: int
    components: int
    end: int  # of the header, in the file
    metadata: dict[str, bytes]


def describe_jpeg(content: bytes) -> JpegKind | None:
    """The frame header of a JPEG file; None if it is none, or has none."""
    if content[:2] != b"\xff\xd8":
        return None
    at = 2
    metadata: dict[str, bytes] = {}
    while at + 4 <= len(content):
        if content[at] != 0xFF:  # stray bytes
            at = content.find(b"\xff", at)
            if at < 0:
                return None
            continue
        marker = content[at + 1]
        if marker == 0xFF or marker == 0 or marker in _ALONE:
            at += 1 if marker == 0xFF else 2
            continue
        size = int.from_bytes(content[at + 2 : at + 4], "big")
        if marker in _FRAMES and at + 10 <= len(content):
            height, width = (int.from_bytes(content[i : i + 2], "big") for i in (at + 5, at + 7))
            return JpegKind(
                marker - 0xC0, content[at + 4], height, width, content[at + 9], at + 2 + size, metadata
            )
        for key, name in (("exif", b"Exif\0\0"), ("xmp", _XMP)):
            if marker == 0xE1 and content.startswith(name, at + 4):
                metadata[key] = content[at + 4 + (len(_XMP) if key == "xmp" else 0) : at + 2 + size]
        if marker in (0xD9, 0xDA) or size < 2:
            return None
        at += 2 + size
    return None


def check_precise(jpeg: JpegKind) -> None:
    """Refuses a file of other than 8 bits that `decode_precise` does not decode, by its header.

    Raises
    ------
    FallbackError
        imagecodecs is not installed, or does not know the kind.
    """
    what = f"{jpeg.precision} bits a sample"
    if find_spec("imagecodecs") is None:
        raise FallbackError(f"{what}; Pillow decodes 8, and imagecodecs (pip install imagecodecs) others")
    if jpeg.components not in (1, 3):
        raise FallbackError(f"{what} and {jpeg.components} components; 1 and 3 are supported")
    if not jpeg.height:
        raise FallbackError(f"{what} and height 0, which leaves it to a DNL marker; that is not supported")


def decode_precise(content: bytes, jpeg: JpegKind) -> npt.NDArray[np.uint8]:
    """Decodes a file of other than 8 bits and rounds its levels to 8: 255 v / (2^bits - 1).

    Raises
    ------
    FallbackError
        `check_precise` refuses it, or imagecodecs cannot decode it.
    """
    check_precise(jpeg)
    what = f"{jpeg.precision} bits a sample"
    # libjpeg fills in what is missing, and imagecodecs does not tell.
    if content.rfind(b"\xff\xd9", jpeg.end) < 0:
        raise FallbackError(f"{what}, and no end marker: the file is truncated")
    import imagecodecs

    levels: Any = imagecodecs.jpeg_decode(content)
    shape = (jpeg.height, jpeg.width) if jpeg.components == 1 else (jpeg.height, jpeg.width, 3)
    if levels.shape != shape:
        raise FallbackError(f"expected pixels of shape {shape} from imagecodecs, found {levels.shape}")
    if levels.dtype == np.uint8 and jpeg.precision <= 8:
        levels = levels.astype(np.uint16)
    highest = 2**jpeg.precision - 1
    scaled = (np.minimum(levels, highest).astype(np.uint32) * 255 + highest // 2) // highest
    pixels: npt.NDArray[np.uint8] = scaled.astype(np.uint8)
    return pixels
