# SPDX-License-Identifier: BSD-3-Clause
"""Files with Exif and XMP segments, and the orientation that fastimg and Pillow find in them."""

import struct
import warnings

import PIL
import pytest

import fastimg
from support import jpegs
from support.jpegs import assert_same
from support.segments import exif, tiff

BYTE, ASCII, SHORT, LONG, RATIONAL, SBYTE, UNDEFINED, SSHORT, SLONG = range(1, 10)
SRATIONAL, FLOAT, DOUBLE, IFD, LONG8 = 10, 11, 12, 13, 16

ORIENTATION, MAKE = 0x112, 0x10F
PLAIN = jpegs.jpeg(24, 31)


def orientation(*segments, at=2):
    """What these segments make of a file; header and pixels agree."""
    data = jpegs.insert(PLAIN, b"".join(segments), at)
    found = fastimg.read_header(data).orientation
    expected = jpegs.upright(fastimg.decode(PLAIN, layout="HWC"), found)
    assert_same(fastimg.decode(data, layout="HWC"), expected)
    return found


def pillow_orientation(*segments):
    """Pillow 13's: older ones read a tag that is there twice, for example, in another way."""
    if int(PIL.__version__.split(".")[0]) < 13:
        pytest.skip("needs Pillow 13")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of more values than one
        value = jpegs.orientation_of(jpegs.insert(PLAIN, b"".join(segments)))
    return value


def tagged(value, kind=SHORT, count=1, order="II", **options):
    return exif(tiff((ORIENTATION, kind, count, value), order=order, **options))


def offset(data, kind, count, order="II", at=26):
    """The tag with its values at an offset: 26 is right after the IFD of one entry."""
    return tagged(struct.pack("<L" if order == "II" else ">L", at), kind, count, order, extra=data)


def pack(order, form, *values):
    return struct.pack({"II": "<", "MM": ">"}[order] + form, *values)


NO_TAG = exif(tiff((MAKE, ASCII, 4, b"abc\0")))
