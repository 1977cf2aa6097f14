# SPDX-License-Identifier: BSD-3-Clause
"""read_header: what the head of a file says, without decoding it."""

import dataclasses
import io
import os
import pathlib
import pickle

import pytest
from PIL import Image
from support import jpegs

import fastimg


def from_pillow(data):
    """The fields that Pillow knows."""
    picture = Image.open(io.BytesIO(data))
    width, height = picture.size
    orientation = jpegs.orientation_of(data)
    if orientation >= 5:
        width, height = height, width
    return {
        "width": width,
        "height": height,
        "shape": (3, height, width),
        "components": picture.layers,
        "progressive": bool(picture.info.get("progressive", 0)),
        "precision": picture.bits,
        "orientation": orientation,
        "nbytes": len(data),
    }


def check(data, **fields):
    header = fastimg.read_header(data)
    for name, value in fields.items():
        assert getattr(header, name) == value, name
        assert type(getattr(header, name)) is type(value), name
    return header


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", jpegs.SUBSAMPLINGS)
@pytest.mark.parametrize("shape", [(1, 1), (24, 31), (480, 641)])
def test_ordinary_files(shape, subsampling, progressive):
    data = jpegs.jpeg(*shape, subsampling, progressive=progressive)
    grey = subsampling == "4:0:0"
    check(
        data,
        **from_pillow(data),
        subsampling=subsampling,
        color_space="grayscale" if grey else "YCbCr",
        restart_interval=0,
    )
    assert fastimg.read_header(data).progressive is progressive
    assert fastimg.read_header(data).components == (1 if grey else 3)


@pytest.mark.parametrize("order", ["II", "MM"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(orientation, order):
    data = jpegs.oriented(jpegs.jpeg(24, 31), orientation, order)
    header = check(data, **from_pillow(data))
    assert header.orientation == orientation
    assert header.shape == fastimg.decode(data).shape


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_orientation_out_of_range(value):
    check(jpegs.oriented(jpegs.jpeg(24, 31), value), orientation=1, width=31, height=24)


@pytest.mark.parametrize("blocks", [1, 5, 300, 65535])
def test_restart_interval(blocks):
    check(jpegs.pillow(jpegs.pixels(40, 40), restart_marker_blocks=blocks), restart_interval=blocks)


def test_restart_interval_of_rows():
    # One row of MCUs: 50 / 16, rounded up.
    data = jpegs.pillow(jpegs.pixels(40, 50), restart_marker_rows=1, subsampling="4:2:0")
    check(data, restart_interval=4)


@pytest.mark.parametrize(
    ("factors", "name"),
    [
        ([(1, 1), (1, 1), (1, 1)], "4:4:4"),
        ([(2, 1), (1, 1), (1, 1)], "4:2:2"),
        ([(2, 2), (1, 1), (1, 1)], "4:2:0"),
        ([(1, 2), (1, 1), (1, 1)], "4:4:0"),
        ([(4, 1), (1, 1), (1, 1)], "4:1:1"),
        ([(4, 2), (1, 1), (1, 1)], "4:1:0"),
        ([(2, 2), (2, 1), (1, 1)], "2x2,2x1,1x1"),
        ([(2, 2), (1, 2), (2, 1)], "2x2,1x2,2x1"),
        ([(1, 1), (2, 2), (2, 2)], "1x1,2x2,2x2"),
        ([(3, 1), (1, 1), (1, 1)], "3x1,1x1,1x1"),
    ],
)
def test_sampling_factors(factors, name):
    check(jpegs.reframed(jpegs.jpeg(), factors=factors), subsampling=name, components=3)


def adobe(transform):
    return jpegs.segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([transform]))


def bare(channels):
    """A file of so many channels without the markers that tell the colour space."""
    data = jpegs.turbo(jpegs.pixels(24, 31, channels), "4:4:4")
    return jpegs.without(data, 0xE0, 0xEE)


@pytest.mark.parametrize(
    ("data", "color_space", "components"),
    [
        (bare(1), "grayscale", 1),
        (bare(3), "YCbCr", 3),
        (jpegs.reframed(bare(3), ids=b"RGB"), "RGB", 3),
        (jpegs.insert(jpegs.reframed(bare(3), ids=b"RGB"), adobe(1)), "YCbCr", 3),
        (jpegs.insert(bare(3), adobe(0)), "RGB", 3),
        (jpegs.insert(bare(3), adobe(1)), "YCbCr", 3),
        (jpegs.pillow(jpegs.pixels(24, 31), keep_rgb=True), "RGB", 3),
        (bare(4), "CMYK", 4),
        (jpegs.insert(bare(4), adobe(0)), "CMYK", 4),
        (jpegs.insert(bare(4), adobe(2)), "YCCK", 4),
        (jpegs.turbo(jpegs.pixels(24, 31, 4)), "YCCK", 4),
        (jpegs.pillow(jpegs.pixels(24, 31, 4)), "CMYK", 4),
    ],
)
def test_color_space(data, color_space, components):
    # The shape is of the default mode, whatever is in the file.
    check(data, color_space=color_space, components=components, shape=(3, 24, 31))


def two_components():
    """A frame header of two components, as no colour space has; the rest is as it was."""
    data = jpegs.jpeg(24, 31)
    _, start, end = jpegs.frame(data)
    payload = bytearray(data[start + 4 : end - 3])
    payload[5] = 2
    return data[:start] + jpegs.segment(0xC0, bytes(payload)) + data[end:]


def test_unknown_color_space():
    check(two_components(), color_space="unknown", components=2, width=31, height=24)
    with pytest.raises(fastimg.JpegError):
        fastimg.decode(two_components())


@pytest.mark.parametrize("marker", [0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xCA, 0xCB])
def test_every_process_has_a_header(marker):
    # Extended, progressive, lossless, arithmetic: whether libjpeg-turbo decodes it is not the question.
    header = check(jpegs.reframed(jpegs.jpeg(24, 31), marker=marker), width=31, height=24, precision=8)
    assert header.progressive is (marker in (0xC2, 0xCA))


@pytest.mark.parametrize(("marker", "precision"), [(0xC1, 12), (0xC2, 12), (0xC3, 2), (0xC3, 12), (0xC3, 16)])
def test_other_precisions(marker, precision):
    data = jpegs.reframed(jpegs.jpeg(24, 31), marker=marker, precision=precision)
    check(data, precision=precision, width=31, height=24, shape=(3, 24, 31))
    with pytest.raises(fastimg.JpegError):
        fastimg.decode(data)


@pytest.mark.parametrize(("height", "width"), [(65500, 65500), (65535, 65535), (13375, 13380)])
def test_over_the_limit(height, width):
    data = jpegs.reframed(jpegs.jpeg(), height=height, width=width)
    check(data, height=height, width=width)
    turned = jpegs.oriented(data, 6)
    check(turned, height=width, width=height, orientation=6)


def padded(data, megabytes):
    """Application segments of the greatest length before the tables, as embedded previews are."""
    extra = jpegs.segment(0xE2, bytes(65533)) * (megabytes * 16)
    return jpegs.insert(data, extra)


def test_frame_after_megabytes_of_other_segments():
    data = padded(jpegs.oriented(jpegs.jpeg(24, 31), 6), 5)
    check(data, **from_pillow(data))
    assert fastimg.decode(data).shape == (3, 31, 24)


def test_thumbnail_is_not_taken_for_the_frame():
    # A whole JPEG inside an application segment, as EXIF thumbnails are.
    data = jpegs.insert(jpegs.jpeg(24, 31), jpegs.segment(0xE1, b"Exif\0\0" + jpegs.jpeg(8, 9)))
    check(data, height=24, width=31)


def test_stray_and_fill_bytes():
    data = jpegs.junk_between_segments(jpegs.jpeg(24, 31))
    check(jpegs.insert(data, b"\xff" * 7), height=24, width=31)


@pytest.mark.parametrize("marker", [0xC4, 0xC8, 0xCC])
def test_markers_that_are_no_frames(marker):
    # They lie among the frame markers' numbers: tables, reserved, arithmetic conditioning.
    data = jpegs.jpeg(24, 31)
    _, start, end = jpegs.frame(data)
    with pytest.raises(fastimg.JpegError):
        fastimg.read_header(data[:start] + jpegs.segment(marker, data[start + 4 : end]) + data[end:])


@pytest.mark.skipif(not os.path.exists("/proc/self/io"), reason="needs the kernel's count of bytes read")
def test_only_the_head_is_read(tmp_path):
    path = tmp_path / "large.jpg"
    path.write_bytes(jpegs.jpeg(24, 31))
    os.truncate(path, 2**26)

    def bytes_read():
        return int(pathlib.Path("/proc/self/io").read_text().split()[1])

    fastimg.read_header(path)
    before = bytes_read()
    header = fastimg.read_header(path)
    assert bytes_read() - before < 2**20
    assert header.nbytes == 2**26


def test_sources(batch):
    data, path = batch.data[0], batch.paths[0]
    expected = fastimg.read_header(path)
    for source in (pathlib.Path(path), data, bytearray(data), memoryview(data)):
        assert fastimg.read_header(source) == expected
    assert fastimg.read_header(fastimg.FileRange(path, 0, len(data))) == expected


def test_it_is_a_frozen_dataclass():
    header = fastimg.read_header(jpegs.jpeg())
    assert isinstance(header, fastimg.Header) and dataclasses.is_dataclass(header)
    with pytest.raises(dataclasses.FrozenInstanceError):
        header.width = 5
    assert pickle.loads(pickle.dumps(header)) == header
    assert hash(header) == hash(fastimg.read_header(jpegs.jpeg()))
    assert header != fastimg.read_header(jpegs.jpeg(25, 31))


@pytest.mark.parametrize("source", [None, 5, 2.5, ["a.jpg"], object()], ids=lambda x: type(x).__name__)
def test_not_a_source(source):
    with pytest.raises(TypeError, match=type(source).__name__):
        fastimg.read_header(source)
