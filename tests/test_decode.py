# SPDX-License-Identifier: BSD-3-Clause
"""decode: every pixel is libjpeg-turbo's, whoever asks for it and in whatever order."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import jpegs
from support.jpegs import assert_same
from support.segments import DHT, DQT, DRI, SOF0, SOS, segment

import fastimg

COLOUR = [name for name in jpegs.SUBSAMPLINGS if name != "4:0:0"]


def planes(image):
    return np.ascontiguousarray(image.transpose(2, 0, 1))


def check_every_order(data, rgb, grey):
    """`rgb` and `grey` are (height, width, channels): all modes, both layouts."""
    for mode, image in (("RGB", rgb), ("BGR", rgb[:, :, ::-1]), ("L", grey)):
        assert_same(fastimg.decode(data, mode=mode, layout="HWC"), image)
        assert_same(fastimg.decode(data, mode=mode), planes(image))


@pytest.mark.parametrize("subsampling", jpegs.SUBSAMPLINGS)
def test_every_size_up_to_40(subsampling):
    # Odd sizes are where upsampling, the last partial MCU and the tail of a vector loop meet.
    noise = jpegs.pixels(40, 40, seed=3)
    for height in range(1, 41):
        for width in range(1, 41):
            data = jpegs.turbo(noise[:height, :width], subsampling)
            expected = jpegs.rgb_turbo(data)
            assert_same(fastimg.decode(data, layout="HWC"), expected)
            assert_same(fastimg.decode(data), planes(expected))


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", jpegs.SUBSAMPLINGS)
@pytest.mark.parametrize("shape", [(1, 1), (7, 9), (16, 16), (33, 47), (61, 130)])
def test_both_oracles(shape, subsampling, progressive):
    data = jpegs.jpeg(*shape, subsampling, progressive=progressive)
    rgb, grey = jpegs.rgb_turbo(data), jpegs.grey_turbo(data)
    assert_same(jpegs.rgb_pillow(data), rgb)
    assert_same(jpegs.grey_pillow(data), grey)
    check_every_order(data, rgb, grey)


@settings(max_examples=400)
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 200),
    subsampling=st.sampled_from(list(jpegs.SUBSAMPLINGS)),
    quality=st.integers(1, 100),
    progressive=st.booleans(),
    seed=st.integers(0, 99),
    mode=st.sampled_from(["RGB", "BGR", "L"]),
    layout=st.sampled_from(["CHW", "HWC"]),
)
def test_any_size(height, width, subsampling, quality, progressive, seed, mode, layout):
    data = jpegs.jpeg(height, width, subsampling, seed=seed, quality=quality, progressive=progressive)
    image = jpegs.grey_turbo(data) if mode == "L" else jpegs.rgb_turbo(data)
    image = image[:, :, ::-1] if mode == "BGR" else image
    expected = planes(image) if layout == "CHW" else image
    assert_same(fastimg.decode(data, mode=mode, layout=layout), expected)


@pytest.mark.parametrize("subsampling", jpegs.SUBSAMPLINGS)
@pytest.mark.parametrize("shape", [(3, 4000), (4000, 3), (1, 65500), (65500, 1)])
def test_extreme_shapes(shape, subsampling):
    data = jpegs.jpeg(*shape, subsampling)
    check_every_order(data, jpegs.rgb_turbo(data), jpegs.grey_turbo(data))


@pytest.mark.parametrize("subsampling", COLOUR)
def test_extreme_contrast(subsampling):
    # Black and white pixels at quality 1 overshoot: the range limit must clip as libjpeg's does.
    image = np.random.default_rng(0).choice(np.array([0, 255], np.uint8), (37, 53, 3))
    data = jpegs.turbo(image, subsampling, quality=1)
    check_every_order(data, jpegs.rgb_turbo(data), jpegs.grey_turbo(data))


@pytest.mark.parametrize("blocks", [1, 2, 3, 7])
@pytest.mark.parametrize("progressive", [False, True])
def test_restart_markers(blocks, progressive):
    data = jpegs.pillow(
        jpegs.pixels(45, 61), restart_marker_blocks=blocks, progressive=progressive, subsampling="4:2:0"
    )
    assert DRI in {marker for marker, _, _ in jpegs.segments(data)}
    check_every_order(data, jpegs.rgb_turbo(data), jpegs.grey_turbo(data))


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_optimised_tables(subsampling):
    data = jpegs.pillow(jpegs.pixels(45, 61), optimize=True, subsampling=subsampling)
    check_every_order(data, jpegs.rgb_turbo(data), jpegs.grey_turbo(data))


def test_rgb_inside():
    data = jpegs.pillow(jpegs.pixels(23, 37), keep_rgb=True)
    assert_same(jpegs.rgb_pillow(data), jpegs.rgb_turbo(data))
    check_every_order(data, jpegs.rgb_turbo(data), jpegs.grey_turbo(data))


def test_arithmetic_coding():
    data = jpegs.arithmetic(jpegs.pixels(23, 37))
    if jpegs.frame(data)[0] != 0xC9:
        pytest.skip("this TurboJPEG has no arithmetic encoder")
    try:
        image = fastimg.decode(data, layout="HWC")
    except fastimg.UnsupportedJpegError:
        return  # a libjpeg-turbo built without it must say so, and nothing else
    assert_same(image, jpegs.rgb_turbo(data))


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (23, 37), (40, 129)])
@pytest.mark.parametrize("progressive", [False, True])
def test_cmyk(shape, progressive):
    data = jpegs.pillow(jpegs.pixels(*shape, 4), progressive=progressive)
    check_every_order(data, jpegs.rgb_pillow(data), jpegs.grey_pillow(data))


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (23, 37), (40, 129)])
@pytest.mark.parametrize("subsampling", COLOUR)
def test_ycck(shape, subsampling):
    data = jpegs.turbo(jpegs.pixels(*shape, 4), subsampling)
    check_every_order(data, jpegs.rgb_pillow(data), jpegs.grey_pillow(data))


def test_cmyk_without_adobe_marker():
    # Pillow takes every CMYK file for an inverted one, marker or not; so do we.
    data = jpegs.without(jpegs.pillow(jpegs.pixels(23, 37, 4)), 0xEE)
    check_every_order(data, jpegs.rgb_pillow(data), jpegs.grey_pillow(data))


@pytest.mark.parametrize("quality", [30, 100])
def test_cmyk_formula_over_its_whole_range(quality):
    # Every C against every K, in flat 8 x 8 blocks, which survive the DCT almost unchanged.
    steps = np.linspace(0, 255, 32).round().astype(np.uint8)
    cyan, black = np.meshgrid(steps, steps)
    flat = np.stack([cyan, cyan[::-1], cyan[:, ::-1], black], axis=2)
    data = jpegs.pillow(flat.repeat(8, 0).repeat(8, 1), quality=quality)
    check_every_order(data, jpegs.rgb_pillow(data), jpegs.grey_pillow(data))


@pytest.mark.parametrize(
    "bend",
    [
        jpegs.without_eoi,
        jpegs.junk_between_segments,
        lambda data: data + b"trailing bytes after the end" * 9,
        lambda data: jpegs.insert(data, jpegs.segment(0xE2, b"ICC_PROFILE\0\x02\x01broken")),
        lambda data: jpegs.insert(data, jpegs.segment(0xE0, b"JFIF\0\x09\x09\0\0\1\0\1\0\0")),
        lambda data: jpegs.insert(data, jpegs.segment(0xFE, b"a comment")),
        lambda data: jpegs.insert(data, jpegs.segment(0xE1, b"Exif\0\0not a TIFF header")),
        lambda data: jpegs.insert(data, b"\xff" * 5),
    ],
    ids=["no EOI", "junk", "trailing", "ICC", "JFIF 9.9", "comment", "broken EXIF", "fill bytes"],
)
@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.usefixtures("silent")
def test_harmless_oddities(bend, strict):
    data = jpegs.jpeg(23, 37)
    assert_same(fastimg.decode(bend(data), strict=strict, layout="HWC"), jpegs.rgb_turbo(data))


def test_result_is_fresh_and_contiguous():
    data = jpegs.jpeg()
    first, second = fastimg.decode(data), fastimg.decode(data)
    assert not np.shares_memory(first, second)
    for image in (first, second, fastimg.decode(data, layout="HWC", dtype="float32")):
        assert type(image) is np.ndarray
        assert image.flags.c_contiguous and image.flags.writeable and image.flags.aligned


def test_one_decode_does_not_affect_the_next():
    # A decompressor is used again: tables, colour space and errors of one file must not stay.
    files = [
        jpegs.jpeg(24, 31),
        jpegs.turbo(jpegs.pixels(16, 9, 1)),
        jpegs.pillow(jpegs.pixels(12, 12, 4)),
        jpegs.bad_codes(),
        jpegs.jpeg(33, 70, "4:1:1", progressive=True),
        jpegs.truncated(jpegs.jpeg(40, 40)),
        jpegs.pillow(jpegs.pixels(23, 37), keep_rgb=True),
        jpegs.restarts(),
        b"\xff\xd8\xff\xd9",
    ]
    alone = []
    for data in files:
        try:
            alone.append(fastimg.decode(data))
        except fastimg.JpegError as error:
            alone.append(type(error))
    assert sum(isinstance(result, type) for result in alone) == 3
    rng = np.random.default_rng(0)
    for i in rng.integers(0, len(files), 300):
        if isinstance(alone[i], type):
            with pytest.raises(alone[i]):
                fastimg.decode(files[i])
        else:
            assert_same(fastimg.decode(files[i]), alone[i])


@pytest.mark.parametrize("left_out", [0xC4, 0xDB], ids=["Huffman", "quantisation"])
@pytest.mark.parametrize("strict", [True, False])
def test_tables_of_the_last_file_are_not_used(left_out, strict):
    # libjpeg keeps tables when a decompressor is used again, as abbreviated files want it; here every
    # file stands alone. Without Huffman tables it takes the standard ones, as motion JPEG wants it.
    data = jpegs.without(jpegs.jpeg(), left_out)
    fastimg.decode(jpegs.pillow(jpegs.pixels(24, 31), quality=5, optimize=True))
    if left_out == 0xDB:
        with pytest.raises(OSError, match="Quantization table"):
            jpegs.rgb_turbo(data)
        with pytest.raises(fastimg.CorruptJpegError):
            fastimg.decode(data, strict=strict)
    else:
        assert_same(fastimg.decode(data, strict=strict, layout="HWC"), jpegs.rgb_turbo(jpegs.jpeg()))


def test_lenient_keeps_what_was_recovered():
    for bend in (jpegs.truncated, lambda data: jpegs.truncated(data, 0.02)):
        for subsampling in jpegs.SUBSAMPLINGS:
            data = bend(jpegs.jpeg(61, 47, subsampling))
            assert_same(fastimg.decode(data, strict=False, layout="HWC"), jpegs.rgb_turbo(data))
    for data in (jpegs.bad_codes(), jpegs.lost_sync(jpegs.restarts())):
        assert_same(fastimg.decode(data, strict=False, layout="HWC"), jpegs.rgb_turbo(data))


@pytest.mark.parametrize("subsampling", jpegs.SUBSAMPLINGS)
def test_what_comes_after_the_last_row_is_no_damage(subsampling):
    data = jpegs.jpeg(24, 31, subsampling)
    unsound = segment(0xC4, b"\x10" + bytes([255] * 16))
    data, whole = jpegs.without_eoi(data) + unsound + b"\xff\xd9", fastimg.decode(data)
    for top in range(24):
        for rows in range(1, 25 - top):
            assert_same(fastimg.decode(data, crop=(top, 0, rows, 31)), whole[:, top : top + rows])


@pytest.mark.parametrize("subsampling", jpegs.SUBSAMPLINGS)
def test_bytes_left_over_count_with_the_last_rows(subsampling):
    data = jpegs.jpeg(24, 31, subsampling)
    whole, last = fastimg.decode(data), 16  # the first row of the last MCUs
    data = jpegs.without_eoi(data) + bytes(20) + b"\xff\xd9"
    # Chroma is interpolated: the two rows above those MCUs may take some of theirs.
    for rows in range(1, last - 1):
        assert_same(fastimg.decode(data, crop=(0, 0, rows, 31)), whole[:, :rows])
    for crop in ((0, 0, 24, 31), (1, 0, 23, 31), (last, 0, 1, 31)):
        with pytest.raises(fastimg.CorruptJpegError, match="20 bytes are left over in front of marker ff d9"):
            fastimg.decode(data, crop=crop)


def test_build_info():
    info = fastimg.build_info()
    assert info["version"] == fastimg.__version__ == "0.2.0"
    assert int(info["libjpeg_turbo_built"].split(".")[0]) >= 2
    assert info["kernels"] in {"avx2", "neon", "c"}
    assert isinstance(info["limited_api"], bool)


@pytest.mark.parametrize("size", [None, 4, 2, 1])
def test_components_without_scans(size):
    # They have no quantisation table, either.
    data = jpegs.many_scans(5, components=3)
    image = fastimg.decode(data, strict=False, layout="HWC", size=size)
    assert_same(image, np.broadcast_to(jpegs.rgb_turbo(data)[:1, :1], image.shape))


@pytest.mark.parametrize("size", [None, 110])
def test_a_short_code_with_its_value_is_not_looked_at(size):
    # 9 bits and 1: as many as common ones have. The block could be no image's, which only long ones call attention to.
    bits = "0" + "00" + "1" * 8 + "100000000" + "1" + "01"  # DC 0; 255; after 15 zeros 1; end of block
    scan = bits * 110 * 110
    scan = int(scan.ljust(-(-len(scan) // 8) * 8, "1"), 2).to_bytes(-(-len(scan) // 8), "big")
    data = b"\xff\xd8" + segment(DQT, b"\x00" + b"\x10" * 8 + b"\xff" * 56)
    data += segment(SOF0, struct.pack(">BHHB", 8, 880, 880, 1) + b"\x01\x11\x00")
    data += segment(
        DHT, bytes([0x00, 1, *[0] * 15, 0]) + bytes([0x10, 0, 2, *[0] * 6, 1, *[0] * 7, 0x08, 0x00, 0xF1])
    )
    data += segment(SOS, b"\x01\x01\x00\x00\x3f\x00") + scan.replace(b"\xff", b"\xff\x00") + b"\xff\xd9"
    assert fastimg.decode(data, size=size).shape == (3, size or 880, size or 880)
