# SPDX-License-Identifier: BSD-3-Clause
"""The options: what each does, all of them together, and the one table of them."""

import argparse
import ast
import inspect
import io
import pathlib
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from support import jpegs
from support.jpegs import assert_same
from support.variants import hash_of, key_of, pixels_of_all_variants

import fastimg
import fastimg._decode as _decode
from fastimg.cli.options import add_decode_options, decode_options
from fastimg.options import DEFAULTS, make_options, parse_options

# ---- orientation -------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["II", "MM"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (24, 31), (40, 17), (65, 130)])
@pytest.mark.parametrize("progressive", [False, True])
def test_orient(shape, orientation, order, progressive):
    data = jpegs.oriented(jpegs.jpeg(*shape, progressive=progressive), orientation, order)
    expected = np.array(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    assert_same(fastimg.decode(data, layout="HWC"), expected)
    assert_same(fastimg.decode(data), np.ascontiguousarray(expected.transpose(2, 0, 1)))
    assert_same(fastimg.decode(data, layout="HWC", orient=False), jpegs.rgb_pillow(data))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orient_large(orientation):
    # Larger than any strip or transpose tile, in neither direction a multiple of one.
    data = jpegs.oriented(jpegs.jpeg(523, 787), orientation)
    for mode in ("RGB", "L"):
        for layout in ("CHW", "HWC"):
            for dtype in ("uint8", "float32"):
                options = {"mode": mode, "layout": layout, "dtype": dtype}
                assert_same(fastimg.decode(data, **options), jpegs.reference(data, **options))


@pytest.mark.parametrize("value", [0, 9, 255, 65535])
def test_orientation_out_of_range_is_ignored(value):
    data = jpegs.oriented(jpegs.jpeg(), value)
    assert_same(fastimg.decode(data, layout="HWC"), jpegs.rgb_pillow(data))


@pytest.mark.parametrize("count", [0, 2, 40])
def test_orientation_among_other_tags(count):
    data = jpegs.insert(jpegs.jpeg(), jpegs.exif(6, "MM", tags_before=count))
    assert_same(fastimg.decode(data), jpegs.reference(data))
    assert fastimg.decode(data).shape == (3, 31, 24)


def test_exif_cut_at_every_byte():
    # A damaged EXIF block is no reason to refuse the picture; it may or may not still be read.
    good, payload = jpegs.jpeg(), jpegs.exif(6)[4:]
    plain, turned = jpegs.reference(good), jpegs.reference(jpegs.oriented(good, 6))
    for cut in range(len(payload)):
        image = fastimg.decode(jpegs.insert(good, jpegs.segment(0xE1, payload[:cut])))
        assert_same(image, plain if image.shape == plain.shape else turned)


def test_exif_that_points_outside():
    good, payload = jpegs.jpeg(), bytearray(jpegs.exif(6)[4:])
    # The offset of the first directory is at 10, its count of tags at 14 (after "Exif\0\0").
    for at, value in ((10, b"\xff\xff\xff\xff"), (10, b"\xf0\xff\0\0"), (14, b"\xff\xff")):
        broken = bytearray(payload)
        broken[at : at + len(value)] = value
        image = fastimg.decode(jpegs.insert(good, jpegs.segment(0xE1, bytes(broken))))
        assert image.shape in {(3, 24, 31), (3, 31, 24)}


# ---- crop and flip -----------------------------------------------------------------------------


@pytest.mark.parametrize("subsampling", jpegs.SUBSAMPLINGS)
@pytest.mark.parametrize("progressive", [False, True])
def test_every_crop_row_and_column(subsampling, progressive):
    # Fancy upsampling looks at neighbours: a crop must not change them.
    data = jpegs.jpeg(37, 43, subsampling, progressive=progressive)
    full = jpegs.rgb_turbo(data)
    for top in range(37):
        crop = (top, 0, 1, 43)
        assert_same(fastimg.decode(data, crop=crop, layout="HWC"), full[top : top + 1])
    for left in range(43):
        crop = (0, left, 37, 1)
        assert_same(fastimg.decode(data, crop=crop, layout="HWC"), full[:, left : left + 1])


def test_crop_of_everything_is_the_whole():
    data = jpegs.jpeg(24, 31)
    assert_same(fastimg.decode(data, crop=(0, 0, 24, 31)), fastimg.decode(data))


def test_crop_forms():
    data = jpegs.jpeg(24, 31)
    expected = jpegs.reference(data, crop=(3, 5, 7, 11))
    for crop in ([3, 5, 7, 11], np.array([3, 5, 7, 11]), tuple(np.int64([3, 5, 7, 11]))):
        assert_same(fastimg.decode(data, crop=crop), expected)


def test_crop_and_flip_speak_of_the_upright_image():
    data = jpegs.oriented(jpegs.jpeg(24, 31), 6)
    full = fastimg.decode(data)
    assert full.shape == (3, 31, 24)
    assert_same(fastimg.decode(data, crop=(20, 2, 11, 5)), full[:, 20:31, 2:7])
    assert_same(fastimg.decode(data, flip=True), full[:, :, ::-1])
    # The crop is cut from the source, then mirrored.
    assert_same(fastimg.decode(data, crop=(20, 2, 11, 5), flip=True), full[:, 20:31, 2:7][:, :, ::-1])


def test_lenient_crop_above_the_damage():
    data = jpegs.truncated(jpegs.jpeg(240, 64, "4:4:4"), 0.9)
    image = fastimg.decode(data, crop=(0, 0, 16, 64), layout="HWC", strict=False)
    assert_same(image, jpegs.rgb_turbo(data)[:16])


# ---- floating point ----------------------------------------------------------------------------

# Flat 8 x 8 blocks survive quality 100 unchanged: one of each grey level, (8, 2048, 1).
EVERY_GREY = jpegs.turbo(np.tile(np.arange(256, dtype=np.uint8).repeat(8), (8, 1))[:, :, None], quality=100)


def test_every_grey_level_is_in_the_ramp():
    assert np.unique(jpegs.grey_turbo(EVERY_GREY)).size == 256


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize(
    ("mean", "std"),
    [
        (0, 1),
        (0.5, 0.5),
        (0.485, 0.229),
        (0.456, 0.224),
        (1 / 3, 1 / 3),
        (-1.7, -0.003),
        (0.1, 3e-7),  # overflows float16
        (0.5, 3e6),  # underflows to subnormal float16
        (0, 1e9),  # and to zero
        (1, 1e-38),
    ],
)
def test_float_of_every_level(dtype, mean, std):
    expected = jpegs.normalise(jpegs.grey_turbo(EVERY_GREY), dtype, mean, std)
    for layout in ("CHW", "HWC"):
        image = fastimg.decode(EVERY_GREY, mode="L", layout=layout, dtype=dtype, mean=mean, std=std)
        assert_same(image.reshape(expected.shape), expected)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("layout", ["CHW", "HWC"])
@pytest.mark.parametrize("mode", ["RGB", "BGR", "L"])
@pytest.mark.parametrize("width", [1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100])
def test_float_at_every_width(dtype, layout, mode, width):
    data = jpegs.jpeg(5, width)
    mean, std = ((0.4,), (0.2,)) if mode == "L" else ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    options = {"dtype": dtype, "layout": layout, "mode": mode, "mean": mean, "std": std}
    assert_same(fastimg.decode(data, **options), jpegs.reference(data, **options))


def test_ways_to_write_a_dtype():
    data = jpegs.jpeg()
    for name in ("float32", "float16", "uint8"):
        expected = jpegs.reference(data, dtype=name)
        for dtype in (name, getattr(np, name), np.dtype(name), np.dtype(name).str):
            assert_same(fastimg.decode(data, dtype=dtype), expected)


def test_ways_to_write_mean_and_std():
    data = jpegs.jpeg()
    expected = jpegs.reference(data, dtype="float32", mean=(0.1, 0.2, 0.3), std=(1, 2, 4))
    for convert in (tuple, list, np.array, np.float32):
        image = fastimg.decode(data, dtype="float32", mean=convert([0.1, 0.2, 0.3]), std=convert([1, 2, 4]))
        assert_same(image, expected)
    expected = jpegs.reference(data, dtype="float32", mean=0.25, std=2)
    for convert in (float, np.float64, np.float32):
        assert_same(fastimg.decode(data, dtype="float32", mean=convert(0.25), std=convert(2)), expected)


def test_mean_and_std_go_with_the_output_channels():
    data = jpegs.jpeg()
    rgb = fastimg.decode(data, dtype="float32", mean=(0.1, 0.2, 0.3), std=(1, 2, 4))
    bgr = fastimg.decode(data, dtype="float32", mode="BGR", mean=(0.3, 0.2, 0.1), std=(4, 2, 1))
    assert_same(bgr, rgb[::-1])


def test_neutral_mean_and_std_are_welcome_with_uint8():
    data = jpegs.jpeg()
    for mean, std in ((0, 1), (0.0, 1.0), ((0, 0, 0), (1, 1, 1))):
        assert_same(fastimg.decode(data, mean=mean, std=std), jpegs.reference(data))


# ---- all together ------------------------------------------------------------------------------

KINDS = [(kind, 1 + (3 * k + j) % 8) for k, kind in enumerate(jpegs.SUBSAMPLINGS) for j in range(3)]
POOL = [
    jpegs.oriented(
        jpegs.jpeg(11 + 2 * i, 57 - 3 * i, kind, seed=i, progressive=i % 4 == 2),
        orientation,
        "MM" if i % 2 else "II",
    )
    for i, (kind, orientation) in enumerate(KINDS)
]
POOL.append(jpegs.oriented(jpegs.pillow(jpegs.pixels(30, 21, 4)), 5))
POOL.append(jpegs.oriented(jpegs.turbo(jpegs.pixels(21, 30, 4)), 7))
POOL.append(jpegs.oriented(jpegs.pillow(jpegs.pixels(19, 45), keep_rgb=True), 8))


@st.composite
def any_options(draw):
    data = draw(st.sampled_from(POOL))
    mode = draw(st.sampled_from(["RGB", "BGR", "L"]))
    orient = draw(st.booleans())
    height, width = jpegs.size(data)
    if orient and jpegs.orientation_of(data) >= 5:
        height, width = width, height
    crop = None
    if draw(st.booleans()):
        top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        crop = (top, left, draw(st.integers(1, height - top)), draw(st.integers(1, width - left)))
    options = {
        "mode": mode,
        "layout": draw(st.sampled_from(["CHW", "HWC"])),
        "crop": crop,
        "flip": draw(st.booleans()),
        "orient": orient,
        "dtype": draw(st.sampled_from(["uint8", "float32", "float16"])),
    }
    if options["dtype"] != "uint8":
        channels = 1 if mode == "L" else 3
        mean = st.floats(-4, 4, width=32)
        std = st.floats(0.0009765625, 8, width=32) | st.floats(-8, -0.0009765625, width=32)
        options["mean"] = draw(mean | st.tuples(*[mean] * channels))
        options["std"] = draw(std | st.tuples(*[std] * channels))
    return data, options


@settings(max_examples=1500)
@given(any_options())
def test_everything_together(drawn):
    data, options = drawn
    assert_same(fastimg.decode(data, **options), jpegs.reference(data, **options))


def test_masked_kernels_give_the_same(tmp_path):
    files = {f"{i:02d}": data for i, data in enumerate(POOL)}
    options = [
        {"mode": mode, "layout": layout, "flip": flip, "dtype": dtype}
        for mode in ("RGB", "BGR", "L")
        for layout in ("CHW", "HWC")
        for flip in (False, True)
        for dtype in _decode.DTYPES
    ]
    hashes = pixels_of_all_variants(tmp_path, files, options)
    assert hashes[key_of("00", options[0])] == hash_of(jpegs.reference(POOL[0]))


# ---- the table ---------------------------------------------------------------------------------

ACCESSORS = [fastimg.ImageFileAccessor, fastimg.NonUniformImageFileAccessor]
OTHER_VALUES = {
    "mode": "L", "layout": "HWC", "size": (5, 6), "resize_shorter": 7, "resize_longer": 8, "center_crop": (5, 6),
    "fit": "cover", "resample": "box", "reducing_gap": 3.5,
    "pad_value": 7, "crop": (1, 2, 3, 4), "flip": True, "orient": False, "dtype": "float32", "mean": 0.5,
    "std": 0.25, "strict": False, "max_pixels": 1000, "max_scans": 9,
}  # fmt: skip
# Of the command line, where they are not str(value).
WORDS = {"size": ["5,6"], "center_crop": ["5,6"], "crop": ["1", "2", "3", "4"]}


def changed(name):
    """One option with another value than its default, and what it takes to be allowed to have it."""
    return (
        {"dtype": "float32", name: OTHER_VALUES[name]}
        if name in ("mean", "std")
        else {name: OTHER_VALUES[name]}
    )


def test_every_option_has_another_value_here():
    assert OTHER_VALUES.keys() == DEFAULTS.keys()


@pytest.mark.parametrize("function", [fastimg.decode, fastimg.load, *ACCESSORS])
def test_signatures_have_the_options_of_the_table(function):
    parameters = inspect.signature(function).parameters
    assert all(p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in parameters.values())
    options = {name: p.default for name, p in parameters.items() if name in DEFAULTS}
    assert list(options.items()) == list(DEFAULTS.items())
    assert all(type(options[name]) is type(DEFAULTS[name]) for name in DEFAULTS)
    assert all(parameters[name].kind is inspect.Parameter.KEYWORD_ONLY for name in DEFAULTS)


@pytest.mark.parametrize("name", DEFAULTS)
@pytest.mark.parametrize("cls", ACCESSORS)
def test_accessors_keep_every_option(cls, name):
    data = [jpegs.jpeg(24, 31)]
    accessor, plain = cls(data, **changed(name)), cls(data)
    copy = pickle.loads(pickle.dumps(accessor))
    assert_same(copy[0], fastimg.decode(data[0], **changed(name)))
    assert copy.__dask_tokenize__() == accessor.__dask_tokenize__() != plain.__dask_tokenize__()
    assert repr(copy) == repr(accessor)


@pytest.mark.parametrize("name", DEFAULTS)
def test_decode_hands_on_every_option_in_the_order_of_the_table(name, monkeypatch):
    seen = []
    monkeypatch.setattr(_decode, "decode", lambda source, out, options, *rest: seen.append((options, rest)))
    fastimg.decode(b"", **changed(name))
    (options, (crop, flip, *_)), values = seen[0], {**DEFAULTS, **changed(name)}
    assert options is make_options(**{k: v for k, v in values.items() if k not in ("crop", "flip")})
    assert (crop, flip) == (values["crop"], values["flip"])


@pytest.mark.parametrize("name", DEFAULTS)
def test_the_command_line_has_every_option(name):
    parser = argparse.ArgumentParser()
    add_decode_options(parser)
    assert decode_options(parser.parse_args([])) == DEFAULTS
    value, word = OTHER_VALUES[name], name.replace("_", "-")
    arguments = [f"--{word}", *WORDS.get(name, [str(value)])]
    if isinstance(value, bool):
        arguments = [f"--{word}" if value else f"--no-{word}"]
    found = decode_options(parser.parse_args(arguments))[name]
    assert (tuple(found) if isinstance(found, list) else found) == value


# What acts on an option outside of the core: views share some, and a fallback must know two.
FALLBACK = {
    "fallback.py",
    "fallback_pixels.py",
    "pillow.py",
    "other_headers.py",
    "augment.py",
    "batch_decode.py",
}
USERS = {"orient": {"views.py"}, "pad_value": FALLBACK, "max_pixels": FALLBACK | {"limits.py", "views.py"}}


def test_an_option_is_named_in_public_signatures_and_the_table_alone():
    # Of those whose names are words of nothing else, and apart from what uses the library.
    places = {name: [] for name in ("fit", "resample", "reducing_gap", "pad_value", "orient", "max_pixels")}
    root = pathlib.Path(fastimg.__file__).parent
    for path in set(root.rglob("*.py")) - set(root.glob("cli/*")) - set(root.glob("benchmarking/*")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            for field in ("arg", "id", "attr", "value"):
                if getattr(node, field, None) in places and not isinstance(node, ast.arguments):
                    places[getattr(node, field)].append(path.name)
    # Each function has them and hands them on by name; load has them a third time, for its types.
    signatures = [*["array_like.py"] * 2, *["decoding.py"] * 2, "load_options.py", *["loading.py"] * 2]
    for name, found in places.items():
        # More to read any header and to limit scans, and for what cannot be combined.
        table = ["options.py"] * {"max_pixels": 3, "fit": 2}.get(name, 1)
        assert sorted(each for each in found if each not in USERS.get(name, ())) == signatures + table, name


def test_the_same_options_are_made_once():
    assert make_options() is make_options() is parse_options({**DEFAULTS, "source": 5})
    size = make_options(size=(4, 4))
    assert make_options(size=(4, 4)) is size and make_options() is make_options() is not size
    assert make_options().replace(size=4).values == size.values
    assert pickle.loads(pickle.dumps(size)).values == size.values


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("size", (1, 1), (True, 1)), ("size", (4, 4), (4.0, 4)), ("size", 1, True), ("orient", True, 1),
        ("pad_value", (1, 1, 1), (1.0, 1, 1)), ("mean", (0, 0, 0), (False, False, False)), ("max_pixels", 1, True),
        ("reducing_gap", 1.0, True),
    ],
)  # fmt: skip
def test_values_that_are_equal_are_not_the_same(name, good, bad):
    make_options(**{name: good})
    with pytest.raises(TypeError, match=name):
        make_options(**{name: bad})


def test_a_list_may_change_between_calls():
    data, mean = jpegs.jpeg(), [0.0, 0.0, 0.0]
    first = fastimg.decode(data, dtype="float32", mean=mean)
    mean[0] = 0.5
    assert_same(
        fastimg.decode(data, dtype="float32", mean=mean), jpegs.reference(data, dtype="float32", mean=mean)
    )
    assert_same(first, fastimg.decode(data, dtype="float32"))
