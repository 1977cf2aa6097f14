# SPDX-License-Identifier: BSD-3-Clause
"""What each of the two accessors has of its own: shape, NumPy's protocol, read_into, dask."""

import pathlib

import numpy as np
import pytest
from support import jpegs
from support.jpegs import assert_same

import fastimg

# ---- uniform -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "shape", "dtype"),
    [
        ({}, (37, 3, 24, 31), "uint8"),
        ({"layout": "HWC"}, (37, 24, 31, 3), "uint8"),
        ({"mode": "L", "dtype": "float32"}, (37, 1, 24, 31), "float32"),
        ({"crop": (1, 2, 5, 6), "layout": "HWC", "mode": "L"}, (37, 5, 6, 1), "uint8"),
        ({"dtype": np.float16}, (37, 3, 24, 31), "float16"),
    ],
)
def test_shape_and_dtype(batch, options, shape, dtype):
    accessor = fastimg.ImageFileAccessor(batch.paths, **options)
    assert accessor.shape == shape and type(accessor.shape) is tuple
    assert accessor.ndim == 4
    assert accessor.dtype == dtype and isinstance(accessor.dtype, np.dtype)
    assert accessor[2:4].shape == (2, *shape[1:])
    assert accessor[[]].shape == (0, *shape[1:]) and accessor[[]].dtype == dtype


def test_shape_is_upright():
    accessor = fastimg.ImageFileAccessor([jpegs.oriented(jpegs.jpeg(24, 31), 6)])
    assert accessor.shape == (1, 3, 31, 24)


def test_shape_is_read_once(tmp_path):
    path = tmp_path / "first.jpg"
    path.write_bytes(jpegs.jpeg(24, 31))
    accessor = fastimg.ImageFileAccessor([path, jpegs.jpeg(24, 31, seed=1)])
    assert accessor.shape == (2, 3, 24, 31)
    path.unlink()
    assert accessor.shape == (2, 3, 24, 31)
    assert accessor[1].shape == (3, 24, 31)


def test_an_image_of_another_size(batch, tmp_path):
    odd = tmp_path / "odd.jpg"
    odd.write_bytes(jpegs.jpeg(25, 31))
    accessor = fastimg.ImageFileAccessor([*batch.paths[:4], odd])
    with pytest.raises(ValueError) as caught:
        accessor[[1, 4]]
    assert str(odd) in str(caught.value)
    assert_same(accessor[:4], np.stack(batch.images[:4]))


def test_asarray(batch):
    accessor, expected = fastimg.ImageFileAccessor(batch.paths), np.stack(batch.images)
    assert_same(np.asarray(accessor), expected)
    assert_same(np.array(accessor), expected)
    assert_same(np.asarray(accessor, dtype=np.float64), expected.astype(np.float64))
    assert_same(np.stack([accessor, accessor]), np.stack([expected, expected]))
    assert_same(accessor.__array__(), expected)
    assert_same(accessor.__array__(np.float32), expected.astype(np.float32))
    assert_same(accessor.__array__(dtype=None, copy=True), expected)
    assert_same(accessor.__array__(copy=None), expected)
    first = np.asarray(accessor)
    first[...] = 0
    assert_same(np.asarray(accessor), expected)


def test_asarray_cannot_avoid_a_copy(batch):
    for accessor in (
        fastimg.ImageFileAccessor(batch.paths),
        fastimg.NonUniformImageFileAccessor(batch.paths),
    ):
        with pytest.raises(ValueError):
            accessor.__array__(copy=False)


def test_tuples_index_the_result(batch):
    accessor, expected = fastimg.ImageFileAccessor(batch.paths), np.stack(batch.images)
    everything = slice(None)
    for first in (slice(2, 9), slice(0, 0), [5, 2, 9], np.array([5, 2, 9]), np.arange(37) % 3 == 0):
        for rest in (
            (),
            (everything, everything, everything),
            (slice(0, 1), slice(3, 9), slice(4, 31, 3)),
            (slice(0, 0), slice(0, 0), slice(0, 0)),
            (0,),
            (everything, 5),
            (..., 7),
        ):
            assert_same(accessor[(first, *rest)], expected[first][(everything, *rest)])
    with pytest.raises(IndexError):
        accessor[0:2, :, :, :, :]
    with pytest.raises(IndexError):
        accessor[0, 5]


def test_read_into(batch):
    accessor = fastimg.ImageFileAccessor(batch.paths, num_threads=2)
    out = np.empty((5, 3, 24, 31), np.uint8)
    for order in ([5, 2, 9, 2, -1], np.array([0, 36, 1, 2, 3]), slice(3, 8), slice(None, None, 8), range(5)):
        wanted = list(order) if not isinstance(order, slice) else range(37)[order]
        if isinstance(order, range):
            order = list(order)
        assert accessor.read_into(order, out) is out
        assert_same(out, np.stack([batch.images[i] for i in wanted]))
    with pytest.raises(IndexError):
        accessor.read_into([0, 1, 2, 3, 37], out)
    with pytest.raises(ValueError):
        accessor.read_into([0, 1], out)
    with pytest.raises(ValueError):
        accessor.read_into(np.zeros((5, 1), int), out)
    with pytest.raises(TypeError):
        accessor.read_into([0.5], out)


def test_equal_to_load(batch):
    options = {"dtype": "float32", "mean": (0.1, 0.2, 0.3), "std": 2, "layout": "HWC", "flip": True}
    accessor = fastimg.ImageFileAccessor(batch.paths, **options)
    assert_same(accessor[:], fastimg.load(batch.paths, **options))


def test_empty():
    accessor = fastimg.ImageFileAccessor([])
    assert accessor.shape == (0, 3, 0, 0)
    assert_same(accessor[:], np.empty((0, 3, 0, 0), np.uint8))
    assert list(accessor) == []
    other = fastimg.NonUniformImageFileAccessor([])
    assert other.shape == (0,) and other[:] == [] and list(other) == []


# ---- non-uniform -------------------------------------------------------------------------------


def test_non_uniform_shape_and_dtype(mixed):
    for options in ({}, {"mode": "L", "dtype": "float32"}):
        accessor = fastimg.NonUniformImageFileAccessor(mixed.paths, **options)
        assert accessor.shape == (19,) and type(accessor.shape) is tuple
        assert accessor.ndim == 1 and accessor.dtype == np.dtype(object)


@pytest.mark.parametrize("fixture", ["mixed", "batch"])
def test_non_uniform_asarray(fixture, request):
    # Images of one size, too, must not be stacked: the answer's shape does not depend on the files.
    files = request.getfixturevalue(fixture)
    accessor = fastimg.NonUniformImageFileAccessor(files.paths)
    for array in (np.asarray(accessor), np.array(accessor), accessor.__array__(), accessor.__array__(object)):
        assert array.shape == (len(files.paths),) and array.dtype == object
        for actual, expected in zip(array, files.images, strict=True):
            assert_same(actual, expected)


def test_non_uniform_options(mixed):
    options = {
        "mode": "BGR",
        "layout": "HWC",
        "crop": (1, 2, 5, 6),
        "dtype": "float16",
        "mean": 0.5,
        "std": 0.25,
    }
    accessor = fastimg.NonUniformImageFileAccessor(mixed.paths, **options)
    for actual, data in zip(accessor[3:7], mixed.data[3:7], strict=True):
        assert_same(actual, jpegs.reference(data, **options))


def test_errors_do_not_depend_on_the_threads(mixed, bad_files):
    paths = [*mixed.paths, bad_files["TruncatedJpegError"], *mixed.paths, bad_files["FileNotFoundError"]]
    for num_threads in (1, 2, 8):
        accessor = fastimg.NonUniformImageFileAccessor(paths, num_threads=num_threads)
        for _ in range(10):
            with pytest.raises(fastimg.TruncatedJpegError) as caught:
                accessor[:]
            assert caught.value.index == len(mixed.paths)


# ---- dask --------------------------------------------------------------------------------------


def test_dask(batch):
    dask_array = pytest.importorskip("dask.array")
    accessor, expected = fastimg.ImageFileAccessor(batch.paths), np.stack(batch.images)
    lazy = dask_array.from_array(accessor, chunks=(5, 3, 24, 31))
    assert lazy.shape == expected.shape and lazy.dtype == expected.dtype
    assert (
        lazy.name == dask_array.from_array(fastimg.ImageFileAccessor(batch.paths), chunks=(5, 3, 24, 31)).name
    )
    assert (
        lazy.name
        != dask_array.from_array(
            fastimg.ImageFileAccessor(batch.paths, flip=True), chunks=(5, 3, 24, 31)
        ).name
    )
    for scheduler in ("synchronous", "threads"):
        assert_same(lazy.compute(scheduler=scheduler), expected)
        assert_same(lazy[3:20:2, :, 4:9].compute(scheduler=scheduler), expected[3:20:2, :, 4:9])
        assert_same(lazy[[5, 2, 9]].compute(scheduler=scheduler), expected[[5, 2, 9]])
    # Chunks that divide the images themselves: each is a tuple of four slices.
    parts = dask_array.from_array(accessor, chunks=(9, 1, 10, 31))
    assert_same(parts.compute(scheduler="threads"), expected)


# ---- as torch's DataLoader uses it -------------------------------------------------------------


def test_as_a_data_set(batch):
    accessor = fastimg.ImageFileAccessor(map(pathlib.Path, batch.paths))
    order = np.random.default_rng(0).permutation(37).tolist()
    for start in range(0, 37, 8):
        indices = order[start : start + 8]
        expected = np.stack([batch.images[i] for i in indices])
        assert_same(accessor.__getitems__(indices), expected)
        assert_same(accessor[indices], expected)
