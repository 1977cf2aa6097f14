# SPDX-License-Identifier: BSD-3-Clause
"""ArrayDataSource: what it takes, what a batch is, and what it refuses."""

import itertools
import threading

import numpy as np
import pytest
from support.data_sources import PREFETCH, N, Numbers, Parts, in_batches, orders
from support.jpegs import assert_same

import fastimg
from fastimg.data_source import ArrayDataSource

# ---- the constructor ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [list, tuple])
def test_lists_and_tuples_of_arrays(kind, batch):
    accessor = fastimg.ImageFileAccessor(batch.paths)
    labels = np.arange(len(batch.paths), dtype=np.int32) * 7
    source = ArrayDataSource(kind([accessor, Numbers(37), labels]))
    (*_, last) = batches = list(source.batch_iterator(5))
    assert len(batches) == 8 and all(type(part) is tuple and len(part) == 3 for part in batches)
    for i, (x, numbers, y) in enumerate(batches):
        at = slice(5 * i, 5 * i + 5)
        assert_same(x, np.stack(batch.images[at]))
        assert_same(numbers, np.arange(37)[at] * 10)
        assert_same(y, labels[at])
    assert len(last[2]) == 2


def test_lists_of_images_of_any_size(mixed):
    source = ArrayDataSource([fastimg.NonUniformImageFileAccessor(mixed.paths)])
    for order, (images,) in zip(in_batches(range(19), 4), source.batch_iterator(4), strict=True):
        assert type(images) is list and len(images) == len(order)
        for image, i in zip(images, order, strict=True):
            assert_same(image, mixed.images[i])


@pytest.mark.parametrize("kind", ["ndarray", "dict", "str", "NoneType", "generator", "Numbers"])
def test_arrays_of_another_type(kind):
    wrong = {
        "ndarray": np.arange(3),
        "dict": {0: np.arange(3)},
        "str": "arrays",
        "NoneType": None,
        "generator": (np.arange(3) for _ in range(2)),
        "Numbers": Numbers(3),
    }[kind]
    with pytest.raises(TypeError, match=f"^arrays must be a list or tuple of array-likes, found {kind}$"):
        ArrayDataSource(wrong)


@pytest.mark.parametrize("kind", ["ImageFileAccessor", "NonUniformImageFileAccessor"])
def test_a_single_accessor(kind, batch):
    with pytest.raises(TypeError, match=f"^arrays must be a list or tuple of array-likes, found {kind}$"):
        ArrayDataSource(getattr(fastimg, kind)(batch.paths))


@pytest.mark.parametrize("entry", [3, None, iter([1])])
def test_entries_that_are_no_array_likes(entry):
    with pytest.raises(TypeError, match=type(entry).__name__):
        ArrayDataSource([np.arange(3), entry])


@pytest.mark.parametrize("arrays", [[], ()])
def test_no_arrays(arrays):
    with pytest.raises(ValueError, match="at least one"):
        ArrayDataSource(arrays)


@pytest.mark.parametrize("lengths", [(125, 124), (5, 5, 4), (0, 1), (3, 2, 3, 2)])
def test_lengths_that_differ(lengths):
    text = ", ".join(map(str, lengths))
    with pytest.raises(ValueError, match=f"^arrays must have one length, found {text}$"):
        ArrayDataSource([Numbers(length) for length in lengths])


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8", ">i2"])
def test_indices(dtype):
    indices = np.array([5, 2, 22, 5, 0, 9, 1], dtype)
    source = ArrayDataSource([np.arange(N) * 3, Numbers(N)], indices=indices)
    assert len(source) == source.num_samples() == 7
    for at in (0, 1):
        assert [
            i // (3, 10)[at] for part in orders(source.batch_iterator(3), at) for i in part
        ] == indices.tolist()


def test_indices_are_copied():
    indices = np.array([1, 2, 3])
    source = ArrayDataSource([np.arange(N)], indices=indices)
    indices[:] = 0
    assert orders(source.batch_iterator(5)) == [[1, 2, 3]]


def test_no_indices():
    source = ArrayDataSource([np.arange(N)], indices=np.array([], np.int64))
    assert len(source) == len(source.batch_iterator(3)) == 0
    assert list(source.batch_iterator(3)) == list(source.batch_iterator(3, shuffle=1)) == []


@pytest.mark.parametrize("wrong", [N, -N - 1, 10**9, 2**63 - 1])
def test_indices_out_of_range(wrong):
    with pytest.raises(IndexError, match=str(wrong)):
        ArrayDataSource([np.arange(N)], indices=np.array([1, wrong, 3]))


def test_indices_of_another_shape_or_type():
    with pytest.raises(ValueError, match=r"\(1, 2\)"):
        ArrayDataSource([np.arange(N)], indices=np.array([[1, 2]]))
    with pytest.raises(TypeError, match="float64"):
        ArrayDataSource([np.arange(N)], indices=np.array([1.0]))


@pytest.mark.parametrize("repeats", [0, -2, -100])
def test_repeats_out_of_range(repeats):
    with pytest.raises(ValueError, match=rf"repeats.*{repeats}"):
        ArrayDataSource([np.arange(N)], repeats=repeats)


@pytest.mark.parametrize("repeats", [1.5, "2", None])
def test_repeats_of_another_type(repeats):
    with pytest.raises(TypeError, match="repeats"):
        ArrayDataSource([np.arange(N)], repeats=repeats)


@pytest.mark.parametrize("options", [{"indices": np.arange(3)}, {"repeats": 2}, {"repeats": -1}])
def test_a_sampler_alone_decides(options):
    with pytest.raises(ValueError, match=f"sampler.*{next(iter(options))}|{next(iter(options))}.*sampler"):
        ArrayDataSource([np.arange(N)], sampler=Parts([0]), **options)


@pytest.mark.parametrize("sampler", [3, "random", np.arange(3), object()])
def test_what_is_no_sampler(sampler):
    with pytest.raises(TypeError, match="sampler"):
        ArrayDataSource([np.arange(N)], sampler=sampler)


@pytest.mark.parametrize("seed", ["7", 1.5, [1]])
def test_seed_of_another_type(seed):
    with pytest.raises(TypeError, match="seed"):
        ArrayDataSource([np.arange(N)], seed=seed)


def test_negative_seed():
    with pytest.raises(ValueError, match=r"seed.*-1"):
        ArrayDataSource([np.arange(N)], seed=-1)


def test_options_are_keywords():
    with pytest.raises(TypeError):
        ArrayDataSource([np.arange(N)], np.arange(3))


# ---- batches -----------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [0, -1])
def test_batch_size_out_of_range(numbers, batch_size):
    with pytest.raises(ValueError, match=rf"batch_size.*{batch_size}"):
        numbers.batch_iterator(batch_size)


@pytest.mark.parametrize("batch_size", [1.5, "3", None, [3], True])
def test_batch_size_of_another_type(numbers, batch_size):
    with pytest.raises(TypeError, match="batch_size"):
        numbers.batch_iterator(batch_size)


def test_batch_size_of_numpy(numbers):
    assert orders(numbers.batch_iterator(np.int32(5))) == in_batches(range(N), 5)


@pytest.mark.parametrize("option", ["prefetch", "num_threads"])
def test_counts_of_another_kind(numbers, option):
    with pytest.raises(ValueError, match=rf"{option}.*-1"):
        numbers.batch_iterator(5, **{option: -1})
    for wrong in (1.5, "2", [1]):
        with pytest.raises(TypeError, match=option):
            numbers.batch_iterator(5, **{option: wrong})


def test_num_threads_zero(numbers):
    with pytest.raises(ValueError, match=r"num_threads.*0"):
        numbers.batch_iterator(5, num_threads=0)


@pytest.mark.parametrize("prefetch", PREFETCH)
@pytest.mark.parametrize("batch_size", [1, 5, 22, 23, 24])
@pytest.mark.parametrize("drop_last", [False, True])
def test_drop_last_and_len(numbers, batch_size, drop_last, prefetch):
    batches = numbers.batch_iterator(batch_size, drop_last=drop_last, prefetch=prefetch)
    expected = in_batches(range(N), batch_size)
    if drop_last and len(expected[-1]) < batch_size:
        expected.pop()
    for left in range(len(expected), 0, -1):
        assert len(batches) == left
        assert next(batches)[0].tolist() == expected[-left]
    assert len(batches) == 0
    assert list(batches) == []


def test_drop_last_of_repeats_drops_one():
    source = ArrayDataSource([np.arange(5)], repeats=3)
    batches = source.batch_iterator(4, drop_last=True)
    assert len(batches) == 3
    assert orders(batches) == [[0, 1, 2, 3], [4, 0, 1, 2], [3, 4, 0, 1]]


def test_no_samples():
    source = ArrayDataSource([np.empty((0, 3)), Numbers(0)])
    assert len(source) == source.num_samples() == len(source.batch_iterator(2)) == 0
    assert list(source.batch_iterator(2)) == list(source.batch_iterator(2, True)) == []


def test_num_samples_ignores_what_batch_iterator_takes(numbers):
    count = numbers.num_samples(batch_size=5, shuffle=None, anything=3)
    assert count == len(numbers) == N and type(count) is int


@pytest.mark.parametrize("shuffle", [None, 3])
def test_batches_are_copies(shuffle):
    array = np.arange(2 * N).reshape(N, 2)
    kept = [x for (x,) in ArrayDataSource([array]).batch_iterator(4, shuffle)]
    assert not any(np.shares_memory(x, array) for x in kept)
    assert not any(np.shares_memory(a, b) for a, b in itertools.combinations(kept, 2))
    for x in kept:
        x[:] = -1
    assert (array == np.arange(2 * N).reshape(N, 2)).all()


@pytest.mark.parametrize("prefetch", PREFETCH)
def test_batches_that_are_kept_keep_their_pixels(batch, prefetch):
    source = ArrayDataSource([fastimg.ImageFileAccessor(batch.paths)], include_indices=True, seed=1)
    for indices, x in list(source.batch_iterator(3, True, prefetch=prefetch)):
        assert_same(x, np.stack([batch.images[i] for i in indices]))


@pytest.mark.parametrize("shuffle", [None, 4, True])
def test_include_indices(shuffle):
    source = ArrayDataSource(
        [Numbers(N)], indices=np.arange(20, 3, -2, np.int32), include_indices=True, seed=2
    )
    for batch in source.batch_iterator(4, shuffle):
        indices, numbers = batch
        assert type(batch) is tuple
        assert type(indices) is np.ndarray and indices.dtype == np.int64
        assert_same(numbers, indices * 10)


def test_arrays_are_asked_for_whole_batches():
    array = Numbers(N)
    list(ArrayDataSource([array]).batch_iterator(5, 3))
    assert array.asked == in_batches(np.random.RandomState(3).permutation(N), 5)


@pytest.mark.parametrize("num_threads", [1, 2, 8])
def test_num_threads_changes_nothing(batch, num_threads):
    source = ArrayDataSource([fastimg.ImageFileAccessor(batch.paths, num_threads=3)], include_indices=True)
    for indices, x in source.batch_iterator(7, 5, num_threads=num_threads):
        assert_same(x, np.stack([batch.images[i] for i in indices]))


@pytest.mark.parametrize("reuse_buffers", [False, True])
def test_num_threads_overrides_the_accessors(slow_path, monkeypatch, reuse_buffers):
    # The number from the environment is looked at where no other one is given.
    monkeypatch.setenv("FASTIMG_NUM_THREADS", "no number")
    source = ArrayDataSource([fastimg.ImageFileAccessor([slow_path] * 8)])
    with pytest.raises(ValueError, match="no number"):
        list(source.batch_iterator(8, reuse_buffers=reuse_buffers))
    ((x,),) = source.batch_iterator(8, num_threads=2, reuse_buffers=reuse_buffers)
    assert x.shape == (8, 3, 480, 640)


def test_nothing_happens_before_the_first_batch():
    array, before = Numbers(N), set(threading.enumerate())
    batches = ArrayDataSource([array]).batch_iterator(5)
    assert iter(batches) is batches
    assert array.asked == [] and set(threading.enumerate()) == before
    batches.close()
    assert list(batches) == [] and array.asked == []
