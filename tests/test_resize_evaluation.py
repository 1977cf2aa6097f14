# SPDX-License-Identifier: BSD-3-Clause
"""torchvision's Resize and CenterCrop, boxes of fractions, and where output pixels come from."""

import io
import math
import os
import pathlib

import numpy as np
import pytest
from PIL import Image, ImageOps
from support import jpegs
from support.jpegs import assert_same
from support.resize_reference import resample, to_pixels

import fastimg

# ---- torchvision's arithmetic, written anew ----------------------------------------------------


def resized_size(height, width, *, shorter=None, longer=None):
    """Height and width as integers, the other side rounded down."""
    given = shorter or longer
    if (width <= height) == (shorter is not None):
        return max(1, given * height // width), given
    return given, max(1, given * width // height)


def centered(image, size, value=0):
    """(H, W, C) cut or padded to `size`, halves as Python rounds them."""
    pads, starts = [], []
    for length, wanted in zip(image.shape, size, strict=False):
        missing = max(0, wanted - length)
        pads.append((missing // 2, (missing + 1) // 2))
        starts.append(round((length + missing - wanted) / 2))
    filled = np.stack([np.pad(image[:, :, c], pads, constant_values=value) for c in range(image.shape[2])], 2)
    return filled[starts[0] : starts[0] + size[0], starts[1] : starts[1] + size[1]]


def close(found, wanted, most=1):
    """Whether pixels differ by rounding only: the reference has exact weights."""
    difference = np.abs(found.astype(int) - wanted.astype(int))
    return found.shape == wanted.shape and difference.max(initial=0) <= most


def files():
    """Grey JPEGs: the reference may begin with their pixels, as no colour was clipped."""
    for height, width in ((40, 61), (61, 40), (50, 50), (1, 33), (33, 2), (97, 130)):
        yield height, width, jpegs.turbo(jpegs.pixels(height, width, 1))


# ---- sizes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["shorter", "longer"])
def test_sizes_are_torchvisions(name):
    for height, width, data in files():
        for side in (1, 7, 32, 40, 50, 61, 64):
            image = fastimg.decode(data, **{f"resize_{name}": side})
            assert image.shape[1:] == resized_size(height, width, **{name: side}), (height, width, side)


def test_one_side_as_it_is_means_no_resampling():
    data = jpegs.jpeg(40, 61)
    for options in ({"resize_shorter": 40}, {"resize_longer": 61}):
        assert_same(fastimg.decode(data, **options), fastimg.decode(data))


def test_no_side_becomes_zero():
    assert fastimg.decode(jpegs.jpeg(1, 33), resize_longer=8).shape == (3, 1, 8)


def test_a_side_that_would_be_too_large_is_refused():
    data = jpegs.jpeg(1, 3000)
    with pytest.raises(ValueError, match="height 400 and width 1200000"):
        fastimg.decode(data, resize_shorter=400)
    with pytest.raises(ValueError, match="width 1200000"):
        fastimg.load([data, data], resize_shorter=400)
    assert fastimg.decode(data, resize_shorter=400, center_crop=5).shape == (3, 5, 5)
    with pytest.raises(ValueError, match="too large"):
        _ = fastimg.ImageFileAccessor([data], resize_shorter=400, crop=(0, 0, 1, 3000)).shape


@pytest.mark.parametrize("size", [1, 2, 39, 40, 41, 60, 61, 62, 80, (7, 90), (90, 7), (41, 60)])
def test_center_crop_alone_cuts_or_pads(size):
    wanted = (size, size) if isinstance(size, int) else size
    for orientation in (1, 3, 6):
        for flip in (False, True):
            data = jpegs.oriented(jpegs.jpeg(40, 61), orientation)
            plain = fastimg.decode(data, layout="HWC")
            image = fastimg.decode(data, center_crop=size, flip=flip, layout="HWC", pad_value=9)
            expected = centered(plain, wanted, 9)
            assert_same(image, np.ascontiguousarray(expected[:, ::-1] if flip else expected))


def test_center_crop_of_a_crop():
    data = jpegs.jpeg(40, 61)
    plain = fastimg.decode(data, layout="HWC")[3:33, 10:51]
    assert_same(
        fastimg.decode(data, crop=(3, 10, 30, 41), center_crop=24, layout="HWC"), centered(plain, (24, 24))
    )


# ---- pixels ------------------------------------------------------------------------------------


@pytest.mark.parametrize("shorter", [5, 24, 40, 57])
def test_pixels_are_those_of_the_whole_image_resized(shorter):
    # Filters reach beyond the centre, as if the whole image had been resized first.
    for height, width, data in files():
        plain = fastimg.decode(data, layout="HWC").astype(float)
        whole = to_pixels(resample(plain, resized_size(height, width, shorter=shorter), "bilinear"))
        for size in ((16, 16), (shorter, shorter), (24, 3), (70, 70)):
            image = fastimg.decode(
                data, resize_shorter=shorter, center_crop=size, layout="HWC", reducing_gap=None
            )
            assert close(image, centered(whole, size)), (height, width, size)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_and_flip(orientation):
    upright = jpegs.turbo(jpegs.pixels(48, 61, 1))
    data = jpegs.oriented(upright, orientation)
    plain = np.array(ImageOps.exif_transpose(Image.open(io.BytesIO(data)).convert("RGB"))).astype(float)
    size = resized_size(*plain.shape[:2], shorter=31)
    for flip in (False, True):
        image = fastimg.decode(
            data, resize_shorter=31, center_crop=(20, 37), flip=flip, layout="HWC", reducing_gap=None
        )
        wanted = centered(to_pixels(resample(plain, size, "bilinear")), (20, 37))
        assert close(image, wanted[:, ::-1] if flip else wanted)


def test_all_entry_points_agree(tmp_path):
    data = [data for *_, data in files()]
    options = {"resize_shorter": 30, "center_crop": 28, "dtype": "float32", "mean": 0.5, "std": 0.25}
    expected = np.stack([fastimg.decode(each, **options) for each in data])
    assert_same(fastimg.load(data, **options), expected)
    assert_same(fastimg.ImageFileAccessor(data, **options)[:], expected)
    assert_same(np.stack(fastimg.NonUniformImageFileAccessor(data, **options)[:]), expected)
    assert fastimg.ImageFileAccessor(data, **options).shape == expected.shape


def test_results_of_several_sizes():
    data = [data for *_, data in files()]
    sizes = [resized_size(height, width, longer=20) for height, width, _ in files()]
    mixed = fastimg.NonUniformImageFileAccessor(data, resize_longer=20)
    assert [image.shape[1:] for image in mixed] == sizes
    known = fastimg.NonUniformImageFileAccessor(data, resize_longer=20, sizes=[each[:2] for each in files()])
    for image, other in zip(mixed[:], known[:], strict=True):
        assert_same(image, other)
    with pytest.raises(ValueError, match="one size"):
        fastimg.load(data, resize_longer=20)
    boxes = [(0, 0, 1, 2)] * len(data)
    assert fastimg.load(data, resize_longer=20, crop=boxes).shape[2:] == (10, 20)
    assert fastimg.ImageFileAccessor(data, resize_longer=20, crop=(0, 0, 1, 2)).shape[2:] == (10, 20)


def test_a_random_crop_has_its_own_size():
    accessor = fastimg.ImageFileAccessor([jpegs.jpeg(40, 61)], resize_shorter=30, center_crop=28)
    crops, plain = (
        each.random_resized_crop(16) for each in (accessor, fastimg.ImageFileAccessor([jpegs.jpeg(40, 61)]))
    )
    assert_same(crops[:], plain[:])
    assert_same(crops.boxes([0])[0], plain.boxes([0])[0])


@pytest.mark.parametrize(
    "options",
    [
        {"size": 8, "resize_shorter": 8},
        {"size": 8, "resize_longer": 8},
        {"size": 8, "center_crop": 8},
        {"fit": "cover", "resize_shorter": 8},
        {"fit": "contain", "center_crop": 8},
        {"resize_shorter": 8, "resize_longer": 8},
    ],
    ids=str,
)
def test_ways_that_exclude_each_other(options):
    for call in (fastimg.decode, fastimg.ImageFileAccessor):
        with pytest.raises(ValueError, match="|".join(options)):
            call([] if call is fastimg.ImageFileAccessor else jpegs.jpeg(), **options)


# ---- boxes of fractions ------------------------------------------------------------------------


def test_whole_numbers_may_be_floats():
    data = jpegs.jpeg(40, 61)
    for options in ({}, {"size": 16}):
        assert_same(
            fastimg.decode(data, crop=(3.0, 5.0, 20.0, 30.0), **options),
            fastimg.decode(data, crop=(3, 5, 20, 30), **options),
        )
        boxes = np.array([[3.0, 5.0, 20.0, 30.0]])
        assert_same(
            fastimg.load([data], crop=boxes, **options),
            fastimg.load([data], crop=boxes.astype(int), **options),
        )


@pytest.mark.parametrize(
    "crop", [(0.5, 0, 20, 20), (3.25, 10.75, 20.5, 30.125), (0.1, 0.2, 0.3, 0.4), (39.5, 60.5, 0.5, 0.5)]
)
def test_pixels_that_a_box_touches_count(crop):
    data = jpegs.turbo(jpegs.pixels(40, 61, 1))
    plain = fastimg.decode(data, layout="HWC").astype(float)
    top, left = math.floor(crop[0]), math.floor(crop[1])
    inside = plain[top : math.ceil(crop[0] + crop[2]), left : math.ceil(crop[1] + crop[3])]
    box = (crop[0] - top, crop[1] - left, crop[0] + crop[2] - top, crop[1] + crop[3] - left)
    for size in ((5, 7), (40, 33)):
        for flip in (False, True):
            image = fastimg.decode(data, crop=crop, size=size, flip=flip, layout="HWC", reducing_gap=None)
            wanted = to_pixels(resample(inside, size, "bilinear", box))
            assert close(image, wanted[:, ::-1] if flip else wanted)
            assert_same(
                fastimg.load(
                    [data] * 2, crop=[crop] * 2, size=size, flip=flip, layout="HWC", reducing_gap=None
                )[1],
                image,
            )


# As in Pillow, such a pixel counts for the result on its left or above it. The first result's has none there.
@pytest.mark.parametrize(("crop", "size"), [((0.5, 0.5, 11, 20.5), (3, 6)), ((0.5, 0.5, 18, 5.5), (10, 3))])
def test_edges_of_box_results_on_the_centre_of_a_pixel(crop, size):
    data = jpegs.turbo(jpegs.noise(40, 61, 1))
    inside = fastimg.decode(data, layout="HWC")[
        : math.ceil(crop[0] + crop[2]), : math.ceil(crop[1] + crop[3])
    ]
    box = (crop[0], crop[1], crop[0] + crop[2], crop[1] + crop[3])
    options = {"layout": "HWC", "resample": "box", "reducing_gap": None}
    wanted = to_pixels(resample(inside.astype(float), size, "box", box))
    assert close(fastimg.decode(data, crop=crop, size=size, **options), wanted)


def test_sides_that_were_computed_may_be_rounded():
    data = jpegs.jpeg(40, 61)
    box = (0.1 * 3, 0, 40 - 0.1 * 3 + 1e-9, 61 + 1e-9)
    assert fastimg.decode(data, crop=box, size=8).shape == (3, 8, 8)
    with pytest.raises(ValueError, match="leaves the image"):
        fastimg.decode(data, crop=(0.3, 0, 40, 61), size=8)


# ---- where pixels come from --------------------------------------------------------------------


def gradient(height, width):
    """An image whose red says the column and green the row, as smooth as JPEG can be trusted with."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 2, y * 2, 0 * x], 2).astype(np.uint8)


WAYS = [
    {"size": (30, 20)},
    {"size": (30, 20), "fit": "cover"},
    {"size": (33, 64), "fit": "contain"},
    {"size": (90, 31), "fit": "contain"},
    {"resize_shorter": 32, "center_crop": 28},
    {"resize_longer": 40, "center_crop": (51, 27)},
    {"center_crop": 50},
    {"crop": (10, 20, 50, 60)},
    {"crop": (10.5, 20.25, 40.25, 60.5), "size": (24, 32)},
]


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("orientation", [1, 2, 3, 6, 8])
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_geometry_tells_where_pixels_come_from(way, orientation, flip):
    upright = Image.fromarray(gradient(80, 110))
    inverse = {1: None, 2: 0, 3: 3, 6: 2, 8: 4}[orientation]
    file = io.BytesIO()
    (upright if inverse is None else upright.transpose(Image.Transpose(inverse))).save(
        file, "JPEG", quality=100, subsampling=0
    )
    data = jpegs.oriented(file.getvalue(), orientation)
    assert (
        np.abs(
            np.array(ImageOps.exif_transpose(Image.open(io.BytesIO(data)))).astype(int) - gradient(80, 110)
        )[:, :, :2].max()
        <= 3
    )
    images, geometry = fastimg.load(
        [data], flip=flip, return_geometry=True, layout="HWC", pad_value=255, dtype="float32", **way
    )
    assert geometry.shape == (1, 2, 3) and geometry.dtype == np.float64
    height, width = images.shape[1:3]
    y, x = np.mgrid[:height, :width]
    found = np.einsum("ij,jyx->yxi", geometry[0], np.stack([x, y, np.ones_like(x)]))
    seen = images[0] * 255
    # Away from edges, where filters are cut, and from padding.
    inside = (found > 3).all(2) & (found < [105, 75]).all(2)
    assert inside.sum() > 20
    difference = np.abs(seen[:, :, :2] / 2 - found)[inside]
    assert difference.max() <= 1.5 and difference.mean() < 0.3


@pytest.mark.parametrize(
    ("height", "width"), [(375, 500), (500, 375), (333, 500), (480, 480), (1, 640), (719, 1279)]
)
@pytest.mark.parametrize("flip", [False, True])
def test_boxes_come_back_from_a_letterbox(height, width, flip):
    geometry = fastimg.load(
        [jpegs.jpeg(height, width)], size=640, fit="contain", pad_value=114, flip=flip, return_geometry=True
    )[1][0]
    scale = min(640 / height, 640 / width)
    # As YOLO does: the size is rounded, and half of what is left lies before the image.
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = round((640 - rows) / 2), round((640 - columns) / 2)
    box = np.array([[width * 0.1, height * 0.2], [width * 0.7, height * 0.9]])  # corners (x, y), of edges
    there = box * [columns / width, rows / height]
    there[:, 0] = columns - there[:, 0] if flip else there[:, 0]
    there += [640 - left - columns if flip else left, top]
    back = (there - 0.5) @ geometry[:, :2].T + geometry[:, 2] + 0.5
    np.testing.assert_allclose(back, box, atol=0.01)


@pytest.mark.parametrize("height", [30, 49, 98, 147, 256, 257, 363])
def test_size_of_a_crop_that_only_rounding_leads_out(height):
    """A side in fractions may end one step after the image, and the size is asked for before there is an image."""
    box = (0, 0, np.nextafter(height, np.inf), height)
    for longer in range(1, 40):
        images = fastimg.load([jpegs.jpeg(height, height)] * 2, resize_longer=longer, crop=box)
        assert images.shape == (2, 3, longer, longer - 1) or images.shape == (2, 3, longer, longer)


def test_geometry_of_images_that_fail():
    good = jpegs.jpeg(40, 61)
    array, mask, geometry = fastimg.load(
        [good, b"no JPEG", good], size=20, on_error=lambda error: None, return_mask=True, return_geometry=True
    )
    assert mask.tolist() == [True, False, True] and array.shape == (3, 3, 20, 20)
    assert np.isnan(geometry[1]).all() and np.isfinite(geometry[[0, 2]]).all()
    np.testing.assert_allclose(geometry[0], [[61 / 20, 0, 61 / 40 - 0.5], [0, 2, 0.5]])
    array, geometry = fastimg.load([good], return_geometry=True)
    np.testing.assert_array_equal(geometry[0], [[1, 0, 0], [0, 1, 0]])
    assert fastimg.load([], size=4, return_geometry=True)[1].shape == (0, 2, 3)


# ---- photos ------------------------------------------------------------------------------------


@pytest.mark.skipif("FASTIMG_TEST_DATA" not in os.environ, reason="needs photos: FASTIMG_TEST_DATA")
def test_photos_look_as_after_torchvision_on_pillow():
    paths = sorted((pathlib.Path(os.environ["FASTIMG_TEST_DATA"]) / "photos").iterdir())
    found = fastimg.load(paths, resize_shorter=256, center_crop=224, layout="HWC")
    decibels = []
    for path, image in zip(paths, found, strict=True):
        plain = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        height, width = resized_size(plain.height, plain.width, shorter=256)
        wanted = centered(np.array(plain.resize((width, height), Image.Resampling.BILINEAR)), (224, 224))
        decibels.append(10 * np.log10(255**2 / np.mean((image.astype(float) - wanted) ** 2)))
    assert np.mean(decibels) >= 53.5 and min(decibels) >= 45
