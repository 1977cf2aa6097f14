# SPDX-License-Identifier: BSD-3-Clause
"""random_resized_crop's boxes: their distribution, orientations, files that fail, bad arguments."""

import csv
import fractions
import math
import pathlib

import numpy as np
import pytest
from support import jpegs
from support.jpegs import assert_same

import fastimg

COUNT = 20_000
NOWHERE = [0, 0, 65536, 65536]


# ---- distribution ------------------------------------------------------------------------------


SETTINGS = [
    ((75, 100), {}),
    ((100, 75), {"scale": (0.3, 0.9), "ratio": (0.5, 2.0)}),
    ((40, 160), {"scale": (0.3, 0.9)}),  # most attempts fail
    ((64, 64), {"scale": (0.9, 1.3), "ratio": (0.5, 2.0)}),
    ((7, 5), {"scale": (0.01, 1.0), "ratio": (0.2, 5.0)}),  # boxes of no pixels are refused
]


def distance(one, other):
    """Kolmogorov and Smirnov's, times what makes its 1 - 1/10,000 quantile 2.23."""
    points = np.union1d(one, other)
    steps = [np.searchsorted(np.sort(values), points, "right") / len(values) for values in (one, other)]
    return np.abs(steps[0] - steps[1]).max() / math.sqrt(1 / len(one) + 1 / len(other))


def describe(boxes, size):
    top, left, h, w = boxes.T.astype(float)
    return {
        "area": h * w, "aspect": w / h, "height": h, "width": w, "top": top, "left": left,
        "center y": top + h / 2, "center x": left + w / 2, "bottom": size[0] - top - h, "right": size[1] - left - w,
        "together": h * 1000 + top * 10 + left,
    }  # fmt: skip


@pytest.mark.parametrize(("size", "options"), SETTINGS, ids=str)
@pytest.mark.parametrize("along", ["samples", "epochs"])
def test_distribution(size, options, along):
    data = jpegs.jpeg(*size)
    theirs = fastimg.random_crops(np.tile(size, (COUNT, 1)), 1, **options)
    if along == "samples":
        view = fastimg.ImageFileAccessor([data] * COUNT).random_resized_crop(8, seed=7, **options)
        ours = view.boxes(slice(None))[0]
    else:
        view = fastimg.ImageFileAccessor([data] * 50).random_resized_crop(8, seed=7, **options)
        ours = np.concatenate([view.with_epoch(e).boxes(slice(None))[0] for e in range(COUNT // 50)])
    assert len(ours) == COUNT
    others = describe(theirs, size)
    for name, values in describe(ours, size).items():
        assert distance(values, others[name]) < 2.23, name


def test_the_distribution_test_can_fail():
    size = (75, 100)
    one, other = (
        describe(fastimg.random_crops([size] * COUNT, seed, scale), size)
        for seed, scale in ((1, (0.08, 1.0)), (2, (0.1, 1.0)))
    )
    assert distance(one["area"], other["area"]) > 2.23


def test_mirrors():
    accessor = fastimg.ImageFileAccessor([jpegs.jpeg(60, 80)] * COUNT)
    for probability in (0, 1, 0.0, 1.0, 0.5, 0.1, np.float32(0.75), fractions.Fraction(1, 3)):
        flips = accessor.random_resized_crop(8, flip=probability).boxes(slice(None))[1]
        error = math.sqrt(probability * (1 - probability) / COUNT)
        assert abs(flips.mean() - float(probability)) <= 4 * error
    # Boxes do not depend on the probability, and mirrors not on the boxes.
    view = accessor.random_resized_crop(8)
    crops, flips = view.boxes(slice(None))
    assert (accessor.random_resized_crop(8, flip=0).boxes(slice(None))[0] == crops).all()
    for values in describe(crops, (60, 80)).values():
        assert distance(values[flips], values[~flips]) < 2.23
    again = view.with_epoch(1).boxes(slice(None))[1]
    assert abs((flips == again).mean() - 0.5) < 4 * 0.5 / math.sqrt(COUNT)
    assert abs((flips[1:] == flips[:-1]).mean() - 0.5) < 4 * 0.5 / math.sqrt(COUNT)


def test_images_are_mirrored():
    data = jpegs.jpeg(40, 60)
    accessor = fastimg.ImageFileAccessor([data] * 2)
    straight, mirrored = (
        accessor.random_resized_crop(9, flip=0)[:],
        accessor.random_resized_crop(9, flip=1)[:],
    )
    assert_same(straight, np.ascontiguousarray(mirrored[..., ::-1]))


# ---- orientation -------------------------------------------------------------------------------


@pytest.mark.parametrize("orient", [True, False])
def test_boxes_fit_whatever_the_orientation(orient):
    sources = [jpegs.oriented(jpegs.jpeg(16, 120, seed=o), o) for o in range(1, 9)]
    accessor = fastimg.ImageFileAccessor(sources, orient=orient)
    view = accessor.random_resized_crop(8, scale=(0.9, 1.0), ratio=(0.01, 100.0))
    sizes = np.array([fastimg.decode(source, orient=orient).shape[1:] for source in sources])
    assert (sizes[:, 0] > sizes[:, 1]).sum() == (4 if orient else 0)
    for epoch in range(50):
        crops, _ = view.with_epoch(epoch).boxes(slice(None))
        assert (crops[:, :2] >= 0).all() and (crops[:, 2:] >= 1).all()
        assert (crops[:, :2] + crops[:, 2:] <= sizes).all()
        # They are as long as the image they are for.
        assert (crops[:, 2:].max(axis=1) > 30).all()
        assert view.with_epoch(epoch)[:].any()


@pytest.mark.parametrize("orient", [True, False])
def test_rotated_files(shared, orient):
    with open(shared / "awkward" / "orientation.csv", newline="") as file:
        paths = [str(shared / "awkward" / row["path"]) for row in csv.DictReader(file)]
    paths = [path for path in paths if pathlib.Path(path).suffix.lower() in (".jpg", ".jpeg")]
    failures = []
    accessor = fastimg.ImageFileAccessor(paths, orient=orient, strict=False, on_error=failures.append)
    view = accessor.random_resized_crop(8, scale=(0.8, 1.0), ratio=(0.2, 5.0))
    for epoch in range(3):
        view.with_epoch(epoch)[:]
    assert len(paths) > 20
    assert [str(error) for error in failures] == []


# ---- files that fail ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        *("TruncatedJpegError", "UnsupportedJpegError", "JpegTooLargeError", "CorruptJpegError"),
        *("FileNotFoundError", "IsADirectoryError"),
    ],
)
def test_bad_files(mixed, bad_files, name):
    paths = [*mixed.paths[:7], bad_files[name], *mixed.paths[7:]]
    good = [i for i in range(len(paths)) if i != 7]
    view = fastimg.ImageFileAccessor(paths).random_resized_crop(8, seed=2)
    for access in (
        lambda: view[:],
        lambda: view[7],
        lambda: view[[18, 7, 3]],
        lambda: view.with_epoch(1)[5:9],
    ):
        with pytest.raises((fastimg.JpegError, OSError)) as caught:
            access()
        assert type(caught.value).__name__ == name
        assert (caught.value.index, caught.value.source) == (7, paths[7])
    expected = view[good]

    failures = []
    tolerant = fastimg.ImageFileAccessor(paths, on_error=failures.append).random_resized_crop(8, seed=2)
    images = tolerant[:]
    assert [(type(error).__name__, error.index) for error in failures] == [(name, 7)]
    assert_same(images[good], expected)
    assert not images[7].any()

    filling = fastimg.ImageFileAccessor(paths, on_error="fill").random_resized_crop(8, seed=2)
    with pytest.warns(UserWarning, match="1 of 20 images failed"):
        assert_same(filling[:], images)
    assert (filling.boxes(good)[0] == view.boxes(good)[0]).all()


@pytest.mark.parametrize("num_threads", [1, 2, 8])
def test_the_first_error_is_raised(batch, bad_files, num_threads):
    # The data of an earlier image is worse than the missing header of a later one.
    paths = [
        *batch.paths[:9],
        bad_files["TruncatedJpegError"],
        *batch.paths[9:],
        bad_files["FileNotFoundError"],
    ]
    view = fastimg.ImageFileAccessor(paths, num_threads=num_threads).random_resized_crop(8)
    for epoch in range(5):
        with pytest.raises(fastimg.TruncatedJpegError) as caught:
            view.with_epoch(epoch)[:]
        assert caught.value.index == 9


def test_a_file_without_a_header_has_a_box_that_never_fits(tmp_path):
    path = str(tmp_path / "later.jpg")
    view = fastimg.ImageFileAccessor([jpegs.jpeg(), path]).random_resized_crop(8)
    crops, flips = view.boxes(slice(None))
    assert crops[1].tolist() == NOWHERE
    pathlib.Path(path).write_bytes(jpegs.jpeg(30, 40))
    # It came too late for these boxes, but not for the next ones.
    with pytest.raises(ValueError, match=r"later\.jpg: the crop leaves the image"):
        fastimg.load([jpegs.jpeg(), path], size=8, crop=crops, flip=flips)
    crops, flips = view.boxes(slice(None))
    assert (crops[1, :2] + crops[1, 2:] <= [30, 40]).all()
    assert_same(view[1], fastimg.decode(path, size=8, crop=tuple(crops[1]), flip=bool(flips[1])))


def test_a_file_that_shrinks(tmp_path):
    path = tmp_path / "shrinking.jpg"
    path.write_bytes(jpegs.jpeg(90, 90))
    view = fastimg.ImageFileAccessor([path]).random_resized_crop(8)
    view[0]
    path.write_bytes(jpegs.jpeg(4, 4))
    assert_same(view[0], fastimg.ImageFileAccessor([path]).random_resized_crop(8)[0])
    crops, _ = view.boxes([0])  # the new image's
    assert crops[0, 2:].max() <= 4


# ---- arguments ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [{"crop": (0, 0, 5, 5)}, {"flip": True}, {"crop": (0, 0, 5, 5), "flip": True}]
)
def test_accessors_with_a_crop_or_a_flip(batch, options):
    accessor = fastimg.ImageFileAccessor(batch.paths, **options)
    with pytest.raises(ValueError, match=next(iter(options))):
        accessor.random_resized_crop(8)
    with pytest.raises(ValueError, match="RandomResizedCrop"):
        fastimg.ImageFileAccessor(batch.paths).random_resized_crop(8).random_resized_crop(8)


def test_not_an_accessor(batch):
    for wrong in (batch.paths, fastimg.NonUniformImageFileAccessor(batch.paths), None):
        with pytest.raises(TypeError, match=type(wrong).__name__):
            fastimg.RandomResizedCrop(wrong, 8)
    assert_same(
        fastimg.RandomResizedCrop(fastimg.ImageFileAccessor(batch.paths), 8)[:],
        fastimg.ImageFileAccessor(batch.paths).random_resized_crop(8)[:],
    )


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"size": None}, TypeError), ({"size": "8"}, TypeError), ({"size": 0}, ValueError),
        ({"size": (1, 2, 3)}, ValueError), ({"scale": (0, 1)}, ValueError),
        ({"scale": (1, 0.5)}, ValueError), ({"scale": 1}, TypeError),
        ({"scale": (math.nan, 1)}, ValueError), ({"scale": "ab"}, TypeError), ({"scale": (1,)}, ValueError),
        ({"ratio": (-1, 1)}, ValueError), ({"ratio": (1, math.inf)}, ValueError), ({"ratio": None}, TypeError),
        ({"flip": -0.1}, ValueError), ({"flip": 1.1}, ValueError), ({"flip": math.nan}, ValueError),
        ({"flip": 10**400}, ValueError), ({"flip": True}, TypeError), ({"flip": "yes"}, TypeError),
        ({"flip": None}, TypeError), ({"flip": np.True_}, TypeError), ({"flip": [0.5]}, TypeError),
        ({"seed": -1}, ValueError), ({"seed": 0.5}, TypeError), ({"seed": None}, TypeError),
        ({"seed": True}, TypeError), ({"seed": "1"}, TypeError), ({"seed": np.random.SeedSequence(0)}, TypeError),
    ],
    ids=str,
)  # fmt: skip
def test_bad_arguments(batch, arguments, error):
    accessor = fastimg.ImageFileAccessor(batch.paths)
    with pytest.raises(error, match=next(iter(arguments))):
        accessor.random_resized_crop(**{"size": 8, **arguments})


@pytest.mark.parametrize(
    ("epoch", "error"),
    [
        *((-1, ValueError), (np.int64(-1), ValueError)),
        *((0.0, TypeError), (None, TypeError), (False, TypeError), ("1", TypeError)),
    ],
)
def test_bad_epochs(batch, epoch, error):
    view = fastimg.ImageFileAccessor(batch.paths).random_resized_crop(8)
    with pytest.raises(error, match="epoch"):
        view.with_epoch(epoch)
