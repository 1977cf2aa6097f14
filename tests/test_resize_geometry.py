# SPDX-License-Identifier: BSD-3-Clause
"""Where resized pixels come from and go to: crops, fits, padding, mirrors, orientations, sizes that need nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from support import jpegs
from support.jpegs import assert_same
from support.resize_reference import (
    FILTERS,
    assert_close,
    contain_size,
    cover_box,
    expected,
    place,
    rgb_sample,
    sample,
    to_pixels,
)

import fastimg

SOURCES = {
    "4:2:0": sample(jpegs.jpeg(45, 62, "4:2:0"), "4:2:0"),
    "4:4:4": sample(jpegs.jpeg(37, 64, "4:4:4"), "4:4:4"),
    "4:4:0": sample(jpegs.jpeg(63, 34, "4:4:0"), "4:4:0"),
    "4:1:1": sample(jpegs.jpeg(52, 49, "4:1:1", progressive=True), "4:1:1"),
    "grey": sample(jpegs.turbo(jpegs.pixels(33, 71, 1)), "4:0:0"),
    "CMYK": rgb_sample(jpegs.pillow(jpegs.pixels(40, 56, 4))),
    "RGB": rgb_sample(jpegs.pillow(jpegs.pixels(41, 39), keep_rgb=True)),
}


@pytest.fixture(params=SOURCES)
def source(request):
    return SOURCES[request.param]


def resized(data, size, **options):
    return fastimg.decode(data, size=size, **{"layout": "HWC", "reducing_gap": None, **options})


def check(source, size, **options):
    assert_close(
        resized(source.data, size, **options), expected(source, size, **options), f"{size} {options}"
    )


# ---- nothing to resample -----------------------------------------------------------------------


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_own_size(source, orientation, name):
    data = jpegs.oriented(source.data, orientation)
    for fit in ("stretch", "cover", "contain"):
        for options in (
            {},
            {"flip": True, "layout": "HWC", "mode": "BGR"},
            {"mode": "L", "dtype": "float32"},
        ):
            plain = fastimg.decode(data, **options)
            size = fastimg.read_header(data).shape[1:]
            for gap in (None, 1.0, 2.0):
                image = fastimg.decode(data, size=size, fit=fit, resample=name, reducing_gap=gap, **options)
                assert_same(image, plain)


@pytest.mark.parametrize(
    "crop", [(0, 0, 20, 20), (5, 3, 1, 1), (13, 17, 19, 13), (0, 29, 30, 1), (29, 0, 1, 30)]
)
def test_own_size_of_a_crop(source, crop):
    for orientation in (1, 4, 6, 7):
        data = jpegs.oriented(source.data, orientation)
        for flip in (False, True):
            plain = fastimg.decode(data, crop=crop, flip=flip)
            assert_same(fastimg.decode(data, crop=crop, flip=flip, size=crop[2:]), plain)


def test_a_square_is_one_number(source):
    assert_same(resized(source.data, 24), resized(source.data, (24, 24)))
    assert resized(source.data, 24).shape == (24, 24, 3)


# ---- crops -------------------------------------------------------------------------------------


CROPS = [
    (0, 0, 30, 30),
    (1, 2, 28, 25),
    (7, 11, 3, 17),
    (16, 16, 8, 8),
    (29, 0, 1, 30),
    (0, 29, 30, 1),
    (5, 29, 1, 1),
]


@pytest.mark.parametrize("crop", CROPS, ids=str)
def test_crop(source, crop):
    for size in ((1, 1), (5, 40), (28, 25), (16, 9)):
        for name in FILTERS:
            check(source, size, crop=crop, resample=name)


@pytest.mark.parametrize("gap", [None, 1.0, 2.0])
@pytest.mark.parametrize("name", FILTERS)
def test_outside_of_the_crop_is_never_seen(gap, name):
    # Whole blocks, so that the inside of both files is the same; no chroma that is interpolated.
    rng = np.random.default_rng(0)
    for subsampling in ("4:4:4", "4:0:0"):
        pair = [rng.integers(0, 256, (96, 112, 3), np.uint8) for _ in range(2)]
        pair[1][24:80, 16:104] = pair[0][24:80, 16:104]
        files = [jpegs.turbo(image, subsampling, quality=95) for image in pair]
        for crop in ((24, 16, 56, 88), (31, 17, 40, 71), (24, 16, 8, 8), (79, 103, 1, 1)):
            inside = [fastimg.decode(data, crop=crop) for data in files]
            assert_same(*inside)
            for size in ((2, 3), (7, 5), (20, 33), (90, 100)):
                for fit in ("stretch", "cover", "contain"):
                    options = {"crop": crop, "resample": name, "reducing_gap": gap, "fit": fit}
                    assert_same(*[resized(data, size, **options) for data in files])


# ---- fits --------------------------------------------------------------------------------------

TARGETS = [(1, 1), (16, 16), (20, 31), (31, 20), (7, 60), (60, 7), (100, 90), (1, 50), (50, 1)]


@pytest.mark.parametrize("target", TARGETS, ids=str)
@pytest.mark.parametrize("fit", ["cover", "contain"])
@pytest.mark.parametrize("crop", [None, (3, 5, 27, 21), (0, 0, 1, 30), (2, 1, 30, 1)])
def test_fit(source, fit, target, crop):
    for name in ("bilinear", "hamming", "bicubic", "lanczos"):
        check(source, target, fit=fit, crop=crop, resample=name)


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_the_reference_fits_as_pillow_does(target):
    for height, width in ((45, 62), (63, 30), (40, 40), (1, 70), (70, 1), (33, 71)):
        picture = Image.new("L", (width, height), 200)
        try:
            fitting = ImageOps.contain(picture, target[::-1]).size[::-1]
        except ValueError:  # a side is rounded to 0, which Pillow before 13 refuses
            fitting = None
            assert 1 in contain_size(height, width, target)
        else:
            assert contain_size(height, width, target) == tuple(max(1, n) for n in fitting)
        if fitting and 0 not in fitting:
            padded = np.array(ImageOps.pad(picture, target[::-1], color=7))
            inner = np.full((*fitting, 1), 200)
            np.testing.assert_array_equal(place(inner, target, 7)[:, :, 0], padded)
        image = np.random.default_rng(0).integers(0, 256, (height, width)).astype(np.float32)
        fitted = np.array(ImageOps.fit(Image.fromarray(image), target[::-1], Image.Resampling.BILINEAR))
        top, left, bottom, right = cover_box(height, width, target)
        box = (left, top, right, bottom)
        same = Image.fromarray(image).resize(target[::-1], Image.Resampling.BILINEAR, box=box)
        np.testing.assert_allclose(fitted, np.array(same), rtol=0, atol=0.01)


def test_cover_is_centred():
    # A picture that is its own mirror image stays one: there is no half a pixel in any direction.
    half = jpegs.pixels(64, 48, 1)
    image = np.concatenate([half, half[:, ::-1]], 1)
    image = np.concatenate([image, image[::-1]])
    data = jpegs.turbo(image, quality=100)
    plain = fastimg.decode(data, mode="L")[0].astype(int)
    assert np.abs(plain - plain[::-1]).max() <= 1 and np.abs(plain - plain[:, ::-1]).max() <= 1
    for target in ((20, 31), (31, 20), (64, 17), (17, 63), (100, 90)):
        for fit in ("stretch", "cover"):
            small = resized(data, target, mode="L", fit=fit, reducing_gap=None)[:, :, 0].astype(int)
            assert np.abs(small - small[::-1]).max() <= 1
            assert np.abs(small - small[:, ::-1]).max() <= 1


@pytest.mark.parametrize("name", FILTERS)
def test_fits_that_have_nothing_to_do(source, name):
    height, width = fastimg.read_header(source.data).shape[1:]
    for factor in (1, 2, 3):
        size = (height * factor, width * factor)
        stretched = resized(source.data, size, resample=name)
        for fit in ("cover", "contain"):
            assert_same(resized(source.data, size, resample=name, fit=fit, pad_value=9), stretched)


# ---- padding -----------------------------------------------------------------------------------


def frame(source, size):
    """Which pixels are padding: bool (height, width)."""
    height, width = fastimg.read_header(source.data).shape[1:]
    inner = np.zeros((*contain_size(height, width, size), 1), bool)
    return place(inner, size, True)[:, :, 0]


@pytest.mark.parametrize("size", [(60, 20), (20, 61), (9, 70), (71, 8)])
@pytest.mark.parametrize(("mode", "values"), [("RGB", (1, 2, 255)), ("BGR", (255, 0, 7)), ("L", (99,))])
def test_pad_value(source, mode, values, size):
    padding = frame(source, size)
    assert padding.any() and not padding.all()
    channels = len(values)
    for pad, each in (
        (values, values), (list(values), values), (np.array(values), values), (77, (77,) * channels),
        (np.int64(5), (5,) * channels), (0, (0,) * channels), (255, (255,) * channels),
    ):  # fmt: skip
        image = resized(source.data, size, mode=mode, fit="contain", pad_value=pad)
        assert (image[padding] == each).all()
        # Padding has nothing to do with the picture.
        black = resized(source.data, size, mode=mode, fit="contain")
        assert (black[padding] == 0).all()
        assert_same(image[~padding], black[~padding])
        for flip in (False, True):
            options = {"mode": mode, "fit": "contain", "pad_value": pad, "flip": flip}
            planar = resized(source.data, size, layout="CHW", **options)
            packed = resized(source.data, size, **options)
            assert_same(planar, np.ascontiguousarray(packed.transpose(2, 0, 1)))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("layout", ["CHW", "HWC"])
def test_pad_value_is_normalised_too(dtype, layout):
    source, mean, std = SOURCES["4:2:0"], (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    options = {"fit": "contain", "pad_value": (123, 116, 104)}
    pixels = resized(source.data, (64, 20), **options)
    image = resized(source.data, (64, 20), layout=layout, dtype=dtype, mean=mean, std=std, **options)
    normal = jpegs.normalise(pixels, dtype, mean, std)
    assert_same(image, np.ascontiguousarray(normal if layout == "HWC" else normal.transpose(2, 0, 1)))


def test_contain_of_a_picture_that_vanishes():
    # 1 x 70 into 20 x 20 would be 0.29 rows: there is one at least.
    for shape, size in (((1, 70), (20, 20)), ((70, 1), (20, 20)), ((2, 300), (5, 5))):
        source = sample(jpegs.turbo(jpegs.pixels(*shape, 1)), "4:0:0")
        check(source, size, fit="contain", pad_value=200)


# ---- mirrors and orientations ------------------------------------------------------------------


@pytest.mark.parametrize("fit", ["stretch", "cover", "contain"])
@pytest.mark.parametrize("gap", [None, 1.0, 2.0])
def test_flip_is_the_mirror_image(source, fit, gap):
    for orientation in (1, 2, 5, 8):
        data = jpegs.oriented(source.data, orientation)
        for crop in (None, (2, 3, 25, 28)):
            for size in ((7, 5), (6, 13), (29, 30), (64, 80)):
                for name in FILTERS:
                    options = {
                        "fit": fit,
                        "reducing_gap": gap,
                        "crop": crop,
                        "resample": name,
                        "pad_value": 9,
                    }
                    straight = resized(data, size, **options)
                    assert_same(
                        resized(data, size, flip=True, **options), np.ascontiguousarray(straight[:, ::-1])
                    )


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", FILTERS)
def test_orientation(source, orientation, name):
    turned = source._replace(data=jpegs.oriented(source.data, orientation))
    for size in ((9, 14), (50, 31), (80, 90), (1, 7)):
        for options in ({}, {"fit": "contain", "pad_value": 3}, {"crop": (4, 1, 20, 27)}, {"flip": True}):
            check(turned, size, resample=name, **options)
        plain = resized(turned.data, size, resample=name, orient=False)
        assert_same(plain, resized(source.data, size, resample=name))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_and_cover(source, orientation):
    turned = source._replace(data=jpegs.oriented(source.data, orientation))
    for size in ((9, 14), (50, 31), (1, 7)):
        for crop in (None, (4, 1, 20, 27)):
            check(turned, size, resample="bicubic", fit="cover", crop=crop)


@settings(max_examples=400)
@given(
    st.sampled_from(sorted(SOURCES)),
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.sampled_from(["bilinear", "hamming", "bicubic", "lanczos"]),
    st.integers(1, 8),
    st.booleans(),
    st.tuples(st.integers(0, 29), st.integers(0, 29), st.integers(1, 30), st.integers(1, 30)),
)
def test_any_cover(kind, size, name, orientation, flip, crop):
    source = SOURCES[kind]._replace(data=jpegs.oriented(SOURCES[kind].data, orientation))
    top, left, height, width = crop
    crop = (top, left, min(height, 30 - top), min(width, 30 - left))
    check(source, size, fit="cover", resample=name, flip=flip, crop=crop)


# ---- what the pixels are stored as -------------------------------------------------------------


@pytest.mark.parametrize("size", [(5, 3), (31, 64), (100, 33)])
def test_layouts_modes_and_dtypes(source, size):
    rgb = resized(source.data, size)
    grey = resized(source.data, size, mode="L")
    assert grey.shape == (*size, 1)
    for mode, pixels in (("RGB", rgb), ("BGR", rgb[:, :, ::-1]), ("L", grey)):
        mean, std = ((0.4,), (0.2,)) if mode == "L" else ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        for layout in ("CHW", "HWC"):
            image = np.ascontiguousarray(pixels if layout == "HWC" else pixels.transpose(2, 0, 1))
            assert_same(resized(source.data, size, mode=mode, layout=layout), image)
            for dtype in ("float32", "float16"):
                got = resized(source.data, size, mode=mode, layout=layout, dtype=dtype, mean=mean, std=std)
                normal = jpegs.normalise(pixels, dtype, mean, std)
                normal = normal if layout == "HWC" else normal.transpose(2, 0, 1)
                assert_same(got, np.ascontiguousarray(normal))


def test_grey_files_have_three_equal_channels():
    image = resized(SOURCES["grey"].data, (20, 30))
    assert_same(image, np.repeat(resized(SOURCES["grey"].data, (20, 30), mode="L"), 3, 2))
    assert_close(image, expected(SOURCES["grey"], (20, 30)))
    assert (to_pixels(expected(SOURCES["grey"], (20, 30))).std(2) == 0).all()
