# SPDX-License-Identifier: BSD-3-Clause
"""Orientation from Exif: of every type, in every place, and from segments that are broken."""

import struct

import pytest
from support import jpegs
from support.orientations import (
    ASCII,
    BYTE,
    DOUBLE,
    FLOAT,
    IFD,
    LONG,
    LONG8,
    MAKE,
    NO_TAG,
    ORIENTATION,
    PLAIN,
    RATIONAL,
    SBYTE,
    SHORT,
    SLONG,
    SRATIONAL,
    SSHORT,
    UNDEFINED,
    offset,
    orientation,
    pack,
    pillow_orientation,
    tagged,
)
from support.segments import APP1, COM, exif, segment, tiff, xmp

import fastimg

ORDERS = pytest.mark.parametrize("order", ["II", "MM"])


# ---- types and counts ----------------------------------------------------------------------------


@ORDERS
@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("kind", [SHORT, LONG, SBYTE, SSHORT, SLONG, FLOAT, IFD])
def test_types(kind, value, order):
    written = tagged(value, kind, order=order)
    assert orientation(written) == pillow_orientation(written) == value


@ORDERS
@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("count", [1, 2, 4, 5, 100])
def test_bytes(count, value, order):
    # Pillow, which makes a string of them, does not turn the image.
    data = bytes([value, *range(1, count)])
    written = tagged(data, BYTE, count, order) if count <= 4 else offset(data, BYTE, count, order)
    assert orientation(written) == value


@ORDERS
@pytest.mark.parametrize(
    ("kind", "form", "values"),
    [
        (LONG8, "Q", (6,)),
        (DOUBLE, "d", (6.0,)),
        (RATIONAL, "LL", (6, 1)),
        (RATIONAL, "LL", (18, 3)),
        (SRATIONAL, "ll", (6, 1)),
        (SBYTE, "5b", (6, 1, 2, 3, 4)),
        (SHORT, "3H", (6, 1, 2)),
        (SHORT, "300H", (6,) * 300),
        (SSHORT, "3h", (6, 8, 8)),
        (LONG, "2L", (6, 8)),
        (SLONG, "2l", (6, 8)),
        (IFD, "2L", (6, 8)),
        (FLOAT, "2f", (6, 8)),
    ],
)
def test_values_at_an_offset(kind, form, values, order):
    data = pack(order, form, *values)
    count = 1 if kind in (RATIONAL, SRATIONAL) else len(values)
    assert orientation(offset(data, kind, count, order)) == 6
    assert pillow_orientation(offset(data, kind, count, order)) == 6
    # Before the IFD, and at the segment's last byte.
    start = 8 + len(data)
    before = tiff((ORIENTATION, kind, count, pack(order, "L", 8)), order=order, start=start)
    assert orientation(exif(before[:8] + data + before[start:])) == 6
    assert orientation(offset(b"?" * 9 + data, kind, count, order, 35)) == 6


@ORDERS
@pytest.mark.parametrize(("kind", "form"), [(SHORT, "HH"), (SSHORT, "hh"), (SBYTE, "4b")])
def test_several_values_in_the_entry(kind, form, order):
    values = (6, 8, 1, 1)[: struct.calcsize("<" + form) // struct.calcsize("<" + form[-1])]
    written = tagged(pack(order, form, *values), kind, len(values), order)
    assert orientation(written) == pillow_orientation(written) == 6


@ORDERS
def test_only_as_many_bytes_as_the_type_has(order):
    assert orientation(tagged(pack(order, "HH", 6, 0xFFFF), SHORT, order=order)) == 6
    assert orientation(tagged(b"\x06\xff\xff\xff", SBYTE, order=order)) == 6


@ORDERS
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *((SHORT, value) for value in (0, 9, 255, 256 + 6, 6 << 8, 65535)),
        *((LONG, value) for value in (0, 9, 65536 + 6, 6 << 24, 2**32 - 1)),
        *((SBYTE, value) for value in (0, -6, -128)),
        *((SSHORT, value) for value in (0, -6, -(2**15))),
        *((SLONG, value) for value in (0, -6, -(2**31))),
        *((FLOAT, value) for value in (0.5, 6.5, -6.0, 8.1, 1e30, float("inf"), float("nan"))),
        *((BYTE, value) for value in (0, 9, 255)),
    ],
)
def test_out_of_range(kind, value, order):
    # The tag is there, so that neither a later segment nor XMP is asked.
    written = tagged(value, kind, order=order)
    for more in ([], [tagged(8)], [xmp(b'tiff:Orientation="8"')]):
        assert orientation(written, *more) == 1
        if kind != BYTE:
            assert pillow_orientation(written, *more) == 1


@ORDERS
@pytest.mark.parametrize(
    ("kind", "form", "values"),
    [
        (LONG8, "Q", (2**32 + 6,)),
        (LONG8, "Q", (6 << 32,)),
        (DOUBLE, "d", (6.5,)),
        (DOUBLE, "d", (float("nan"),)),
        (RATIONAL, "LL", (6, 0)),
        (RATIONAL, "LL", (0, 0)),
        (RATIONAL, "LL", (13, 2)),
        (SRATIONAL, "ll", (-6, 1)),
        (SHORT, "3H", (0, 6, 6)),
    ],
)
def test_out_of_range_at_an_offset(kind, form, values, order):
    count = 1 if kind in (RATIONAL, SRATIONAL) else len(values)
    written = offset(pack(order, form, *values), kind, count, order)
    assert orientation(written, tagged(8)) == 1


@ORDERS
@pytest.mark.parametrize(
    ("kind", "count", "value"),
    [(ASCII, 2, b"6\0"), (ASCII, 1, b"\6"), (UNDEFINED, 1, b"\6"), (UNDEFINED, 4, b"\6\0\0\6")],
)
def test_text_is_no_number(kind, count, value, order):
    written = tagged(value, kind, count, order)
    for more in ([], [tagged(8)], [xmp(b'tiff:Orientation="8"')]):
        assert orientation(written, *more) == pillow_orientation(written, *more) == 1


@ORDERS
@pytest.mark.parametrize("kind", [0, 14, 15, 17, 18, 255, 65535])
def test_unknown_types_are_passed_over(kind, order):
    written = tagged(pack(order, "HH", 6, 6), kind, order=order)
    assert orientation(written) == 1
    assert orientation(written, tagged(8)) == 8
    more = xmp(b'tiff:Orientation="8"')
    assert orientation(written, more) == pillow_orientation(written, more) == 8
    good = (ORIENTATION, SHORT, 1, pack(order, "H", 7))
    both = exif(tiff((ORIENTATION, kind, 1, pack(order, "HH", 6, 6)), good, order=order))
    assert orientation(both) == pillow_orientation(both) == 7


# ---- where the tag is ----------------------------------------------------------------------------


def test_the_first_of_two_tags():
    for first, expected in ((6, 6), (1, 1), (0, 1), (9, 1)):
        written = exif(tiff((ORIENTATION, SHORT, 1, first), (ORIENTATION, SHORT, 1, 8)))
        assert orientation(written) == pillow_orientation(written) == expected
    empty = exif(tiff((ORIENTATION, SHORT, 0, 6), (ORIENTATION, SHORT, 1, 8)))
    assert orientation(empty) == pillow_orientation(empty) == 8


@pytest.mark.parametrize("start", [0, 8, 9, 30, 60000])
def test_place_of_the_ifd(start):
    data = tiff((ORIENTATION, SHORT, 1, 6), start=max(start, 8))
    # At 0 the header is read as an IFD: "II" entries, of which none is the tag.
    data = data[:4] + struct.pack("<L", start) + data[8:]
    assert orientation(exif(data)) == (6 if start else 1)


@ORDERS
@pytest.mark.parametrize("before", [0, 1, 50, 5000])
def test_place_in_the_ifd(before, order):
    entries = [(0x9000 + i % 100, SHORT, 1, 7) for i in range(before)]  # which are not sorted
    assert orientation(exif(tiff(*entries, (ORIENTATION, SHORT, 1, 6), order=order))) == 6


@ORDERS
def test_other_tags_do_not_matter(order):
    tag = (ORIENTATION, SHORT, 1, 6)
    for other in [
        (MAKE, 99, 4, b"abc\0"), (MAKE, ASCII, 400, 5000), (MAKE, ASCII, 20, 5000), (MAKE, ASCII, 2**32 - 1, 2**32 - 1),
        (0x1201, SHORT, 1, 8), (0x0112 << 1, SHORT, 1, 8), (0x8769, LONG, 1, 8),
    ]:  # fmt: skip
        value = other[3] if isinstance(other[3], bytes) else pack(order, "L", other[3])
        assert orientation(exif(tiff((*other[:3], value), tag, order=order))) == 6


def test_only_the_first_ifd():
    # The thumbnail's IFD, and Exif's own, have orientations that are not the image's.
    inner = tiff((ORIENTATION, SHORT, 1, 6))[8:]
    thumbnail = bytearray(tiff((MAKE, ASCII, 4, b"abc\0"), extra=inner))
    thumbnail[22:26] = struct.pack("<L", 26)
    assert orientation(exif(bytes(thumbnail))) == 1
    assert orientation(exif(tiff((0x8769, LONG, 1, 26), extra=inner))) == 1


@pytest.mark.parametrize("order", ["II", "MM"])
def test_byte_order_mark(order):
    good = tiff((ORIENTATION, SHORT, 1, 6), order=order)
    swapped = good[:2] + good[3:1:-1] + good[4:]
    assert orientation(exif(swapped)) == pillow_orientation(exif(swapped)) == 6
    for bad in (b"IM*\0", b"MI*\0", b"ii*\0", b"II+\0", b"MM\0+", b"II\0\0", b"\0\0\0\0", b"II*\1", b"MM**"):
        assert orientation(exif(bad + good[4:])) == 1
        assert orientation(exif(bad + good[4:]), tagged(8)) == 8


def test_header_of_the_segment():
    body = tiff((ORIENTATION, SHORT, 1, 6))
    for head in (b"Exif\0\0", b"Exif\0\0Exif\0\0"):  # some writers repeat it
        written = segment(APP1, head + body)
        assert orientation(written) == pillow_orientation(written) == 6
    for head in (b"Exif\0\1", b"Exif\0\xff", b"exif\0\0", b"EXIF\0\0", b"Exif\0", b"", b"\0Exif\0\0"):
        assert orientation(segment(APP1, head + body)) == 1
    for other in (0xE0, 0xE2, 0xED, COM):
        assert orientation(segment(other, b"Exif\0\0" + body)) == 1


def test_place_in_the_file():
    frame_end, scan = jpegs.frame(PLAIN)[2], jpegs.segments(PLAIN)[-1][1]
    for written, expected in ((tagged(6), 6), (xmp(b'tiff:Orientation="5"'), 5)):
        for at in (2, frame_end, scan):
            assert orientation(written, at=at) == expected
        assert fastimg.read_header(PLAIN + written).orientation == 1


# ---- several segments ----------------------------------------------------------------------------

EMPTY = [
    exif(b""), exif(bytes(4)), exif(bytes(40)), exif(b"II*\0"), exif(b"II*\0\x08\0\0\0"), exif(b"II*\0\x08\0\0\0\0\0"),
    exif(tiff()), exif(b"XXXXXXXXXXXXXXXXXXXX"), exif(b"Exif\0\0"), NO_TAG, segment(APP1, b""), segment(APP1, b"Exif"),
    segment(APP1, b"Exif\0"), exif(tiff((ORIENTATION, SHORT, 1, 6), count=0)), exif(b"II*\0\xff\xff\0\0" + bytes(30)),
    exif(b"II*\0\xff\xff\xff\xff" + bytes(30)),
]  # fmt: skip


@pytest.mark.parametrize("empty", EMPTY, ids=range(len(EMPTY)))
def test_segments_without_the_tag(empty):
    assert orientation(empty) == 1
    assert orientation(empty, tagged(6)) == 6
    assert orientation(empty, empty, empty, tagged(6, order="MM"), empty) == 6
    assert orientation(tagged(6), empty) == 6
    assert orientation(empty, xmp(b'tiff:Orientation="8"')) == 8
    assert orientation(empty, xmp(b'tiff:Orientation="8"'), tagged(6)) == 6


def test_the_first_segment_with_the_tag():
    for first, second in ((6, 8), (1, 8), (0, 8), (9, 8), (8, 0)):
        expected = first if first in range(1, 9) else 1
        assert orientation(tagged(first), tagged(second)) == expected
        assert orientation(tagged(first), tagged(second, order="MM")) == expected
        assert orientation(NO_TAG, tagged(first), tagged(second, LONG)) == expected


# ---- damage --------------------------------------------------------------------------------------


@ORDERS
def test_cut_at_every_byte(order):
    # The rest comes as stray bytes right after the segment.
    for written, need in (
        (tiff((MAKE, SHORT, 1, 6), (ORIENTATION, SHORT, 1, 6), order=order), 34),
        (
            tiff(
                (ORIENTATION, SHORT, 3, pack(order, "L", 26)), order=order, extra=pack(order, "3H", 6, 6, 6)
            ),
            32,
        ),
    ):
        for cut in range(len(written)):
            found = orientation(exif(written[:cut]), written[cut:], segment(COM, b""))
            assert found == (6 if cut >= need else 1)


@ORDERS
@pytest.mark.parametrize("count", [30, 65535])
def test_more_entries_than_there_are(count, order):
    assert orientation(tagged(6, order=order, count=0)) == 1
    first = exif(tiff((ORIENTATION, SHORT, 1, 6), (MAKE, SHORT, 1, 6), order=order, count=count))
    second = exif(tiff((MAKE, SHORT, 1, 6), (ORIENTATION, SHORT, 1, 6), order=order, count=count))
    assert orientation(first) == orientation(second) == 6


@ORDERS
@pytest.mark.parametrize("count", [0, 2**15, 2**31, 2**31 + 1, 2**32 - 1])
@pytest.mark.parametrize("kind", [BYTE, SHORT, LONG, DOUBLE])
def test_counts_that_do_not_fit(count, kind, order):
    for at in (0, 26):
        written = offset(pack(order, "4H", 6, 6, 6, 6), kind, count, order, at)
        assert orientation(written, xmp(b'tiff:Orientation="8"')) == 8


@ORDERS
@pytest.mark.parametrize("at", [27, 30, 32, 100, 2**16, 2**31, 2**32 - 6, 2**32 - 1])
def test_offsets_outside(at, order):
    written = offset(pack(order, "3H", 6, 6, 6), SHORT, 3, order, at)
    # Nor are they in the bytes after the segment.
    following = pack(order, "60H", *[6] * 60)
    assert orientation(written, following, xmp(b'tiff:Orientation="8"')) == 8


def test_many_segments():
    # Each is looked at once, and the last packet alone.
    full = exif(tiff(*[(MAKE, SHORT, 1, 6)] * 5400, count=65535))
    words = xmp(b"tiff:Orientation" * 4000)
    assert orientation(*[full, words] * 100, tagged(6)) == 6
