# SPDX-License-Identifier: BSD-3-Clause
"""What the options refuse, and how they say it; the same from every entry point."""

import enum
import math

import numpy as np
import pytest
from support import jpegs
from support.jpegs import assert_same

import fastimg

NAN, INF = math.nan, math.inf

BAD_VALUES = [
    ("mode", "P"), ("mode", "rgb"), ("mode", ""), ("mode", "RGBA"),
    ("layout", "NCHW"), ("layout", "WHC"), ("layout", "chw"),
    ("crop", (0, 0, 4)), ("crop", (0, 0, 4, 4, 4)), ("crop", ()),
    ("crop", (-1, 0, 4, 4)), ("crop", (0, -1, 4, 4)), ("crop", (0, 0, -4, 4)), ("crop", (0, 0, 4, -4)),
    ("crop", (0, 0, 0, 4)), ("crop", (0, 0, 4, 0)), ("crop", (0, 0, 4, 4.5)), ("crop", (0.5, 0, 4, 4)),
    ("crop", (0, 0, 4, NAN)), ("crop", (0, 0, INF, 4)),
    ("resize_shorter", 0), ("resize_longer", 2**20 + 1), ("center_crop", 0), ("center_crop", (4, 4, 4)),
    ("dtype", "float64"), ("dtype", "int8"), ("dtype", "uint16"), ("dtype", "bool"), ("dtype", "complex64"),
    ("max_pixels", 0), ("max_pixels", -1), ("max_scans", 0), ("max_scans", 2**31),
]  # fmt: skip
BAD_FLOAT_VALUES = [
    ("mean", (0, 0)), ("mean", (0, 0, 0, 0)), ("mean", ()),
    ("mean", NAN), ("mean", INF), ("mean", (0, NAN, 0)),
    ("std", 0), ("std", 0.0), ("std", -0.0), ("std", NAN), ("std", INF), ("std", -INF),
    ("std", (1, 0, 1)), ("std", (1, 1)), ("std", (1, INF, 1)), ("std", ()),
    ("std", 1e-50),  # zero in float32, in which it is used
]  # fmt: skip
BAD_TYPES = [
    ("mode", 3), ("mode", None), ("mode", b"RGB"),
    ("layout", 3), ("layout", None),
    ("resize_shorter", 4.0), ("resize_longer", "4"), ("resize_shorter", True), ("center_crop", 4.0),
    ("crop", 5), ("crop", (0, 0, 4, 4j)), ("crop", (0, 0, 4, "4")), ("crop", (0, None, 4, 4)),
    ("flip", "yes"), ("flip", None),
    ("orient", "yes"), ("orient", None),
    ("strict", "yes"), ("strict", None),
    ("max_pixels", "many"), ("max_pixels", 1e6), ("max_pixels", [1]),
    ("max_scans", 9.0), ("max_scans", True), ("max_scans", None),
    ("mean", "grey"), ("mean", [None, None, None]), ("mean", 1j),
    ("std", "wide"), ("std", object()),
    ("dtype", 5), ("dtype", object()),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), BAD_VALUES, ids=repr)
def test_bad_value(call, name, value):
    with pytest.raises(ValueError, match=name) as caught:
        call(**{name: value})
    assert not isinstance(caught.value, fastimg.JpegError)  # nothing is wrong with the file


@pytest.mark.parametrize(("name", "value"), BAD_FLOAT_VALUES, ids=repr)
def test_bad_mean_or_std(call, name, value):
    with pytest.raises(ValueError, match=name):
        call(**{"dtype": "float32", name: value})


@pytest.mark.parametrize(("name", "value"), BAD_TYPES, ids=lambda value: type(value).__name__)
def test_bad_type(call, name, value):
    options = {"dtype": "float32"} if name in ("mean", "std") else {}
    with pytest.raises(TypeError, match=name):
        call(**options, **{name: value})


@pytest.mark.parametrize(
    ("name", "value"), [("mean", 0.5), ("std", 2), ("mean", (0, 0, 1)), ("std", (1, 1, 2))]
)
def test_mean_and_std_need_a_float_dtype(call, name, value):
    with pytest.raises(ValueError, match=name):
        call(**{name: value})


def test_grey_takes_one_mean(call):
    with pytest.raises(ValueError, match="mean"):
        call(mode="L", dtype="float32", mean=(0.1, 0.2, 0.3))


@pytest.mark.parametrize("name", ["sizes", "colour", "num_thread"])
def test_unknown_option(call, name):
    with pytest.raises(TypeError, match=name):
        call(**{name: 8})


def test_the_text_says_what_was_found_and_what_was_expected():
    with pytest.raises(ValueError) as caught:
        fastimg.decode(jpegs.jpeg(), mode="CMYK")
    for part in ("mode", "CMYK", "RGB", "BGR", "L"):
        assert part in str(caught.value)


def test_options_are_keyword_only():
    with pytest.raises(TypeError):
        fastimg.decode(jpegs.jpeg(), None, "RGB")
    with pytest.raises(TypeError):
        fastimg.load([jpegs.jpeg()], None, "RGB")


@pytest.mark.parametrize(
    "crop", [(0, 0, 25, 31), (0, 0, 24, 32), (24, 0, 1, 1), (0, 31, 1, 1), (20, 0, 5, 1), (2**40, 0, 1, 1)]
)
def test_crop_outside_the_image(crop):
    with pytest.raises(ValueError, match="crop"):
        fastimg.decode(jpegs.jpeg(24, 31), crop=crop)


def test_max_pixels():
    data = jpegs.jpeg(24, 31)
    assert_same(fastimg.decode(data, max_pixels=24 * 31), jpegs.reference(data))
    for options in ({}, {"crop": (0, 0, 1, 1)}, {"strict": False}):
        with pytest.raises(fastimg.ImageTooLargeError):
            fastimg.decode(data, max_pixels=24 * 31 - 1, **options)
    assert fastimg.read_header(data).width == 31


def test_default_limit():
    # 178 956 970 is 13380 x 13374.96...: the first header is under it, the second over it.
    within = jpegs.reframed(jpegs.jpeg(), height=13374, width=13380)
    beyond = jpegs.reframed(jpegs.jpeg(), height=13375, width=13380)
    with pytest.raises(fastimg.JpegError) as caught:
        fastimg.decode(within, crop=(0, 0, 8, 8))  # the scan ends within the first row of MCUs
    assert not isinstance(caught.value, fastimg.ImageTooLargeError)
    with pytest.raises(fastimg.ImageTooLargeError):
        fastimg.decode(beyond)


class Word(enum.StrEnum):
    L = "L"


@pytest.mark.parametrize("subclass", [np.str_, type("Text", (str,), {}), lambda value: Word[value]])
def test_subclasses_of_str(subclass):
    data = jpegs.jpeg()
    assert_same(fastimg.decode(data, mode=subclass("L")), fastimg.decode(data, mode="L"))
