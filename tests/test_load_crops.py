# SPDX-License-Identifier: BSD-3-Clause
"""load with a size, and with a crop and a mirror image for each file: N singles, whatever the threads do."""

import re
import warnings

import numpy as np
import pytest
from support import jpegs
from support.jpegs import assert_same

import fastimg


@pytest.fixture(params=[1, 2, 8], ids=lambda n: f"{n} threads")
def num_threads(request):
    return request.param


@pytest.fixture(scope="module")
def motley(tmp_path_factory):
    """46 sources of many sizes, orientations and colour spaces; half of them files, half bytes."""
    kinds = list(jpegs.SUBSAMPLINGS)
    folder, sources = tmp_path_factory.mktemp("motley"), []
    for i in range(46):
        height, width = 30 + 5 * (i % 17), 30 + 7 * (i % 13)
        if i % 9 == 4:
            data = jpegs.pillow(jpegs.pixels(height, width, 4, seed=i))
        elif i % 9 == 7:
            data = jpegs.pillow(jpegs.pixels(height, width, seed=i), keep_rgb=True)
        elif i % 9 == 8:
            data = jpegs.turbo(jpegs.pixels(height, width, 4, seed=i), progressive=i % 2 == 0)
        else:
            data = jpegs.jpeg(height, width, kinds[i % len(kinds)], seed=i, progressive=i % 4 == 3)
        data = jpegs.oriented(data, 1 + 5 * i % 8)
        if i % 2:
            path = folder / f"{i:02d}.jpg"
            path.write_bytes(data)
            sources.append(str(path))
        else:
            sources.append(data)
    return sources


@pytest.fixture(scope="module")
def boxes(motley):
    """An int64 (N, 4) box in each, from one pixel to everything, and a bool (N,)."""
    rng, rows = np.random.default_rng(0), []
    for i, source in enumerate(motley):
        _, height, width = fastimg.read_header(source).shape
        h, w = (height, width) if i % 10 == 0 else rng.integers(1, (height + 1, width + 1))
        rows.append((rng.integers(0, height - h + 1), rng.integers(0, width - w + 1), h, w))
    return np.array(rows, np.int64), rng.random(len(rows)) < 0.5


OPTIONS = [
    {"size": (21, 34)},
    {"size": 16, "reducing_gap": 1.0, "mode": "BGR", "layout": "HWC"},
    {"size": 40, "fit": "contain", "pad_value": (1, 2, 3), "dtype": "float32", "mean": 0.4, "std": 0.2},
    {"size": (64, 33), "fit": "cover", "resample": "lanczos", "reducing_gap": None},
    {"size": (9, 70), "mode": "L", "dtype": "float16", "resample": "bicubic"},
    {"size": (50, 50), "orient": False, "resample": "box"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_batch_equals_its_singles(motley, num_threads, options):
    singles = np.stack([fastimg.decode(source, **options) for source in motley])
    assert_same(fastimg.load(motley, num_threads=num_threads, **options), singles)
    out = np.empty_like(singles)
    assert fastimg.load(motley, out, num_threads=num_threads, **options) is out
    assert_same(out, singles)
    flipped = fastimg.load(motley, num_threads=num_threads, flip=True, **options)
    assert_same(flipped, np.stack([fastimg.decode(source, flip=True, **options) for source in motley]))


@pytest.mark.parametrize("options", OPTIONS[:5], ids=str)
def test_crops_and_flips_of_each(motley, boxes, num_threads, options):
    crops, flips = boxes
    singles = np.stack([
        fastimg.decode(source, crop=tuple(crop), flip=bool(flip), **options)
        for source, crop, flip in zip(motley, crops, flips, strict=True)
    ])  # fmt: skip
    assert_same(fastimg.load(motley, crop=crops, flip=flips, num_threads=num_threads, **options), singles)
    out = np.empty((2 * len(motley), *singles.shape[1:]), singles.dtype)[::-2]
    assert fastimg.load(motley, out, crop=crops, flip=flips, num_threads=num_threads, **options) is out
    assert_same(np.ascontiguousarray(out), singles)


def test_many(motley, boxes, num_threads):
    # What a worker keeps of one image for the next must fit it, in any order.
    crops, flips = boxes
    order = np.random.default_rng(1).integers(0, len(motley), 1500)
    options = {"size": (24, 20), "resample": "hamming"}
    singles = fastimg.load(motley, crop=crops, flip=flips, num_threads=1, **options)
    sources = [motley[i] for i in order]
    images = fastimg.load(sources, crop=crops[order], flip=flips[order], num_threads=num_threads, **options)
    assert_same(images, singles[order])


def test_forms(motley, boxes):
    crops, flips = boxes
    sources, crops, flips = motley[:7], crops[:7], flips[:7]
    expected = fastimg.load(sources, size=12, crop=crops, flip=flips)
    for same in (
        crops.tolist(), [tuple(crop) for crop in crops], tuple(map(list, crops)), list(crops), crops.astype(np.int32),
        crops.astype(np.uint16), np.asfortranarray(crops), np.repeat(crops, 2, 0)[::2], crops[::-1][::-1],
        crops.astype(">i8"),
    ):  # fmt: skip
        assert_same(fastimg.load(sources, size=12, crop=same, flip=flips), expected)
    for same in (
        flips.tolist(),
        tuple(flips.tolist()),
        list(flips),
        np.repeat(flips, 3)[::3],
        flips[::-1][::-1],
    ):
        assert_same(fastimg.load(sources, size=12, crop=crops, flip=same), expected)
    assert_same(fastimg.load(iter(sources), size=12, crop=crops, flip=flips), expected)


def test_the_callers_arrays_are_left_alone(motley, boxes):
    crops, flips = boxes[0].copy(), boxes[1].copy()
    crops.flags.writeable = flips.flags.writeable = False
    fastimg.load(motley, size=12, crop=crops, flip=flips)
    assert (crops == boxes[0]).all() and (flips == boxes[1]).all()


def test_one_for_one(motley):
    for source in motley[:4]:
        image = fastimg.decode(source, size=9, crop=(3, 4, 20, 21), flip=True)
        for crop in ([(3, 4, 20, 21)], np.array([[3, 4, 20, 21]]), (3, 4, 20, 21)):
            for flip in ([True], np.array([True]), True):
                assert_same(fastimg.load([source], size=9, crop=crop, flip=flip), image[None])


def test_four_for_four(motley):
    # Four numbers are one box for all, four boxes are one for each.
    one = fastimg.load(motley[:4], size=9, crop=(1, 2, 20, 25))
    each = fastimg.load(motley[:4], size=9, crop=[(1, 2, 20, 25)] * 4)
    assert_same(one, each)


def test_without_size(motley, num_threads):
    rng = np.random.default_rng(2)
    sources = motley * 3
    crops = np.concatenate([rng.integers(0, 13, (len(sources), 2)), np.full((len(sources), 2), (17, 15))], 1)
    flips = rng.random(len(sources)) < 0.5
    singles = [
        fastimg.decode(s, crop=tuple(c), flip=bool(f)) for s, c, f in zip(sources, crops, flips, strict=True)
    ]
    assert_same(fastimg.load(sources, crop=crops, flip=flips, num_threads=num_threads), np.stack(singles))


def test_flips_alone(batch, num_threads):
    flips = np.arange(len(batch.paths)) % 3 == 0
    expected = np.stack([x[:, :, ::-1] if flip else x for x, flip in zip(batch.images, flips, strict=True)])
    assert_same(fastimg.load(batch.paths, flip=flips, num_threads=num_threads), expected)


def test_crops_of_different_sizes_need_a_size(motley):
    crops = [(0, 0, 8, 9)] * 5 + [(0, 0, 10, 11), (0, 0, 12, 13)]
    with pytest.raises(ValueError) as caught:
        fastimg.load(motley[:7], crop=crops)
    text = str(caught.value).replace(str(motley[5]), "")  # its folder may have any number
    assert {"0", "5", "8", "9", "10", "11"} <= set(re.findall(r"\d+", text)) and "12" not in text
    assert not isinstance(caught.value, fastimg.JpegError)
    fastimg.load(motley[:7], crop=crops, size=4)


def test_empty():
    for size, shape in ((7, (7, 7)), ((5, 9), (5, 9))):
        assert_same(fastimg.load([], size=size), np.empty((0, 3, *shape), np.uint8))
        assert_same(fastimg.load([], size=size, mode="L", layout="HWC"), np.empty((0, *shape, 1), np.uint8))
        for crop in (None, (5, 5, 3, 4), np.empty((0, 4), int)):
            images = fastimg.load([], size=size, crop=crop, flip=np.empty(0, bool), dtype="float32")
            assert_same(images, np.empty((0, 3, *shape), np.float32))
    out = np.empty((0, 3, 7, 7), np.uint8)
    assert fastimg.load([], out, size=7) is out


# ---- no header is read beforehand ----------------------------------------------------------------


@pytest.mark.parametrize("accessor", ["ImageFileAccessor", "NonUniformImageFileAccessor"])
def test_the_shape_needs_no_file(accessor):
    images = getattr(fastimg, accessor)(["/nowhere/a.jpg", "/nowhere/b.jpg"], size=(48, 64), mode="L")
    assert len(images) == 2
    if accessor == "ImageFileAccessor":
        assert (images.shape, images.dtype) == ((2, 1, 48, 64), np.uint8)
    with pytest.raises(FileNotFoundError):
        images[1]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_accessors(motley, options):
    images = fastimg.ImageFileAccessor(motley, **options)
    assert images.shape == (len(motley), *fastimg.decode(motley[0], **options).shape)
    assert_same(images[7], fastimg.decode(motley[7], **options))
    order = [5, 3, 44, 3, -1]
    expected = np.stack([fastimg.decode(motley[i], **options) for i in order])
    assert_same(images[order], expected)
    out = np.empty_like(expected)
    assert images.read_into(order, out) is out
    assert_same(out, expected)
    alike = fastimg.NonUniformImageFileAccessor(motley, **options)
    for image, single in zip(alike[order], expected, strict=True):
        assert_same(image, single)


@pytest.mark.parametrize("accessor", ["ImageFileAccessor", "NonUniformImageFileAccessor"])
def test_accessors_take_one_crop(motley, accessor):
    for options in ({"crop": [(0, 0, 8, 8)] * 3}, {"flip": [True] * 3}, {"crop": np.ones((1, 4), int)}):
        with pytest.raises((TypeError, ValueError), match=next(iter(options))):
            getattr(fastimg, accessor)(motley[:3], size=8, **options)
        with pytest.raises((TypeError, ValueError), match=next(iter(options))):
            fastimg.decode(motley[0], size=8, **options)


@pytest.fixture
def spoiled(motley, bad_files):
    names = [
        "TruncatedJpegError",
        "FileNotFoundError",
        "CorruptJpegError",
        "UnsupportedJpegError",
        "JpegTooLargeError",
    ]
    sources, where = list(motley), dict(zip([0, 11, 12, 30, 45], names, strict=True))
    for index, name in where.items():
        sources[index] = bad_files[name]
    return sources, where


def test_a_bad_file_fails_by_itself(motley, spoiled, num_threads):
    sources, where = spoiled
    expected = fastimg.load(motley, size=20, fit="contain", pad_value=77)
    expected[list(where)] = 0
    failures = []
    for out in (None, np.full_like(expected, 90)):
        with pytest.warns(UserWarning):
            images = fastimg.load(
                sources, out, size=20, fit="contain", pad_value=77, on_error="fill", num_threads=num_threads
            )
        assert_same(images, expected)
    fastimg.load(sources, size=20, on_error=failures.append, num_threads=num_threads)
    assert [error.index for error in failures] == list(where)
    for error in failures:
        assert where[error.index] in [kind.__name__ for kind in type(error).__mro__]
        assert error.source == sources[error.index]
    for start in (0, 1, 12, 13, 31):
        with pytest.raises((fastimg.JpegError, OSError)) as caught:
            fastimg.load(sources[start:], size=20, num_threads=num_threads)
        assert caught.value.index == min(i - start for i in where if i >= start)


def test_nothing_but_missing_files():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        images = fastimg.load(["/nowhere/a.jpg"] * 5, size=(4, 6), on_error="fill")
    assert_same(images, np.zeros((5, 3, 4, 6), np.uint8))


# ---- what is refused ---------------------------------------------------------------------------


def test_a_crop_that_leaves_its_image(motley, boxes, num_threads):
    crops = boxes[0].copy()
    for index in (3, 40):
        crops[index] = (0, 0, 1000, 5)
    with pytest.raises(ValueError, match="crop") as caught:
        fastimg.load(motley, size=8, crop=crops, num_threads=num_threads)
    assert (caught.value.index, caught.value.source) == (3, motley[3])
    failures = []
    images = fastimg.load(motley, size=8, crop=crops, num_threads=num_threads, on_error=failures.append)
    assert [error.index for error in failures] == [3, 40]
    assert not images[[3, 40]].any() and images[4].any()


@pytest.mark.parametrize("count", [1, 2, 4, 5, 7, 45, 47, 92, 0])
def test_wrong_number(motley, count):
    crops, flips = np.tile([0, 0, 8, 8], (count, 1)), np.zeros(count, bool)
    for name, value in (("crop", crops), ("flip", flips), ("crop", crops.tolist()), ("flip", flips.tolist())):
        with pytest.raises(ValueError, match=name) as caught:
            fastimg.load(motley, size=8, **{name: value})
        assert {str(count), str(len(motley))} <= set(re.findall(r"\d+", str(caught.value)))


@pytest.mark.parametrize(
    "bad", [(-1, 0, 4, 4), (0, -1, 4, 4), (0, 0, 0, 4), (0, 0, 4, -4), (-(2**40), 0, 1, 1)]
)
@pytest.mark.parametrize("size", [None, 8])
def test_a_bad_row(motley, bad, size):
    for index in (0, 5):
        crops = [(0, 0, 4, 4)] * 6
        crops[index] = bad
        for value in (crops, np.array(crops)):
            with pytest.raises(ValueError, match="crop") as caught:
                fastimg.load(motley[:6], size=size, crop=value)
            assert re.search(rf"\b{index}\b", str(caught.value))
            assert not isinstance(caught.value, fastimg.JpegError)


def test_bad_shapes(motley):
    for crop in (
        np.zeros((3, 3), int),
        np.ones((3, 5), int),
        np.ones((3, 4, 1), int),
        np.ones((1, 3, 4), int),
    ):
        with pytest.raises(ValueError, match="crop"):
            fastimg.load(motley[:3], size=8, crop=crop)
    for flip in (np.zeros((3, 1), bool), np.zeros((1, 3), bool)):
        with pytest.raises(ValueError, match="flip"):
            fastimg.load(motley[:3], size=8, flip=flip)


def test_bad_types(motley):
    good = [0, 0, 4, 4]
    for crop in (np.ones((3, 4), complex), np.ones((3, 4), bool), np.full((3, 4), "4"), [good, good, [0, 0, 4, 4j]],
                 [good, good, None], [good, good, "abcd"]):  # fmt: skip
        with pytest.raises(TypeError, match="crop"):
            fastimg.load(motley[:3], size=8, crop=crop)
    for flip in (np.zeros(3), np.array(["a", "b", "c"]), ["yes", "no", "no"], [None] * 3, [True, False, 1.0]):
        with pytest.raises(TypeError, match="flip"):
            fastimg.load(motley[:3], size=8, flip=flip)
