# SPDX-License-Identifier: BSD-3-Clause
"""Real photos against Pillow's own resizing of the exact image: how near, how well aligned, the worst one too."""

import functools
import io

import numpy as np
import pytest
from PIL import Image, ImageOps
from support import jpegs
from support.resize_reference import PILLOW, contain_size, place, psnr

import fastimg


@pytest.fixture(scope="module")
def photos(shared):
    """Every fifth photo, as bytes."""
    paths = sorted((shared / "photos").iterdir())[::5]
    assert len(paths) >= 20
    return [path.read_bytes() for path in paths]


def draft(data, size, name, gap):
    """Pillow's way: DCT scaling, then an antialiased filter. Upright, as the other is."""
    picture = Image.open(io.BytesIO(data))
    assert jpegs.orientation_of(data) == 1
    picture.draft("RGB", tuple(round(n * gap) for n in size))
    return np.array(picture.convert("RGB").resize(size, PILLOW[name], reducing_gap=gap))


@functools.lru_cache(None)
def _full(data):
    return jpegs.rgb_pillow(data)


def full(data, size, name):
    return np.array(Image.fromarray(_full(data)).resize(size[::-1], PILLOW[name]))


def blurred(image):
    for _ in range(4):
        image = (image[:-2] + 2 * image[1:-1] + image[2:]) / 4
        image = (image[:, :-2] + 2 * image[:, 1:-1] + image[:, 2:]) / 4
    return image


def alignment(actual, expected):
    """(down, right): by how many pixels `actual` is to be moved to lie best on `expected`; least squares.

    actual(x) = expected(x - shift), to first order expected - shift * gradient. Differences of pixels are no
    good gradients of fine detail, so both are blurred.
    """
    actual, expected = (blurred(image.astype(float).mean(2)) for image in (actual, expected))
    down, right = (gradient[1:-1, 1:-1].ravel() for gradient in np.gradient(expected))
    difference = (actual - expected)[1:-1, 1:-1].ravel()
    return -np.linalg.lstsq(np.stack([down, right], 1), difference, rcond=None)[0]


def test_alignment_is_found():
    # That the estimate sees a shift of a fiftieth of a pixel: resampled from a box that lies so much aside.
    rough = np.random.default_rng(0).integers(0, 256, (30, 40), np.uint8)
    image = Image.fromarray(rough).resize((400, 300), Image.Resampling.BICUBIC)
    for down, right in ((0.02, 0), (0, -0.02), (0.05, 0.03), (-0.25, 0.1)):
        straight = np.array(image.resize((100, 75), Image.Resampling.BILINEAR, box=(8, 8, 392, 292)))
        box = (8 - 3.84 * right, 8 - 284 / 75 * down, 392 - 3.84 * right, 292 - 284 / 75 * down)
        moved = np.array(image.resize((100, 75), Image.Resampling.BILINEAR, box=box))
        found = alignment(moved[:, :, None], straight[:, :, None])
        np.testing.assert_allclose(found, (down, right), rtol=0.1, atol=0.003)


# Decibels: the mean over all photos, and the worst.
@pytest.mark.parametrize(
    ("name", "mean", "worst"), [("bilinear", 50, 40), ("bicubic", 48, 38), ("lanczos", 48, 38)]
)
@pytest.mark.parametrize("side", [256, 224])
def test_like_resizing_the_whole_image(photos, side, name, mean, worst):
    found = []
    for data in photos:
        actual = fastimg.decode(data, size=side, resample=name, reducing_gap=None, layout="HWC")
        reference = full(data, (side, side), name)
        found.append(psnr(actual, reference))
        assert np.abs(alignment(actual, reference)).max() < 0.02
    assert np.mean(found) >= mean
    assert min(found) >= worst


@pytest.mark.parametrize("name", ["bilinear", "box", "hamming", "bicubic", "lanczos"])
@pytest.mark.parametrize("size", [(97, 300), (500, 700), (64, 64)])
def test_other_sizes(photos, size, name):
    found = []
    for data in photos[::3]:
        actual = fastimg.decode(data, size=size, resample=name, reducing_gap=None, layout="HWC")
        reference = full(data, size, name)
        found.append(psnr(actual, reference))
        # A box's edges, half a level up or down, look like shifts where a picture is nearly flat.
        assert name == "box" or np.abs(alignment(actual, reference)).max() < 0.02
    assert np.mean(found) >= 48
    assert min(found) >= 38


@pytest.mark.parametrize("name", ["bilinear", "bicubic", "lanczos"])
def test_reducing_is_no_worse_than_pillows_draft(photos, name):
    ours, theirs = [], []
    for data in photos:
        reference = full(data, (64, 64), name)
        actual = fastimg.decode(data, size=64, resample=name, reducing_gap=2.0, layout="HWC")
        ours.append(psnr(actual, reference))
        theirs.append(psnr(draft(data, (64, 64), name, 2.0), reference))
        if theirs[-1] == np.inf:  # too small a photo to reduce: the same computation as the reference
            assert (
                actual == fastimg.decode(data, size=64, resample=name, reducing_gap=None, layout="HWC")
            ).all()
            assert ours.pop() >= 40 and theirs.pop()
        assert np.abs(alignment(actual, reference)).max() < 0.02
    assert np.mean(ours) >= max(50, np.mean(theirs))
    assert min(ours) >= max(45, min(theirs))
    # The photos one by one: half a decibel worse is something that is wrong, not a different rounding.
    assert np.min(np.subtract(ours, theirs)) > -0.5


def test_reducing_is_the_default(photos):
    for data in photos[::6]:
        small = fastimg.decode(data, size=64)
        assert (small == fastimg.decode(data, size=64, reducing_gap=2.0)).all()
        assert (
            small == fastimg.decode(data, size=64, reducing_gap=2, resample="bilinear", fit="stretch")
        ).all()
        assert (small != fastimg.decode(data, size=64, reducing_gap=None)).any()


def test_cover_and_contain(photos):
    for data in photos[::3]:
        picture = Image.fromarray(_full(data))
        for size in ((224, 224), (120, 300)):
            options = {"size": size, "reducing_gap": None, "layout": "HWC"}
            fitted = np.array(ImageOps.fit(picture, size[::-1], Image.Resampling.BILINEAR))
            actual = fastimg.decode(data, fit="cover", **options)
            assert psnr(actual, fitted) >= 40
            assert np.abs(alignment(actual, fitted)).max() < 0.02
            padded = np.array(ImageOps.pad(picture, size[::-1], Image.Resampling.BILINEAR, color=(9, 8, 7)))
            actual = fastimg.decode(data, fit="contain", pad_value=(9, 8, 7), **options)
            assert psnr(actual, padded) >= 40
            inner = np.ones((*contain_size(*_full(data).shape[:2], size), 1), bool)
            assert (actual[~place(inner, size, False)[:, :, 0]] == (9, 8, 7)).all()


@pytest.mark.parametrize("crop", [(30, 40, 200, 180), (101, 7, 99, 240)])
def test_crops(photos, crop):
    top, left, height, width = crop
    for data in photos[::4]:
        if _full(data).shape[0] < top + height or _full(data).shape[1] < left + width:
            continue
        part = Image.fromarray(_full(data)[top : top + height, left : left + width])
        reference = np.array(part.resize((224, 224), Image.Resampling.BILINEAR))
        actual = fastimg.decode(data, size=224, crop=crop, reducing_gap=None, layout="HWC")
        assert psnr(actual, reference) >= 40
        assert np.abs(alignment(actual, reference)).max() < 0.02
