# SPDX-License-Identifier: BSD-3-Clause
"""random_crops: torchvision's distribution, from sizes alone."""

import math
import random

import numpy as np
import pytest
from support import jpegs

import fastimg

COUNT = 20_000


def fallback(height, width, ratio):
    """The central box, of an aspect ratio within the limits."""
    given = width / height
    if given < min(ratio):
        w, h = width, round(width / min(ratio))
    elif given > max(ratio):
        w, h = round(height * max(ratio)), height
    else:
        w, h = width, height
    return (height - h) // 2, (width - w) // 2, h, w


def one_crop(rng, height, width, scale, ratio):
    """RandomResizedCrop.get_params in words of one syllable; also whether an attempt was accepted."""
    for _ in range(10):
        area = height * width * rng.uniform(*scale)
        aspect = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            return (rng.randint(0, height - h), rng.randint(0, width - w), h, w), True
    return fallback(height, width, ratio), False


SETTINGS = [
    ((375, 500), {}),
    ((500, 375), {"scale": (0.08, 1.0), "ratio": (3 / 4, 4 / 3)}),
    ((224, 224), {"scale": (0.2, 1.0)}),
    ((100, 400), {"scale": (0.3, 0.9)}),  # most attempts fail
    ((64, 64), {"scale": (0.9, 1.3), "ratio": (0.5, 2.0)}),
    ((300, 200), {"scale": (0.5, 0.5), "ratio": (1.0, 1.0)}),
    ((7, 5), {"scale": (0.01, 1.0), "ratio": (0.2, 5.0)}),  # boxes of no pixels are refused
    ((33, 900), {"ratio": (0.1, 10.0)}),
]


@pytest.mark.parametrize(("size", "options"), SETTINGS, ids=str)
def test_distribution(size, options):
    height, width = size
    scale, ratio = options.get("scale", (0.08, 1.0)), options.get("ratio", (3 / 4, 4 / 3))
    ours = fastimg.random_crops(np.tile(size, (COUNT, 1)), 1, **options)
    rng = random.Random(2)
    theirs, accepted = zip(*(one_crop(rng, height, width, scale, ratio) for _ in range(COUNT)), strict=True)
    theirs = np.array(theirs)

    def describe(boxes):
        top, left, h, w = boxes.T.astype(float)
        fitted = (boxes == fallback(height, width, ratio)).all(1)
        return {
            "area": h * w / (height * width), "aspect": np.log(w / h), "height": h / height, "width": w / width,
            "center y": (top + h / 2) / height, "center x": (left + w / 2) / width, "fallback": fitted,
            "at the top": top == 0, "at the bottom": top + h == height,
            "at the left": left == 0, "at the right": left + w == width,
        }  # fmt: skip

    one, other = describe(ours), describe(theirs)
    for name in one:
        a, b = one[name].astype(float), other[name].astype(float)
        # Two samples of one distribution: their means differ by less than five standard errors.
        error = math.sqrt((a.var() + b.var()) / COUNT)
        assert abs(a.mean() - b.mean()) <= 5 * error + 1e-9, name
        # And their distribution functions: Kolmogorov and Smirnov's distance, at a level of 1 in 10 000.
        points = np.union1d(a, b)
        steps = [np.searchsorted(np.sort(x), points, "right") / COUNT for x in (a, b)]
        assert np.abs(steps[0] - steps[1]).max() < 2.23 * math.sqrt(2 / COUNT), name
    if size == (100, 400):
        assert 0.05 < 1 - np.mean(accepted) < 0.95  # that fallbacks were tried


def test_positions_are_uniform():
    boxes = fastimg.random_crops([(40, 30)] * 50_000, 5, scale=(0.25, 0.25), ratio=(1, 1))
    side = round(math.sqrt(40 * 30 / 4))
    assert (boxes[:, 2:] == side).all()
    for axis, length in ((0, 40), (1, 30)):
        counts = np.bincount(boxes[:, axis], minlength=length - side + 1)
        assert counts.size == length - side + 1
        expected = 50_000 / counts.size
        assert np.abs(counts - expected).max() < 5 * math.sqrt(expected)


def test_always_inside():
    rng = np.random.default_rng(3)
    sizes = np.concatenate([rng.integers(1, 12, (30_000, 2)), rng.integers(1, 5000, (30_000, 2))])
    sizes = np.concatenate([sizes, [(1, 1), (1, 65535), (65535, 1), (65535, 65535)]])
    for options in (
        {}, {"scale": (0.5, 3.0)}, {"scale": (1e-9, 1e-6)}, {"ratio": (0.01, 100.0)}, {"ratio": (50.0, 60.0)},
        {"ratio": (0.01, 0.02)}, {"scale": (1, 1), "ratio": (1, 1)},
    ):  # fmt: skip
        boxes = fastimg.random_crops(sizes, rng, **options)
        assert boxes.shape == (len(sizes), 4) and boxes.dtype == np.int64
        assert (boxes[:, :2] >= 0).all() and (boxes[:, 2:] >= 1).all()
        assert (boxes[:, :2] + boxes[:, 2:] <= sizes).all()


@pytest.mark.parametrize("ratio", [(3 / 4, 4 / 3), (0.5, 0.6), (2.0, 3.0), (1.0, 1.0)])
def test_fallback(ratio):
    # Larger than the image: no attempt can be accepted.
    sizes = [(100, 100), (100, 400), (400, 100), (33, 44), (44, 33), (7, 50), (51, 7), (10, 13), (99, 131)]
    boxes = fastimg.random_crops(sizes, 0, scale=(30.0, 40.0), ratio=ratio)
    assert boxes.tolist() == [list(fallback(*size, ratio)) for size in sizes]


def test_determinism():
    sizes = np.random.default_rng(0).integers(10, 500, (300, 2))
    first = fastimg.random_crops(sizes, 7)
    assert (fastimg.random_crops(sizes, 7) == first).all()
    assert (fastimg.random_crops(sizes, np.int64(7)) == first).all()
    assert (fastimg.random_crops(sizes, np.random.default_rng(7)) == first).all()
    assert (fastimg.random_crops(sizes, 8) != first).any()
    legacy = fastimg.random_crops(sizes, np.random.RandomState(7))
    assert (fastimg.random_crops(sizes, np.random.RandomState(7)) == legacy).all()
    assert (fastimg.random_crops(sizes, None) != fastimg.random_crops(sizes, None)).any()
    for rng in (np.random.default_rng(7), np.random.RandomState(7)):
        assert (fastimg.random_crops(sizes, rng) != fastimg.random_crops(sizes, rng)).any()
    # The global state is nobody's business.
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    fastimg.random_crops(sizes, None)
    assert (np.random.get_state()[1] == before).all()


def test_frozen():
    # A legacy generator's numbers never change; nor do the boxes that are made of them.
    boxes = fastimg.random_crops([(60, 80), (80, 60), (20, 90), (1, 1), (7, 500)], np.random.RandomState(7))
    assert boxes.tolist() == [
        [23, 49, 27, 27], [14, 2, 54, 56], [3, 3, 17, 17], [0, 0, 1, 1], [0, 245, 7, 9],
    ]  # fmt: skip


def test_sizes_sources_and_headers(tmp_path):
    sources, sizes = [], []
    for i in range(16):
        data = jpegs.oriented(jpegs.jpeg(20 + 3 * i, 70 - 2 * i, seed=i), 1 + i % 8)
        if i % 2:
            (tmp_path / f"{i}.jpg").write_bytes(data)
            data = str(tmp_path / f"{i}.jpg")
        sources.append(data)
        sizes.append(fastimg.decode(data).shape[1:])
    expected = fastimg.random_crops(np.array(sizes), 3)
    headers = [fastimg.read_header(source) for source in sources]
    for same in (sizes, tuple(sizes), [list(size) for size in sizes], np.array(sizes, np.uint16), sources, headers,
                 tuple(headers), np.asfortranarray(sizes)):  # fmt: skip
        assert (fastimg.random_crops(same, 3) == expected).all()
    images = fastimg.load(sources, size=16, crop=expected)
    assert (images[5] == fastimg.decode(sources[5], size=16, crop=tuple(expected[5]))).all()


def test_empty():
    for sizes in ([], (), np.empty((0, 2), int)):
        boxes = fastimg.random_crops(sizes, 0)
        assert boxes.shape == (0, 4) and boxes.dtype == np.int64


def test_bad_sources_have_names(tmp_path):
    (tmp_path / "good.jpg").write_bytes(jpegs.jpeg())
    with pytest.raises(FileNotFoundError) as caught:
        fastimg.random_crops([str(tmp_path / "good.jpg"), str(tmp_path / "none.jpg")], 0)
    assert (caught.value.index, caught.value.source) == (1, str(tmp_path / "none.jpg"))


@pytest.mark.parametrize("name", ["scale", "ratio"])
@pytest.mark.parametrize(
    "value",
    [(0, 1), (-1, 1), (1, 0.5), (0.0, 0.0), (math.nan, 1), (1, math.nan), (1, math.inf), (1,), (1, 2, 3), ()],
)
def test_bad_limits(name, value):
    with pytest.raises(ValueError, match=name):
        fastimg.random_crops([(10, 10)], 0, **{name: value})


@pytest.mark.parametrize("name", ["scale", "ratio"])
@pytest.mark.parametrize("value", [0.5, None, "ab", ("1", "2"), (None, 1)])
def test_bad_types_of_limits(name, value):
    with pytest.raises(TypeError, match=name):
        fastimg.random_crops([(10, 10)], 0, **{name: value})


@pytest.mark.parametrize("rng", ["seed", 1.5, object()], ids=lambda x: type(x).__name__)
def test_bad_rng(rng):
    with pytest.raises(TypeError, match="rng"):
        fastimg.random_crops([(10, 10)], rng)


@pytest.mark.parametrize(
    "sizes", [np.ones((3, 3), int), np.ones((3,), int), [(0, 5)], [(5, -1)], np.zeros((2, 2), int)]
)
def test_bad_sizes(sizes):
    with pytest.raises((ValueError, TypeError)):
        fastimg.random_crops(sizes, 0)


def test_fractional_sizes():
    for sizes in (np.full((2, 2), 10.5), [(10, 10.5)], 5, None):
        with pytest.raises(TypeError):
            fastimg.random_crops(sizes, 0)
