# SPDX-License-Identifier: BSD-3-Clause
"""Resizing while decoding, against the slow reference: never more than one level apart."""

import functools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support import jpegs
from support.resize_reference import (
    FILTERS,
    assert_close,
    crafted_sample,
    expected,
    resample,
    rgb_sample,
    sample,
    to_pixels,
    to_rgb,
)

import fastimg

ODD_FACTORS = [
    [(2, 2), (2, 1), (1, 1)],
    [(2, 2), (1, 2), (2, 1)],
    [(1, 1), (2, 2), (2, 2)],
    [(2, 1), (1, 1), (2, 1)],
    [(1, 2), (1, 1), (1, 2)],
    [(4, 2), (1, 1), (1, 1)],
    [(1, 4), (1, 1), (1, 2)],
    [(3, 1), (1, 1), (1, 1)],
    [(1, 3), (1, 1), (1, 3)],
    [(3, 2), (1, 1), (3, 1)],
    [(1, 3), (1, 3), (1, 3)],
]


def check(sample, size, **options):
    """Compare; returns the pixels and the reference that is not rounded."""
    reference = expected(sample, size, **options)
    pixels = fastimg.decode(sample.data, size=size, layout="HWC", reducing_gap=None, **options)
    assert_close(pixels, reference, f"{jpegs.size(sample.data)} to {size}, {options}")
    return pixels, reference


@functools.lru_cache(None)
def colored(height, width, subsampling, seed=0, progressive=False):
    return sample(jpegs.jpeg(height, width, subsampling, seed=seed, progressive=progressive), subsampling)


# ---- the grid ----------------------------------------------------------------------------------


def grid():
    """(height, width), (target height, target width): every source up to 70, all over 1 to 140."""
    for n in range(1, 71):
        yield (n, 37 * n % 71), (1 + 23 * n % 140, 1 + 59 * n % 140)
        yield (29 * n % 71, n), (1 + n % 9, 1 + 7 * n % 11)
    for n in range(1, 8):
        for m in range(1, 8):
            yield (n, m), (1 + 13 * n % 17, 1 + 11 * m % 19)


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("subsampling", jpegs.SUBSAMPLINGS)
def test_grid(subsampling, name):
    for source, target in grid():
        check(colored(*source, subsampling), target, resample=name)


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("factors", ODD_FACTORS, ids=str)
def test_odd_factors(factors, name):
    for size, target in (
        ((1, 1), (3, 2)), ((2, 3), (5, 7)), ((5, 4), (2, 3)), ((9, 17), (20, 9)), ((33, 26), (12, 61)),
        ((47, 35), (46, 35)), ((64, 70), (7, 5)),
    ):  # fmt: skip
        check(odd(*size, tuple(factors)), target, resample=name)


@functools.lru_cache(None)
def odd(height, width, factors):
    return crafted_sample(height, width, factors, seed=height)


@pytest.mark.parametrize("subsampling", jpegs.SUBSAMPLINGS)
@pytest.mark.parametrize("progressive", [False, True])
def test_every_target(subsampling, progressive):
    # One source, so that what a worker keeps between calls is for many targets.
    source = colored(41, 58, subsampling, progressive=progressive)
    names = list(FILTERS)
    for n in range(1, 141):
        check(source, (n, 141 - n), resample=names[n % 5])


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("size", [(1, 300), (300, 1), (301, 7), (7, 301), (1, 1), (517, 3), (223, 400)])
def test_long_and_thin(size, name):
    # Every row and column of one direction at once, or a strip's worth from a column.
    for subsampling in ("4:2:0", "4:4:4", "4:1:1"):
        for source in ((1, 257), (257, 1), (130, 200)):
            check(colored(*source, subsampling), size, resample=name)


@pytest.mark.parametrize("name", FILTERS)
def test_rounded_without_bias(name):
    # One rounding leaves errors of uniform distribution: mean 0, standard deviation 0.289.
    errors = []
    for seed, subsampling in enumerate(jpegs.SUBSAMPLINGS):
        source = colored(70, 67, subsampling, seed)
        for target in ((31, 45), (90, 101)):
            pixels, reference = check(source, target, resample=name)
            inside = (reference > 1) & (reference < 254)
            errors.append((pixels - reference)[inside])
    errors = np.concatenate(errors)
    assert abs(errors.mean()) < 0.02
    assert errors.std() < 0.32


# ---- extremes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0", "4:0:0"])
def test_overshoot(subsampling, name):
    # Black and white stripes: bicubic and lanczos leave 0..255, which must clip and not wrap.
    for period in (2, 3, 5, 8, 13):
        y, x = np.mgrid[:48, :57]
        image = np.where((x // period + y // period) % 2, 255, 0).astype(np.uint8)
        image = np.stack([image, np.roll(image, 3, 1), 255 - image], 2)
        source = sample(jpegs.turbo(image, subsampling, quality=100), subsampling)
        for target in ((20, 21), (48, 30), (99, 113)):
            check(source, target, resample=name)


@pytest.mark.parametrize("value", [0, 1, 37, 128, 200, 254, 255])
@pytest.mark.parametrize("name", FILTERS)
def test_flat_stays_flat(value, name):
    # Weights add up to one exactly, whatever their number: no level is lost.
    for channels, subsampling in ((1, "4:0:0"), (3, "4:2:0")):
        data = jpegs.turbo(np.full((61, 83, channels), value, np.uint8), subsampling, quality=100)
        full = fastimg.decode(data)
        assert (full == value).all()
        for target in ((1, 1), (3, 83), (7, 9), (60, 82), (61, 200), (140, 139)):
            pixels = fastimg.decode(data, size=target, resample=name, reducing_gap=None)
            assert (pixels == value).all(), target


# ---- kinds of file -----------------------------------------------------------------------------


def kinds():
    for size in ((1, 1), (3, 2), (23, 40), (66, 53)):
        yield f"CMYK {size}", rgb_sample(jpegs.pillow(jpegs.pixels(*size, 4)))
        yield f"YCCK {size}", rgb_sample(jpegs.turbo(jpegs.pixels(*size, 4)))
        yield f"progressive YCCK {size}", rgb_sample(jpegs.turbo(jpegs.pixels(*size, 4), progressive=True))
        yield f"RGB {size}", rgb_sample(jpegs.pillow(jpegs.pixels(*size), keep_rgb=True))
        grey = jpegs.turbo(jpegs.pixels(*size, 1), progressive=size[0] % 2 == 0)
        yield f"grey {size}", sample(grey, "4:0:0")
        restarts = jpegs.restarts(*size, blocks=2)
        yield f"restarts {size}", sample(restarts, "4:2:0")
        for subsampling in ("4:2:0", "4:4:0", "4:1:1"):
            progressive = jpegs.jpeg(*size, subsampling, progressive=True)
            yield f"progressive {subsampling} {size}", sample(progressive, subsampling)
        arithmetic = jpegs.arithmetic(jpegs.pixels(*size), "4:2:2")
        yield f"arithmetic {size}", sample(arithmetic, "4:2:2")


KINDS = dict(kinds())


@pytest.mark.parametrize("mode", ["RGB", "BGR", "L"])
@pytest.mark.parametrize("kind", KINDS)
def test_kinds(kind, mode):
    for target in ((1, 1), (2, 5), (30, 31), (23, 40), (90, 70)):
        for name in FILTERS:
            check(KINDS[kind], target, mode=mode, resample=name)


def rgb_in_jpeg(size, factors):
    """Components named R, G, B, green and blue of fewer samples."""
    made = crafted_sample(*size, factors)
    data = made.data
    start = jpegs.segments(data)[-1][1]
    data = jpegs.reframed(data, ids=b"RGB")
    names = bytearray(data)
    names[start + 5 : start + 11 : 2] = b"RGB"
    return made._replace(data=bytes(names), color="RGB")


@pytest.mark.parametrize(
    "factors", [[(1, 1)] * 3, [(2, 2), (1, 1), (1, 1)], [(2, 1), (1, 1), (2, 1)]], ids=str
)
@pytest.mark.parametrize("size", [(5, 4), (40, 39)])
def test_rgb_of_any_factors(size, factors):
    source = rgb_in_jpeg(size, factors)
    assert fastimg.read_header(source.data).color_space == "RGB"
    for target in ((3, 3), (17, 51), (60, 44)):
        for mode in ("RGB", "BGR", "L"):
            check(source, target, mode=mode)


# ---- the reference itself ------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILTERS)
def test_the_reference_is_pillows(name):
    from PIL import Image
    from support.resize_reference import PILLOW

    rng = np.random.default_rng(0)
    for _ in range(40):
        (height, width), target = rng.integers(1, 71, 2), rng.integers(1, 141, 2)
        image = rng.integers(0, 256, (height, width)).astype(np.float32)
        pillow = Image.fromarray(image).resize((int(target[1]), int(target[0])), PILLOW[name])
        ours = resample(image[:, :, None].astype(float), (int(target[0]), int(target[1])), name)
        np.testing.assert_allclose(ours[:, :, 0], np.array(pillow), rtol=0, atol=0.01)


@pytest.mark.parametrize("subsampling", jpegs.SUBSAMPLINGS)
def test_the_reference_is_libjpegs(subsampling):
    for size in ((1, 1), (2, 2), (3, 5), (16, 16), (37, 70)):
        source = colored(*size, subsampling)
        difference = to_pixels(to_rgb(source.image)).astype(int) - jpegs.rgb_turbo(source.data)
        assert np.abs(difference).max() <= 1


# ---- anything ----------------------------------------------------------------------------------


@st.composite
def anything(draw):
    height, width = draw(st.integers(1, 70)), draw(st.integers(1, 70))
    subsampling = draw(st.sampled_from(list(jpegs.SUBSAMPLINGS)))
    source = colored(height, width, subsampling, draw(st.integers(0, 3)), draw(st.booleans()))
    orientation = draw(st.integers(1, 8))
    source = source._replace(data=jpegs.oriented(source.data, orientation))
    options = {
        "mode": draw(st.sampled_from(["RGB", "BGR", "L"])),
        "resample": draw(st.sampled_from(list(FILTERS))),
        "flip": draw(st.booleans()),
        "orient": draw(st.booleans()),
        "fit": draw(st.sampled_from(["stretch", "contain"])),
    }
    if options["fit"] == "contain":
        options["pad_value"] = draw(st.integers(0, 255))
    if options["orient"] and orientation >= 5:
        height, width = width, height
    if draw(st.booleans()):
        top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        options["crop"] = (top, left, draw(st.integers(1, height - top)), draw(st.integers(1, width - left)))
    return source, (draw(st.integers(1, 140)), draw(st.integers(1, 140))), options


MIRRORED = sample(jpegs.oriented(jpegs.jpeg(1, 2, "4:2:2"), 2), "4:2:2")


# Half way between two samples, "box" takes the left one, of the upright image.
@settings(max_examples=1000)
@example((MIRRORED, (1, 3), {"resample": "box"}))
@given(anything())
def test_anything(drawn):
    source, size, options = drawn
    check(source, size, **options)
