# SPDX-License-Identifier: BSD-3-Clause
"""size, fit, resample, reducing_gap and pad_value: what is accepted, what is refused; and where pixels may go."""

import inspect
import itertools
import math

import numpy as np
import pytest
from support import jpegs
from support.jpegs import assert_same

import fastimg

ENTRIES = ["decode", "load", "ImageFileAccessor", "NonUniformImageFileAccessor"]

BAD_VALUES = [
    ("size", 0), ("size", -1), ("size", 2**20 + 1), ("size", (0, 5)), ("size", (5, 0)), ("size", (5, -5)),
    ("size", (2**20 + 1, 5)), ("size", (5, 2**20 + 1)), ("size", ()), ("size", (5,)), ("size", (5, 5, 5)),
    ("size", [2**40, 1]), ("size", 2**80),
    ("fit", "fill"), ("fit", "Cover"), ("fit", ""),
    ("resample", "nearest"), ("resample", "BILINEAR"), ("resample", ""),
    ("reducing_gap", 0), ("reducing_gap", 0.99), ("reducing_gap", -2.0), ("reducing_gap", math.nan),
    ("reducing_gap", -math.inf),
    ("pad_value", -1), ("pad_value", 256), ("pad_value", (0, 0)), ("pad_value", (0, 0, 0, 0)), ("pad_value", ()),
    ("pad_value", (0, 256, 0)), ("pad_value", (-1, 0, 0)), ("pad_value", 2**80),
]  # fmt: skip
BAD_TYPES = [
    ("size", True), ("size", False), ("size", 64.0), ("size", "64"), ("size", (64, 64.0)), ("size", (64, True)),
    ("size", ("64", "64")), ("size", (64, None)), ("size", object), ("size", np.float32(64)),
    ("fit", 3), ("fit", None), ("fit", b"cover"), ("fit", True),
    ("resample", 2), ("resample", None), ("resample", b"box"),
    ("reducing_gap", True), ("reducing_gap", "2"), ("reducing_gap", (2.0, 2.0)), ("reducing_gap", 2j),
    ("pad_value", 1.0), ("pad_value", "black"), ("pad_value", (0, 0, 1.5)), ("pad_value", None),
    ("pad_value", (0, "0", 0)),
]  # fmt: skip


@pytest.mark.parametrize("also", [{}, {"size": 8}], ids=["alone", "with size"])
@pytest.mark.parametrize(("name", "value"), BAD_VALUES, ids=repr)
def test_bad_value(call, name, value, also):
    with pytest.raises(ValueError, match=name) as caught:
        call(**{**also, name: value})
    assert not isinstance(caught.value, fastimg.JpegError)


@pytest.mark.parametrize("also", [{}, {"size": 8}], ids=["alone", "with size"])
@pytest.mark.parametrize(("name", "value"), BAD_TYPES, ids=repr)
def test_bad_type(call, name, value, also):
    with pytest.raises(TypeError, match=name):
        call(**{**also, name: value})


def test_grey_takes_one_pad_value(call):
    with pytest.raises(ValueError, match="pad_value"):
        call(size=8, fit="contain", mode="L", pad_value=(1, 2, 3))


@pytest.mark.parametrize(
    ("name", "choices"),
    [("fit", "stretch cover contain"), ("resample", "bilinear box hamming bicubic lanczos")],
)
def test_the_choices_are_listed(call, name, choices):
    with pytest.raises(ValueError, match=name) as caught:
        call(**{name: "wrong"})
    for word in ["wrong", *choices.split()]:
        assert word in str(caught.value)


@pytest.mark.parametrize("entry", ENTRIES)
def test_names_order_and_defaults(entry):
    parameters = inspect.signature(getattr(fastimg, entry)).parameters
    names = [name for name, one in parameters.items() if one.kind is one.KEYWORD_ONLY]
    order = "mode layout size resize_shorter resize_longer center_crop fit resample reducing_gap pad_value crop flip"
    order += " orient dtype mean std strict max_pixels max_scans"
    assert names[: len(order.split())] == order.split()
    defaults = {"size": None, "fit": "stretch", "resample": "bilinear", "reducing_gap": 2.0, "pad_value": 0}
    assert {name: parameters[name].default for name in defaults} == defaults


def test_without_size_the_others_do_nothing():
    data = jpegs.jpeg(24, 31)
    for fit, name, gap in itertools.product(("stretch", "cover", "contain"), ("box", "lanczos"), (None, 1)):
        options = {
            "fit": fit,
            "resample": name,
            "reducing_gap": gap,
            "pad_value": 200,
            "crop": (1, 2, 11, 17),
        }
        assert_same(fastimg.decode(data, **options), jpegs.reference(data, crop=(1, 2, 11, 17)))
        assert_same(fastimg.load([data], **options)[0], jpegs.reference(data, crop=(1, 2, 11, 17)))


def test_ways_to_write_size():
    data = jpegs.jpeg(24, 31)
    expected = fastimg.decode(data, size=(7, 7))
    assert expected.shape == (3, 7, 7)
    for size in (7, np.int64(7), np.uint8(7), [7, 7], np.array([7, 7]), (np.int32(7), 7)):
        assert_same(fastimg.decode(data, size=size), expected)
    assert fastimg.decode(data, size=(7, 9)).shape == (3, 7, 9)
    assert fastimg.decode(data, size=(7, 9), layout="HWC").shape == (7, 9, 3)


def test_ways_to_write_reducing_gap():
    data = jpegs.jpeg(100, 120)
    for gap in (1, 2, 3):
        expected = fastimg.decode(data, size=9, reducing_gap=gap)
        for same in (float(gap), np.float32(gap), np.int8(gap), np.float64(gap)):
            assert_same(fastimg.decode(data, size=9, reducing_gap=same), expected)


def test_the_largest_sizes():
    data = jpegs.jpeg(3, 2)
    most = 2**20
    assert fastimg.decode(data, size=(1, most), mode="L").shape == (1, 1, most)
    image = fastimg.decode(data, size=(most, 1), mode="L", reducing_gap=None)
    assert image.shape == (1, most, 1)
    assert (image[0, [0, -1], 0] == fastimg.decode(data, size=(3, 1), mode="L")[0, [0, -1], 0]).all()


def test_max_pixels_is_of_the_file():
    data = jpegs.jpeg(24, 31)
    assert fastimg.decode(data, size=100, max_pixels=24 * 31).shape == (3, 100, 100)
    with pytest.raises(fastimg.ImageTooLargeError):
        fastimg.decode(data, size=4, max_pixels=24 * 31 - 1)


@pytest.mark.parametrize(
    "crop", [(0, 0, 25, 31), (0, 0, 24, 32), (24, 0, 1, 1), (0, 31, 1, 1), (20, 0, 5, 1), (2**40, 0, 1, 1)]
)
@pytest.mark.parametrize("fit", ["stretch", "cover", "contain"])
def test_crop_outside_the_image(crop, fit):
    with pytest.raises(ValueError, match="crop"):
        fastimg.decode(jpegs.jpeg(24, 31), crop=crop, size=9, fit=fit)


# ---- out= --------------------------------------------------------------------------------------

SETTINGS = [
    {"size": (19, 33)},
    {"size": (33, 19), "fit": "contain", "pad_value": (7, 8, 9)},
    {"size": (70, 67), "fit": "cover", "flip": True, "resample": "lanczos"},
    {"size": (9, 11), "crop": (3, 4, 40, 47), "reducing_gap": 1.0},
]


@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
@pytest.mark.parametrize("layout", ["CHW", "HWC"])
@pytest.mark.parametrize("options", SETTINGS, ids=str)
def test_out(options, layout, orientation, tmp_path):
    # Strided, backwards, in a file: the same pixels, and nothing around them.
    files = [jpegs.jpeg(52, 61), jpegs.turbo(jpegs.pixels(52, 61, 1)), jpegs.pillow(jpegs.pixels(52, 61, 4))]
    for data, dtype in itertools.product(files, ("uint8", "float32", "float16")):
        data = jpegs.oriented(data, orientation)
        every = {**options, "layout": layout, "dtype": dtype}
        expected = fastimg.decode(data, **every)
        base = np.full([2 * n + 6 for n in expected.shape], 90, dtype)
        inside = tuple(slice(3, 3 + n) for n in expected.shape)
        if layout == "CHW":
            inside = (
                slice(2 + 2 * expected.shape[0], 2, -2),
                slice(4, 4 + 2 * expected.shape[1], 2),
                inside[2],
            )
        else:
            inside = (slice(2 + 2 * expected.shape[0], 2, -2), inside[1], slice(0, 3))
            base = np.ascontiguousarray(base[:, :, :3])
        view = base[inside]
        assert view.shape == expected.shape
        assert fastimg.decode(data, view, **every) is view
        assert_same(view, expected)
        base[inside] = 90
        assert (base == 90).all()
        mapped = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", dtype, expected.shape)
        fastimg.decode(data, mapped, **every)
        assert_same(np.load(tmp_path / "x.npy"), expected)


@pytest.mark.parametrize("layout", ["CHW", "HWC"])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float16"])
def test_no_row_is_written_past_its_end(layout, dtype):
    data = jpegs.jpeg(9, 40)
    for width in range(1, 70):
        for fit in ("stretch", "contain"):
            options = {"size": (5, width), "layout": layout, "dtype": dtype, "fit": fit}
            expected = fastimg.decode(data, **options)
            shape = list(expected.shape)
            shape[2 if layout == "CHW" else 1] += 5
            base = np.full(shape, 90, dtype)
            view = base[:, :, :width] if layout == "CHW" else base[:, :width]
            fastimg.decode(data, view, **options)
            assert_same(view, expected)
            view[:] = 90
            assert (base == 90).all()


def test_wrong_out():
    data = jpegs.jpeg(24, 31)
    for shape in ((3, 24, 31), (3, 9, 7), (7, 9, 3), (1, 7, 9)):
        out = np.full(shape, 90, np.uint8)
        with pytest.raises(ValueError) as caught:
            fastimg.decode(data, out, size=(7, 9))
        assert str(shape) in str(caught.value) and "(3, 7, 9)" in str(caught.value)
        assert (out == 90).all()
    with pytest.raises(TypeError):
        fastimg.decode(data, np.zeros((3, 7, 9), np.uint8), size=(7, 9), dtype="float32")


# ---- damaged files -----------------------------------------------------------------------------


def damaged():
    whole = jpegs.turbo(jpegs.pixels(120, 90), "4:2:0")
    progressive = jpegs.turbo(jpegs.pixels(120, 90), "4:2:0", progressive=True)
    for fraction in (0.02, 0.3, 0.6, 0.95):
        yield f"cut at {fraction}", jpegs.truncated(whole, fraction)
        yield f"progressive cut at {fraction}", jpegs.truncated(progressive, fraction)
        yield f"CMYK cut at {fraction}", jpegs.truncated(jpegs.pillow(jpegs.pixels(70, 90, 4)), fraction)
    yield "lost sync", jpegs.lost_sync(jpegs.restarts(64, 64))
    yield "bad codes", jpegs.bad_codes(64, 48)
    yield "no scan", whole[: jpegs.scan_offset(whole)]


DAMAGED = dict(damaged())


def outcome(data, **options):
    try:
        fastimg.decode(data, **options)
    except fastimg.JpegError as error:
        return type(error)


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_reported_as_without_size(name):
    data = DAMAGED[name]
    kind = outcome(data)
    assert kind in (fastimg.TruncatedJpegError, fastimg.CorruptJpegError)
    for size, gap in itertools.product((8, (120, 90), 200, (50, 7)), (None, 2.0)):
        # What lies below the box is not looked at: "cover" with all rows only.
        for fit in ("stretch", "contain", "cover") if size == (50, 7) else ("stretch", "contain"):
            assert outcome(data, size=size, reducing_gap=gap, fit=fit) is kind


def test_damage_below_the_box_is_not_met():
    data = DAMAGED["cut at 0.6"]
    above = fastimg.decode(data, crop=(0, 0, 40, 90), strict=True)
    for fit in ("stretch", "cover", "contain"):
        image = fastimg.decode(data, crop=(0, 0, 40, 90), size=(40, 90), fit=fit)
        assert_same(image, above)
        whole = jpegs.turbo(jpegs.pixels(120, 90), "4:2:0")
        options = {"crop": (0, 0, 40, 90), "size": (17, 23), "fit": fit}
        assert_same(fastimg.decode(data, **options), fastimg.decode(whole, **options))


@pytest.mark.parametrize("name", DAMAGED)
def test_lenient(name):
    # Whatever was in the memory before is gone; and the pixels are those of the recovered image.
    data = DAMAGED[name]
    try:
        whole = fastimg.decode(data, strict=False, layout="HWC")
    except fastimg.JpegError as error:
        assert outcome(data, strict=False, size=9) is type(error)
        return
    for size, gap in itertools.product((8, whole.shape[:2], (150, 133), (50, 7)), (None, 1.0)):
        for fit, orientation in itertools.product(("stretch", "cover", "contain"), (1, 4, 8)):
            options = {"size": size, "reducing_gap": gap, "fit": fit, "strict": False, "pad_value": 9}
            shape = (3, *((size, size) if isinstance(size, int) else size))
            filled = []
            for pattern in (0x00, 0xFF, 0x5A):
                out = np.full(shape, pattern, np.uint8)
                fastimg.decode(jpegs.oriented(data, orientation), out, **options)
                filled.append(out)
            assert_same(filled[0], filled[1])
            assert_same(filled[0], filled[2])
    assert_same(fastimg.decode(data, strict=False, size=whole.shape[:2], layout="HWC"), whole)


@pytest.mark.parametrize(
    "name", ["CorruptJpegError", "TruncatedJpegError", "UnsupportedJpegError", "JpegTooLargeError"]
)
def test_error_classes(name, bad_files):
    with pytest.raises(getattr(fastimg, name)) as caught:
        fastimg.decode(bad_files[name], size=16)
    assert caught.value.source == bad_files[name]


def test_files_that_are_missing(bad_files):
    for name, kind in (("FileNotFoundError", FileNotFoundError), ("IsADirectoryError", IsADirectoryError)):
        with pytest.raises(kind):
            fastimg.decode(bad_files[name], size=16)
