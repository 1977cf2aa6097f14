# SPDX-License-Identifier: BSD-3-Clause
"""load(views=): several results of each image, each as a call of its own gives it."""

import io
import itertools
import pathlib
import warnings

import numpy as np
import pytest
from support import jpegs
from support.damage import GREY, Picture
from support.damage_cases import FAR, LARGE, NEAR
from support.files import half_in_files
from support.jpegs import assert_same
from support.reader_objects import Memory

import fastimg


@pytest.fixture(scope="module")
def motley(tmp_path_factory):
    """23 sources of many sizes, orientations and colour spaces; half of them files, half bytes."""
    kinds, contents = list(jpegs.SUBSAMPLINGS), []
    for i in range(23):
        height, width = 60 + 5 * (i % 7), 64 + 7 * (i % 5)
        data = jpegs.jpeg(height, width, kinds[i % len(kinds)], seed=i, progressive=i % 4 == 3)
        if i % 9 == 4:
            data = jpegs.turbo(jpegs.pixels(height, width, 4, seed=i))
        if i % 9 == 7:
            data = jpegs.pillow(jpegs.pixels(height, width, seed=i), keep_rgb=True)
        contents.append(jpegs.oriented(data, 1 + 5 * i % 8))
    return half_in_files(tmp_path_factory.mktemp("motley"), contents)


def make_views(sources, seed=0):
    """One of each kind: resampled, cut out, padded, whole; with options, boxes and mirror images of their own."""
    rng, count = np.random.default_rng(seed), len(sources)
    boxes = fastimg.random_crops(sources, rng, scale=(0.05, 0.4))
    corners = np.column_stack([rng.integers(0, 30, (count, 2)), np.full((count, 2), 27)])
    flips = rng.random(count) < 0.5
    return [
        {"size": (21, 34), "crop": fastimg.random_crops(sources, rng, scale=(0.4, 1)), "flip": flips},
        {"size": 16, "crop": boxes, "layout": "HWC", "resample": "lanczos"},
        {"crop": corners, "flip": ~flips},
        {"size": 40, "fit": "contain", "pad_value": (1, 2, 3), "dtype": "float32", "mean": 0.4, "std": 0.2},
        {"size": (33, 60), "fit": "cover", "flip": True, "resample": "box"},
        {"resize_shorter": 24, "center_crop": (20, 22), "crop": (1, 2, 50.5, 41.25)},
        {"crop": boxes * 0.75 + (0.125, 0.125, 0, 0), "size": 9, "dtype": "float16"},
    ]


def alone(sources, views, **shared):
    return [fastimg.load(sources, **{**shared, **view}) for view in views]


def assert_all(actual, expected):
    for one, other in zip(actual, expected, strict=True):
        assert_same(one, other)


@pytest.mark.parametrize("shared", [{}, {"mode": "BGR"}, {"orient": False}], ids=str)
def test_each_view_is_a_call_of_its_own(motley, shared):
    if "orient" in shared:
        motley = [source for source in motley if fastimg.read_header(source).orientation == 1]
    views = make_views(motley)
    expected = alone(motley, views, reducing_gap=None, **shared)
    for num_threads in (1, 3):
        found = fastimg.load(motley, views=views, reducing_gap=None, num_threads=num_threads, **shared)
        assert type(found) is list
        assert_all(found, expected)
    for few in (views[:1], views[2:3], views[1:4]):
        found = fastimg.load(motley, views=few, reducing_gap=None, **shared)
        assert_all(found, alone(motley, few, reducing_gap=None, **shared))


def test_one_image(motley):
    views = make_views(motley)[3:6]
    for source in motley[:4]:
        found = fastimg.load([source], views=views, reducing_gap=None)
        assert_all(found, alone([source], views, reducing_gap=None))


def test_out(motley):
    views = make_views(motley)
    expected = fastimg.load(motley, views=views)
    outs = [np.empty_like(array) for array in expected]
    outs[0] = np.empty((2 * len(motley), *expected[0].shape[1:]), np.uint8)[::2]
    found = fastimg.load(motley, outs, views=views)
    assert found is outs
    assert_all(found, expected)
    for wrong, error, text in (
        (outs[:-1], ValueError, "out must be a list of 7 arrays, one per view, found 6 of them"),
        (outs[0], ValueError, "out must be a list of 7 arrays, one per view, found ndarray"),
        (
            [*outs[:4], outs[0], *outs[5:]],
            ValueError,
            r"view 4: out must have shape \(23, 3, 33, 60\), found",
        ),
        ([*outs[:6], outs[0]], ValueError, "view 6: out must have shape"),
        (
            [outs[0].astype(np.float32), *outs[1:]],
            TypeError,
            "view 0: out must have dtype uint8, found float32",
        ),
    ):
        with pytest.raises(error, match=text):
            fastimg.load(motley, wrong, views=views)


def test_arguments_of_load_are_those_of_all_views(motley):
    shared = {
        "size": 12,
        "dtype": "float32",
        "mean": 0.5,
        "flip": True,
        "crop": (0, 1, 30, 31),
        "layout": "HWC",
        "reducing_gap": None,
    }
    views = [
        {},
        {"size": 20, "flip": False},
        {"crop": None, "mean": 0},
        {"center_crop": 15, "dtype": "uint8", "mean": 0},
    ]
    expected = [fastimg.load(motley, **{**shared, **view}) for view in views[:3]]
    expected.append(fastimg.load(motley, **{**shared, **views[3], "size": None}))
    assert_all(fastimg.load(motley, views=views, **shared), expected)


def test_mask_and_geometry(motley):
    sources = [*motley[:5], b"no image", *motley[5:]]
    views = make_views(motley)
    for view in views:
        for key in {"crop", "flip"} & view.keys():
            if isinstance(view[key], np.ndarray):
                view[key] = np.insert(view[key], 5, view[key][0], axis=0)
    with pytest.warns(UserWarning, match="1 of 24 images failed and is zeros"):
        found, mask, geometry = fastimg.load(
            sources, views=views, on_error="fill", return_mask=True, return_geometry=True, reducing_gap=None
        )
    assert mask.tolist() == [i != 5 for i in range(24)]
    for view, array, matrices in zip(views, found, geometry, strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            one, where = fastimg.load(
                sources, on_error="fill", return_geometry=True, reducing_gap=None, **view
            )
        assert_same(array, one)
        assert not array[5].any()
        assert np.isnan(matrices[5]).all()
        np.testing.assert_array_equal(matrices, where)
    only_mask = fastimg.load(motley, views=views[3:5], return_mask=True)
    assert len(only_mask) == 2 and only_mask[1].all()


def test_errors(motley):
    views = [{"size": 8}, {"size": 9, "crop": (50, 0, 30, 30)}]
    errors, sources = [], [*motley[:3], "missing.jpg", motley[3]]
    with pytest.raises(FileNotFoundError) as caught:
        fastimg.load([*motley[:1], "missing.jpg"], views=views[:1])
    assert (caught.value.index, caught.value.source) == (1, "missing.jpg")
    found = fastimg.load(sources, views=views, on_error=errors.append)
    tall = [i for i, source in enumerate(sources) if i != 3 and fastimg.read_header(source).shape[1] >= 80]
    assert [error.index for error in errors] == [i for i in range(5) if i not in tall]
    for array in found:
        assert [bool(image.any()) for image in array] == [i in tall for i in range(5)]
    with pytest.raises(ValueError, match="the crop leaves the image, which has height"):
        fastimg.load(motley, views=[{"size": 8}, {"crop": (500, 0, 3, 3)}])


def test_lost_data_matters_to_all_views():
    image = jpegs.pixels(96, 64)
    damaged = jpegs.truncated(jpegs.turbo(image, quality=95), 0.7)
    top, bottom = {"size": 8, "crop": (0, 0, 32, 64)}, {"size": 8, "crop": (64, 0, 32, 64)}
    expected = fastimg.load([jpegs.turbo(image, quality=95)], **top)
    assert_same(fastimg.load([damaged], views=[top, {**top, "flip": True}])[0], expected)
    for views in ([top, bottom], [bottom, top], [top, {"crop": (90, 0, 6, 6)}]):
        with pytest.raises(fastimg.TruncatedJpegError):
            fastimg.load([damaged], views=views)
    found = fastimg.load([damaged], views=[top, bottom], strict=False)
    assert_all(found, alone([damaged], [top, bottom], strict=False))


def test_damage_in_rows_that_no_result_needs():
    """Reduced to an eighth, the image has no last row: it is looked at all the same where a view reaches the bottom."""
    image = jpegs.pixels(161, 160, 1)
    data = jpegs.turbo(image, quality=95)
    damaged = data[:-20]  # within row 160
    top, bottom = {"size": 4, "crop": (0, 0, 100, 160)}, {"size": 8}
    expected = fastimg.load([data], views=[top])
    assert_all(fastimg.load([damaged], views=[top]), expected)
    assert_all(fastimg.load([damaged], views=[bottom], strict=False), fastimg.load([data], views=[bottom]))
    for views in ([bottom], [top, bottom], [bottom, top]):
        with pytest.raises(fastimg.TruncatedJpegError):
            fastimg.load([damaged], views=views)


def test_blocks_are_judged_together_as_for_the_lowest_view():
    """One block that is far off fails the image, unless as many are nearly so down to the last row that is needed."""
    top, whole = {"size": 8, "crop": (0, 0, 72, 160)}, {"size": 8}
    for blocks, fails in (
        ({5: FAR, 300: NEAR}, [True, False]),
        ({5: FAR, 6: NEAR, 300: FAR}, [False, True]),
    ):
        picture = Picture(*LARGE, GREY, 3)
        for at, fields in blocks.items():
            picture = picture.changed(at, **fields)
        for views, failing in (([top], fails[0]), ([whole], fails[1]), ([top, whole], fails[1])):
            if failing:
                with pytest.raises(fastimg.CorruptJpegError, match="coefficients that no 8-bit image has"):
                    fastimg.load([picture.data()], views=views)
            else:
                fastimg.load([picture.data()], views=views)


def test_damage_below_all_views_is_not_looked_for():
    image = jpegs.pixels(160, 64)
    damaged = jpegs.truncated(jpegs.turbo(image, quality=95), 0.9)
    views = [{"size": 8, "crop": (top, 0, 30, 64)} for top in (90, 10, 70)]
    assert_all(fastimg.load([damaged], views=views), alone([jpegs.turbo(image, quality=95)], views))


def test_readers_and_progress(motley):
    views = make_views(motley)[:3]
    expected, seen = fastimg.load(motley, views=views), []
    data = [source if isinstance(source, bytes) else pathlib.Path(source).read_bytes() for source in motley]
    found = fastimg.load(Memory(data), views=views, progress=lambda *each: seen.append(each))
    assert_all(found, expected)
    assert seen[-1] == (23, 23)
    assert_all(fastimg.load(motley, views=views, read_threads=3, read_ahead=100_000), expected)
    empty = fastimg.load([], views=[{"size": 4}, {"size": 5}])
    assert [array.shape for array in empty] == [(0, 3, 4, 4), (0, 3, 5, 5)]


WRONG = [
    ({"size": 3}, TypeError, "views must be a list of dicts, one per view, found"),
    ("size", TypeError, "views must be a list of dicts, one per view, found 'size'"),
    (3, TypeError, "views must be a list of dicts, one per view, found 3"),
    ([], ValueError, "views must hold at least one view, found none"),
    ([{"size": 3}, 5], TypeError, r"views\[1\] must be a dict of options, found 5"),
    ([{"size": 3, "strict": False}], ValueError, r"views\[0\] has 'strict', which is the same for all views"),
    ([{"size": 3, "mode": "L"}], ValueError, r"views\[0\] has 'mode', which is the same for all views"),
    ([{"size": 3, "sise": 4}], ValueError, r"views\[0\] has 'sise', expected some of layout, size, "),
    ([{"size": 3, "num_threads": 4}], ValueError, r"views\[0\] has 'num_threads', expected some of layout"),
    ([{"size": 3}, {"size": 0}], ValueError, r"views\[1\]: size must be None, an integer or"),
    ([{"size": 3}, {"size": "3"}], TypeError, r"views\[1\]: size must be None, an integer or"),
    ([{"size": 3, "crop": (0, 0, 3)}], ValueError, r"views\[0\]: crop must be four numbers"),
    ([{"size": 3, "flip": [True]}], ValueError, r"views\[0\]: flip must have one bool for each of 23 images"),
    ([{"size": 3}, {}], ValueError, r"views\[1\] must say its size: .* found none of them"),
    ([{"resize_shorter": 8}], ValueError, r"views\[0\] must say its size: .* found none of them"),
    (
        [{"resize_shorter": 2**20, "crop": (0, 0, 1, 9)}],
        ValueError,
        r"views\[0\] has a side of more than 2\*\*20",
    ),
    ([{"crop": [(0, 0, 3 + i % 2, 4) for i in range(23)]}], ValueError, "found crops that give 2 sizes"),
    ([{"size": 3, "center_crop": 2}], ValueError, r"views\[0\]: give either size or center_crop"),
    ([{"size": 3, "mean": 0.5}], ValueError, r"views\[0\]: mean and std need a floating-point dtype"),
]


@pytest.mark.parametrize(("views", "error", "text"), WRONG, ids=lambda value: str(value)[:40])
def test_refusals(motley, views, error, text):
    with pytest.raises(error, match=text):
        fastimg.load(motley, views=views)


def decibels(one, other):
    squares = (one.astype(np.float64) - other).reshape(len(one), -1) ** 2
    return 10 * np.log10(255**2 / np.maximum(squares.mean(axis=1), 1e-9))


def test_views_that_would_be_reduced_further_are_nearer_to_the_exact_image(shared):
    photos = sorted((shared / "photos").iterdir())[:40]
    rng = np.random.default_rng(0)
    views = [
        {"size": size, "crop": fastimg.random_crops(photos, rng, scale)}
        for size, scale in [(224, (0.4, 1.0))] * 2 + [(32, (0.05, 0.4))] * 3
    ]
    found = fastimg.load(photos, views=views)
    own, exact = alone(photos, views), alone(photos, views, reducing_gap=None)
    changed = [(one != other).any(axis=(1, 2, 3)) for one, other in zip(found, own, strict=True)]
    assert sum(map(sum, changed)) > 50
    for i in range(len(views)):
        assert (decibels(found[i], own[i]) > 40).all()
        assert (decibels(found[i], exact[i]) >= decibels(own[i], exact[i]))[changed[i]].all()


def test_more_and_fewer_views():
    # Views of any number: more than a decoder keeps for one, and fewer after that.
    data = jpegs.jpeg(64, 64)
    for count in (1, 40, 3):
        views = [{"size": 1 + i, "crop": (i % 7, i % 5, 40, 30 + i % 9)} for i in range(count)]
        assert_all(
            fastimg.load([data], views=views, reducing_gap=None), alone([data], views, reducing_gap=None)
        )
    for first, second in itertools.pairwise([{"size": 8}, {"size": 30}, {"size": 8}]):
        assert_all(
            fastimg.load([data], views=[first, second], reducing_gap=None),
            alone([data], [first, second], reducing_gap=None),
        )


def test_fallback():
    pillow = pytest.importorskip("PIL.Image")
    image = jpegs.pixels(60, 70)
    file = io.BytesIO()
    pillow.fromarray(image).save(file, "PNG")
    sources = [jpegs.jpeg(64, 66), file.getvalue()]
    views = [{"size": 16, "crop": (3, 4, 40, 50)}, {"size": 9, "flip": True}, {"crop": (1, 2, 30, 31)}]
    found, geometry = fastimg.load(
        sources, views=views, fallback="pillow", return_geometry=True, reducing_gap=None
    )
    assert_all(found, alone(sources, views, fallback="pillow", reducing_gap=None))
    assert np.isfinite(geometry).all()
    assert_same(found[2][1], image[1:31, 2:33].transpose(2, 0, 1))
