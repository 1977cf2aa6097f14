# SPDX-License-Identifier: BSD-3-Clause
"""DCT scaling on the way to a smaller size: when, by how much, to which samples; and no sample from outside."""

import functools
import math

import numpy as np
import pytest
from support import jpeg_blocks, jpegs
from support.jpegs import assert_same
from support.resize_reference import (
    FACTORS,
    FILTERS,
    assemble,
    assert_close,
    assert_closer,
    cover_box,
    craft,
    psnr,
    reduced,
    resample,
    resize_reduced,
    sample,
    to_pixels,
    to_rgb,
)

import fastimg


def resized(data, size, gap, **options):
    return fastimg.decode(data, size=size, reducing_gap=gap, layout="HWC", **options)


def divisor(box, target, gap):
    """The largest of 1, 2, 4, 8 that leaves `gap` times the target in both directions."""
    return max(
        d for d in (1, 2, 4, 8) if d == 1 or all(b / d >= gap * t for b, t in zip(box, target, strict=True))
    )


def scaled_rgb(data, target, d):
    """From RGB that libjpeg scaled, of pixels that are all in the image."""
    height, width = jpegs.size(data)
    image = jpegs.rgb_turbo_scaled(data, d)[: height // d, : width // d]
    return resample(image.astype(float), target, "bilinear", (0, 0, height / d, width / d))


# ---- which samples -----------------------------------------------------------------------------

ODD_FACTORS = {
    str(factors): factors
    for factors in (
        [(2, 2), (2, 1), (1, 1)], [(2, 2), (1, 2), (2, 1)], [(1, 1), (2, 2), (2, 2)], [(2, 1), (1, 1), (2, 1)],
        [(4, 2), (1, 1), (1, 1)], [(1, 4), (1, 1), (1, 2)], [(3, 1), (1, 1), (1, 1)], [(3, 2), (1, 1), (3, 1)],
        [(1, 3), (1, 3), (1, 3)],
    )
}  # fmt: skip
ALL_FACTORS = FACTORS | ODD_FACTORS

# (height, width) and targets: for divisors 1 to 8, boxes that are no multiples of them.
SHAPES = [(257, 310), (128, 160), (255, 263), (97, 300), (300, 41), (161, 225)]
TARGETS = [(1, 1), (3, 5), (8, 9), (15, 14), (16, 19), (31, 40), (70, 80)]


@functools.lru_cache(64)
def crafted(shape, kind):
    return craft(*shape, ALL_FACTORS[kind], quantisation=jpeg_blocks.UNEVEN)


@functools.lru_cache(256)
def samples(shape, kind, d):
    return reduced(crafted(shape, kind), *shape, d)


def check(shape, kind, d, target, gap=1.0, name="bilinear", **options):
    actual = resized(crafted(shape, kind).data, target, gap, resample=name, **options)
    expected, doubt = resize_reduced(samples(shape, kind, d), shape, target, resample_name=name, **options)
    assert_closer(actual, expected, doubt, f"{shape} {kind} / {d} to {target} {name} {options}")
    return actual


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", FACTORS)
def test_from_low_pass_samples(kind, shape):
    data, found = crafted(shape, kind).data, set()
    for name in FILTERS:
        for target in TARGETS:
            images = {1: resized(data, target, None, resample=name)}
            for gap in (1, 1.5, 2.0, 3):
                d = divisor(shape, target, gap)
                found.add(d)
                if d in images:
                    assert_same(resized(data, target, gap, resample=name), images[d])
                else:
                    images[d] = check(shape, kind, d, target, gap, name)
    assert len(found) > 1


@pytest.mark.parametrize("d", [2, 4, 8])
@pytest.mark.parametrize("kind", ALL_FACTORS)
def test_every_rest(kind, d):
    # Whatever of the last blocks belongs to the image; and results that are as many as whole samples, or fewer.
    for rest in range(16):
        shape = (48 + rest, 64 + (5 * rest + 3) % 16)
        for name in ("bilinear", "lanczos"):
            check(shape, kind, d, tuple(n // d for n in shape), name=name)
            target = tuple(int(0.7 * n / d) for n in shape)
            check(shape, kind, d, target, name=name, fit="cover")


@pytest.mark.parametrize("kind", ALL_FACTORS)
def test_crops_reduce_by_their_own_size(kind):
    # At the image's edges and away from them; from where a sample begins and from within.
    shape = (176, 272)
    for top, left, height, width in (
        (0, 0, 150, 203), (16, 32, 160, 240), (3, 5, 113, 267), (77, 100, 99, 172), (95, 81, 81, 64), (41, 23, 17, 19),
    ):  # fmt: skip
        for target in ((2, 2), (8, 8), (11, 4), (4, 13), (20, 25)):
            for fit in ("stretch", "cover"):
                box = cover_box(height, width, target) if fit == "cover" else (0, 0, height, width)
                d = divisor((box[2] - box[0], box[3] - box[1]), target, 1)
                options = {"fit": fit, "crop": (top, left, height, width)}
                data = crafted(shape, kind).data
                if d > 1:
                    image = check(shape, kind, d, target, **options)
                else:
                    image = resized(data, target, 1.0, **options)
                    assert_same(image, resized(data, target, None, **options))
                assert_same(resized(data, target, 1.0, flip=True, **options), image[:, ::-1])


@pytest.mark.parametrize("kind", FACTORS)
def test_orientations(kind):
    shape = (101, 133)
    data = crafted(shape, kind).data
    for target in ((11, 15), (19, 26), (40, 60)):
        d = divisor(shape, target, 1)
        image, doubt = resize_reduced(samples(shape, kind, d), shape, target, resample_name="bicubic")
        for orientation in range(1, 9):
            expected, away = (jpegs.upright(each, orientation) for each in (image, doubt))
            turned = jpegs.oriented(data, orientation)
            actual = resized(turned, expected.shape[:2], 1.0, resample="bicubic")
            assert_closer(actual, expected, away, f"{target} {orientation}")


@pytest.mark.parametrize("kind", jpegs.SUBSAMPLINGS)
def test_progressive_is_the_same(kind):
    # All coefficients of a progressive file are decoded; of a baseline file only those that are needed.
    for shape in ((67, 91), (120, 153)):
        baseline, progressive = (jpegs.jpeg(*shape, kind, progressive=each) for each in (False, True))
        for d in (2, 4, 8):
            target = tuple(n // d for n in shape)
            assert_same(resized(baseline, target, 1.0), resized(progressive, target, 1.0))


@pytest.mark.parametrize("kind", jpegs.SUBSAMPLINGS)
def test_nothing_stays_reduced(kind):
    # One thread has one decoder, which keeps its state between images.
    images = [jpegs.jpeg(120, 153, kind, seed=seed) for seed in (1, 2)]
    exact = [fastimg.decode(data) for data in images]
    for d in (2, 4, 8):
        resized(images[0], (120 // d, 153 // d), 1.0)
        for data, expected in zip(images, exact, strict=True):
            assert_same(fastimg.decode(data), expected)


# ---- when --------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [(10, 10), (16, 5), (5, 16)])
@pytest.mark.parametrize("subsampling", jpegs.SUBSAMPLINGS)
def test_the_limit_is_exact(subsampling, target):
    # At 2 * gap times the target there is a divisor of 2; a pixel less in one direction, and there is none.
    for gap in (1, 1.5, 2.0):
        height, width = (int(2 * gap * n) for n in target)
        for missing in ((0, 0), (1, 0), (0, 1), (1, 1)):
            crop = (3, 5, height - missing[0], width - missing[1])
            data = jpegs.jpeg(80, 90, subsampling)
            exact = resized(data, target, None, crop=crop)
            image = resized(data, target, gap, crop=crop)
            assert (image == exact).all() == (missing != (0, 0)), (gap, missing)


@pytest.mark.parametrize("subsampling", jpegs.SUBSAMPLINGS)
def test_a_gap_that_never_reduces(subsampling):
    data = jpegs.jpeg(200, 210, subsampling)
    for target in ((1, 1), (9, 13), (90, 90)):
        exact = resized(data, target, None)
        for gap in (math.inf, 1e300, 500, np.float32(300), np.int64(1000)):
            assert_same(resized(data, target, gap), exact)


def smooth(shape):
    """Three waves in different directions: (height, width, 3)."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    waves = [128 + 100 * np.sin(x / a + y / b) for a, b in ((19, 23), (31, -17), (-25, 29))]
    return np.stack(waves, 2).astype(np.uint8)


@pytest.mark.parametrize("subsampling", jpegs.SUBSAMPLINGS)
@pytest.mark.parametrize("progressive", [False, True])
def test_near_to_the_exact_image(subsampling, progressive):
    # Of smooth pictures, what DCT scaling loses is hardly anything; at the edges only where samples are missing that
    # are partly padding, so at a divisor of 8. In decibels:
    least = {1: math.inf, 2: 52, 4: 47, 8: 42}
    for shape in ((257, 310), (201, 331), (255, 249)):
        data = jpegs.turbo(smooth(shape), subsampling, quality=97, progressive=progressive)
        for orientation in (1, 3, 6):
            turned = jpegs.oriented(data, orientation)
            for target in ((16, 15), (31, 30), (60, 61)):
                # The samplings whose chroma libjpeg scales by as much as luma lose some of it.
                mode = "L" if subsampling in ("4:2:2", "4:4:0", "4:1:1") else "RGB"
                exact = resized(turned, target, None, mode=mode)
                for gap in (1.0, 1.5, 2.0):
                    d = divisor(shape, target if orientation < 5 else target[::-1], gap)
                    inside = slice(1, -1) if d == 8 else slice(None)
                    image = resized(turned, target, gap, mode=mode)
                    assert psnr(image[inside, inside], exact[inside, inside]) >= least[d]


@pytest.mark.parametrize("subsampling", ["4:2:2", "4:4:0", "4:1:1"])
def test_no_more_chroma_is_lost_than_by_libjpegs_own_colours(subsampling):
    data = jpegs.turbo(smooth((256, 320)), subsampling, quality=97)
    for orientation in (1, 3, 6):
        turned = jpegs.oriented(data, orientation)
        for target in ((16, 15), (31, 30), (60, 61)):
            exact = resized(turned, target, None)
            stored = target if orientation < 5 else target[::-1]
            for gap in (1.0, 1.5, 2.0):
                d = divisor((256, 320), stored, gap)
                if d < 8:  # at 8, libjpeg does not interpolate chroma
                    theirs = to_pixels(jpegs.upright(scaled_rgb(data, stored, d), orientation))
                    # Of the chroma of 4:1:1 so much is lost that hardly anything else matters.
                    worse = 0.5 if subsampling == "4:1:1" else 0
                    assert psnr(resized(turned, target, gap), exact) > psnr(theirs, exact) - worse


# ---- what lies beyond the edges ----------------------------------------------------------------

GARBAGE_FACTORS = {
    "4:4:4": FACTORS["4:4:4"], "4:2:2": FACTORS["4:2:2"], "4:2:0": FACTORS["4:2:0"], "4:4:0": FACTORS["4:4:0"],
    "4:1:1": FACTORS["4:1:1"], "grey": [(1, 1)], "2x2,2x1,1x1": [(2, 2), (2, 1), (1, 1)],
    "1x1,2x2,2x2": [(1, 1), (2, 2), (2, 2)], "2x1,1x1,2x1": [(2, 1), (1, 1), (2, 1)],
}  # fmt: skip


def garbage_pair(shape, factors):
    """Two files of one image, with other garbage in the blocks that stick out."""
    planes = [
        jpegs.pixels(*jpeg_blocks.component_size(*shape, factors, i), 1, seed=i)[:, :, 0] // 2 + 64
        for i in range(len(factors))
    ]
    pair = [jpeg_blocks.with_garbage(planes, *shape, factors, seed) for seed in (1, 2)]
    assert pair[0] != pair[1]
    images = [jpegs.rgb_pillow(data) for data in pair]
    assert_same(*images)  # or there is nothing to compare
    assert_same(*[fastimg.decode(data, layout="HWC") for data in pair])
    # And that the image is what it should be, but for the rounding of whole blocks.
    whole = to_pixels(to_rgb(assemble(planes, factors, *shape))).astype(int)
    assert np.abs(whole - images[0]).max() <= 4
    return pair


@pytest.mark.parametrize("kind", GARBAGE_FACTORS)
@pytest.mark.parametrize("shape", [(1, 1), (9, 17), (17, 2), (25, 43), (36, 33)], ids=str)
def test_padding_never_leaks(kind, shape):
    pair = garbage_pair(shape, GARBAGE_FACTORS[kind])
    for orientation in (1, 6, 8):
        turned = [jpegs.oriented(data, orientation) for data in pair]
        for target in ((1, 1), (3, 4), (9, 20), (25, 43), (60, 50)):
            for name in FILTERS:
                for mode in ("RGB", "L"):
                    assert_same(*[resized(data, target, None, resample=name, mode=mode) for data in turned])


@pytest.mark.parametrize("kind", GARBAGE_FACTORS)
@pytest.mark.parametrize("shape", [(129, 161), (97, 193), (91, 164)], ids=str)
def test_padding_never_leaks_through_scaling(kind, shape):
    # Of the last blocks, one row and one column belong to the image: less than a sample, whatever the divisor. Or more.
    pair = garbage_pair(shape, GARBAGE_FACTORS[kind])
    for orientation in (1, 2, 7):
        turned = [jpegs.oriented(data, orientation) for data in pair]
        for target in ((1, 1), (7, 9), (11, 12), (20, 30), (45, 80)):
            for gap in (1.0, 2.0):
                for name in ("bilinear", "lanczos"):
                    for fit in ("stretch", "contain"):
                        options = {"resample": name, "fit": fit, "pad_value": 128}
                        assert_same(*[resized(data, target, gap, **options) for data in turned])


@pytest.mark.parametrize("kind", GARBAGE_FACTORS)
def test_padding_never_leaks_into_the_only_sample(kind):
    # At a divisor of 8, none of some components' samples is whole.
    for shape in ((9, 12), (12, 9), (26, 9), (9, 31), (20, 20)):
        pair = garbage_pair(shape, GARBAGE_FACTORS[kind])
        for target in ((1, 1), (1, 2), (2, 1), (2, 2)):
            assert_same(*[resized(data, target, 1.0) for data in pair])


@pytest.mark.parametrize(
    "factors", [FACTORS["4:2:0"], FACTORS["4:2:2"], FACTORS["4:1:1"], FACTORS["4:4:4"]], ids=str
)
def test_padding_never_leaks_into_a_reference(factors):
    # The garbage is in partial blocks of any width: the image is near to what its true samples say.
    for shape in ((21, 35), (14, 29)):
        data = garbage_pair(shape, factors)[0]
        kind = next(name for name, value in FACTORS.items() if value == factors)
        true = sample(data, kind)
        for target in ((5, 9), (40, 50)):
            reference = to_rgb(resample(true.image, target, "lanczos"))
            assert_close(resized(data, target, None, resample="lanczos"), reference, f"{shape} {target}")
