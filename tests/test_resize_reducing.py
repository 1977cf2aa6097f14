# SPDX-License-Identifier: BSD-3-Clause
"""DCT scaling on the way to a smaller size: when, by how much, from which samples; and no sample from outside."""

import math

import jpeg_blocks
import jpegs
import numpy as np
import pytest
from jpegs import assert_same
from resize_reference import (
    FACTORS,
    FILTERS,
    assemble,
    assert_close,
    cover_box,
    psnr,
    resample,
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


def reduced(data, subsampling, target, d, name, box):
    """The image from samples that libjpeg scaled: those that are partly padding are left out."""
    height, width = jpegs.size(data)
    if subsampling == "4:0:0":
        planes = [jpegs.grey_turbo_scaled(data, d)[:, :, 0]]
    else:
        planes = jpegs.turbo_planes(data, d)
        if (
            subsampling == "4:2:0" and d > 1
        ):  # libjpeg scales chroma by half as much, then it needs no upsampling
            planes = [planes[0], *jpegs.turbo_planes(data, d // 2)[1:]]
    image = np.stack([plane[: height // d, : width // d] for plane in planes], 2).astype(float)
    return resample(image, target, name, [edge / d for edge in box])


def scaled_rgb(data, target, d):
    """From libjpeg's scaled RGB, whole samples."""
    height, width = jpegs.size(data)
    image = jpegs.rgb_turbo_scaled(data, d)[: height // d, : width // d]
    return resample(image.astype(float), target, "bilinear", (0, 0, height / d, width / d))


# (height, width) and targets: for divisors 1 to 8, boxes that are no multiples of them.
SHAPES = [(257, 310), (128, 160), (255, 263), (97, 300), (300, 41), (161, 225)]
TARGETS = [(1, 1), (3, 5), (8, 9), (15, 14), (16, 19), (31, 40), (70, 80)]


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("subsampling", ["4:0:0", "4:4:4"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_from_scaled_samples(shape, subsampling, name):
    data = jpegs.jpeg(*shape, subsampling)
    box = (0, 0, *shape)
    found = set()
    for target in TARGETS:
        for gap in (1, 1.5, 2.0, 3):
            d = divisor(shape, target, gap)
            found.add(d)
            if d > 1:
                reference = to_rgb(reduced(data, subsampling, target, d, name, box))
                assert_close(resized(data, target, gap, resample=name), reference, f"{target} {gap} {d}")
            else:
                assert_same(
                    resized(data, target, gap, resample=name), resized(data, target, None, resample=name)
                )
    assert len(found) > 1


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("shape", [(256, 320), (128, 160), (96, 400)], ids=str)
def test_chroma_has_a_scale_of_its_own(shape, name):
    # Sizes that are multiples of 16: no component has a sample that is partly padding.
    data = jpegs.jpeg(*shape, "4:2:0")
    for target in TARGETS:
        for gap in (1, 2):
            d = divisor(shape, target, gap)
            if d > 1:
                reference = to_rgb(reduced(data, "4:2:0", target, d, name, (0, 0, *shape)))
                assert_close(resized(data, target, gap, resample=name), reference, f"{target} {gap} {d}")


def test_cover_and_crop_reduce_by_their_own_boxes():
    shape = (200, 264)
    for subsampling in ("4:0:0", "4:4:4"):
        data = jpegs.jpeg(*shape, subsampling)
        for target in ((8, 8), (11, 4), (4, 13), (20, 25)):
            for gap in (1.0, 2.0):
                box = cover_box(*shape, target)
                d = divisor((box[2] - box[0], box[3] - box[1]), target, gap)
                reference = to_rgb(reduced(data, subsampling, target, d, "bilinear", box))
                assert_close(resized(data, target, gap, fit="cover"), reference, f"{target} {gap} {d}")
                if d == 1:
                    assert_same(
                        resized(data, target, gap, fit="cover"), resized(data, target, None, fit="cover")
                    )


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
    # Of smooth pictures, what DCT scaling loses is hardly anything. Not so at the edges, where samples that are
    # partly padding are missing.
    for shape in ((257, 310), (201, 331), (255, 249)):
        data = jpegs.turbo(smooth(shape), subsampling, quality=97, progressive=progressive)
        for orientation in (1, 3, 6):
            turned = jpegs.oriented(data, orientation)
            for target in ((16, 15), (31, 30), (60, 61)):
                # The samplings whose chroma libjpeg scales by as much as luma lose some of it.
                mode = "L" if subsampling in ("4:2:2", "4:4:0", "4:1:1") else "RGB"
                exact = resized(turned, target, None, mode=mode)[1:-1, 1:-1]
                for gap in (1.0, 1.5, 2.0):
                    assert psnr(resized(turned, target, gap, mode=mode)[1:-1, 1:-1], exact) > 42


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
                    assert psnr(resized(turned, target, gap), exact) > psnr(theirs, exact) - 0.5


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
@pytest.mark.parametrize("shape", [(129, 161), (97, 193)], ids=str)
def test_padding_never_leaks_through_scaling(kind, shape):
    # One row and one column of the last blocks belong to the image: no scaled sample of theirs is all image.
    pair = garbage_pair(shape, GARBAGE_FACTORS[kind])
    for orientation in (1, 2, 7):
        turned = [jpegs.oriented(data, orientation) for data in pair]
        for target in ((1, 1), (3, 4), (7, 9), (11, 12), (20, 30), (31, 40), (48, 80)):
            for gap in (1.0, 2.0):
                for name in ("bilinear", "lanczos"):
                    for fit in ("stretch", "contain"):
                        options = {"resample": name, "fit": fit, "pad_value": 128}
                        assert_same(*[resized(data, target, gap, **options) for data in turned])


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
