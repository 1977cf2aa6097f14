# SPDX-License-Identifier: BSD-3-Clause
"""Prefetching: batches in order, errors in their place, a bound on memory, many consumers."""

import builtins
import concurrent.futures
import gc
import random
import threading
import time

import numpy as np
import pytest
from support.data_sources import (
    PATIENCE,
    Counted,
    Epochs,
    Item,
    Numbers,
    decoded,
    in_batches,
    orders,
    wait_until,
)
from support.jpegs import assert_same
from support.processes import HAS_GIL

import fastimg
from fastimg.data_source import ArrayDataSource

N = 60


# ---- order -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("threads")
def test_slow_functions_keep_the_order(prefetch):
    # What comes first takes longest.
    def slow(x):
        time.sleep(0.002 * (x[0] % 4 == 0))
        return (x + 1,)

    source = ArrayDataSource([np.arange(N)]).map(slow)
    assert orders(source.batch_iterator(2, prefetch=prefetch)) == in_batches(range(1, N + 1), 2)


@pytest.mark.usefixtures("threads")
def test_slow_arrays_keep_the_order(prefetch):
    class Slow(Numbers):
        def __getitem__(self, indices):
            time.sleep(random.random() / 500)
            return super().__getitem__(indices)

    source = ArrayDataSource([Slow(N), Numbers(N)])
    for x, y in source.batch_iterator(3, 8, prefetch=prefetch):
        assert_same(x, y)
    assert orders(source.batch_iterator(2, prefetch=prefetch), 1) == in_batches(range(0, 10 * N, 10), 2)


# ---- errors ------------------------------------------------------------------------------------


class Broken(Exception):
    pass


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("place", [0, 1, 7, 19])
@pytest.mark.parametrize("where", ["function", "array"])
def test_errors_come_at_their_place(prefetch, place, where):
    error = Broken(f"batch {place}")

    def check(x):
        if x[0] == 3 * place:
            raise error
        return (x,)

    class Checked(Numbers):
        def __getitem__(self, indices):
            return check(indices)[0]

    source = (
        ArrayDataSource([np.arange(N)]).map(check) if where == "function" else ArrayDataSource([Checked(N)])
    )
    batches = source.batch_iterator(3, prefetch=prefetch)
    for expected in in_batches(range(3 * place), 3):
        assert next(batches)[0].tolist() == expected
    with pytest.raises(Broken) as caught:
        next(batches)
    assert caught.value is error
    assert list(batches) == [] and list(batches) == []
    # Another epoch is not concerned.
    with source.batch_iterator(3, prefetch=prefetch) as fine:
        assert orders([next(fine) for _ in range(place)]) == in_batches(range(3 * place), 3)


@pytest.mark.usefixtures("threads")
def test_what_is_no_exception_of_everyday(prefetch):
    class Stop(BaseException):
        pass

    def stop(x):
        if x[0] == 6:
            raise Stop
        return (x,)

    batches = ArrayDataSource([np.arange(N)]).map(stop).batch_iterator(3, prefetch=prefetch)
    assert orders([next(batches), next(batches)]) == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(Stop):
        next(batches)
    assert list(batches) == []


@pytest.fixture(params=["CorruptJpegError", "TruncatedJpegError", "FileNotFoundError", "IsADirectoryError"])
def one_bad(request, batch, bad_files):
    """37 sources of which the one at 20 cannot be decoded; the error it must raise; its path."""
    paths = list(batch.paths)
    paths[20] = bad_files[request.param]
    error = getattr(fastimg, request.param, None) or getattr(builtins, request.param)
    return paths, error, paths[20]


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("reuse_buffers", [False, True])
@pytest.mark.parametrize("shuffle", [None, 6])
def test_errors_of_images(one_bad, batch, prefetch, shuffle, reuse_buffers):
    paths, error, bad = one_bad
    source = ArrayDataSource([np.arange(37), fastimg.ImageFileAccessor(paths)])
    order = np.arange(37) if shuffle is None else np.random.RandomState(shuffle).permutation(37)
    before = int(np.flatnonzero(order == 20)[0]) // 4
    batches = source.batch_iterator(4, shuffle, prefetch=prefetch, reuse_buffers=reuse_buffers)
    for expected in in_batches(order, 4)[:before]:
        indices, x = next(batches)
        assert indices.tolist() == expected
        assert_same(x, np.stack([batch.images[i] for i in expected]))
    with pytest.raises(error) as caught:
        next(batches)
    assert type(caught.value) is error
    assert (caught.value.index, caught.value.source) == (20, bad)
    assert "20" in str(caught.value) and bad in str(caught.value)
    assert list(batches) == []


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("reuse_buffers", [False, True])
def test_errors_count_in_the_arrays_not_in_the_subset(batch, bad_files, prefetch, reuse_buffers):
    paths = list(batch.paths)
    paths[30] = bad_files["TruncatedJpegError"]
    source = ArrayDataSource([fastimg.ImageFileAccessor(paths)], indices=np.arange(36, -1, -1))
    subset = source.subset([1, 2, 6, 3]).map(lambda x: x.shape)  # 35, 34, 30, 33
    batches = subset.batch_iterator(2, prefetch=prefetch, reuse_buffers=reuse_buffers)
    assert next(batches) == (2, 3, 24, 31)
    with pytest.raises(fastimg.TruncatedJpegError) as caught:
        next(batches)
    assert (caught.value.index, caught.value.source) == (30, paths[30])


def test_the_error_of_a_batch_is_that_of_its_first_bad_image(batch, bad_files, prefetch):
    paths = list(batch.paths)
    paths[5], paths[7] = bad_files["CorruptJpegError"], bad_files["TruncatedJpegError"]
    batches = ArrayDataSource([fastimg.ImageFileAccessor(paths)]).batch_iterator(
        37, prefetch=prefetch, num_threads=4
    )
    with pytest.raises(fastimg.CorruptJpegError) as caught:
        next(batches)
    assert caught.value.index == 5


# ---- memory ------------------------------------------------------------------------------------


@pytest.mark.parametrize("consumer", ["fast", "slow"])
def test_prefetch_and_two_batches_at_most(prefetch, consumer):
    array = Counted(N)
    batches = ArrayDataSource([array]).batch_iterator(2, prefetch=prefetch)
    for given, batch in enumerate(batches, 1):
        if consumer == "slow":
            array.wait_for(min(given + prefetch, N // 2))
            time.sleep(0.002)  # for what should not come
        assert array.made <= given + prefetch + 1 if prefetch else array.made == given
        assert batch[0].indices == [2 * given - 2, 2 * given - 1]
    assert given == array.made == N // 2
    assert array.most <= prefetch + 2
    assert array.alive == 1
    del batch
    assert array.alive == 0


@pytest.mark.parametrize("consumer", ["fast", "slow"])
def test_prefetch_and_two_results_at_most(prefetch, consumer):
    array, results = Counted(N), Counted(N)

    def result(item):
        made = Item(np.array(item.indices) + 1)
        results.count(made)
        return made

    batches = ArrayDataSource([array]).map(result).batch_iterator(2, prefetch=prefetch)
    for given, batch in enumerate(batches, 1):
        if consumer == "slow":
            results.wait_for(min(given + prefetch, N // 2))
            time.sleep(0.002)
        assert batch.indices == [2 * given - 1, 2 * given]
    assert (array.made, results.made, array.alive, results.alive) == (N // 2, N // 2, 0, 1)
    if HAS_GIL:  # without it, what another thread made is freed when that one comes to it
        assert array.most <= prefetch + 2 and results.most <= prefetch + 2


@pytest.mark.parametrize("manner", ["close", "drop", "exit"])
def test_what_was_prefetched_is_freed(prefetch, manner):
    array = Counted(N)
    batches = ArrayDataSource([array]).batch_iterator(2, prefetch=prefetch)
    batch = next(batches)
    wait_until(lambda: array.made >= 1 + prefetch)
    if manner == "close":
        batches.close()
    elif manner == "exit":
        with batches as same:
            assert same is batches
        del same
    else:
        del batches
    assert array.alive == 1
    del batch
    assert array.alive == 0


def test_an_error_frees_what_was_prefetched(prefetch):
    array = Counted(N)

    def check(item):
        if item.indices[0] == 10:
            raise Broken
        return item

    batches = ArrayDataSource([array]).map(check).batch_iterator(2, prefetch=prefetch)
    assert [next(batches).indices[0] for _ in range(5)] == [0, 2, 4, 6, 8]
    with pytest.raises(Broken):
        next(batches)
    gc.collect()  # the traceback is a cycle
    assert array.alive == 0


# ---- many iterators, many consumers ------------------------------------------------------------


@pytest.mark.usefixtures("threads")
def test_two_iterators_at_once(batch, prefetch):
    source = decoded(batch)
    for (x, i), (y, j) in zip(
        source.batch_iterator(5, prefetch=prefetch),
        source.batch_iterator(5, 3, prefetch=prefetch),
        strict=True,
    ):
        assert_same(x, np.stack([batch.images[k] for k in i]))
        assert_same(y, np.stack([batch.images[k] for k in j]))


@pytest.mark.usefixtures("threads")
def test_nested_iterators(prefetch):
    source = ArrayDataSource([Epochs(6)])
    for epoch, (outer,) in enumerate(source.batch_iterator(2, prefetch=prefetch)):
        assert outer.tolist() == [2 * epoch, 2 * epoch + 1]
        inner = orders(source.batch_iterator(4, prefetch=prefetch))
        assert inner == [[1000 * (epoch + 1) + i for i in part] for part in ([0, 1, 2, 3], [4, 5])]


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("inside", [0, 2])
def test_an_iterator_inside_a_function(prefetch, inside):
    labels = ArrayDataSource([np.arange(4)])

    def add(x):
        return (x + sum(int(y.sum()) for (y,) in labels.batch_iterator(3, prefetch=inside)),)

    source = ArrayDataSource([np.arange(N)]).map(add)
    assert orders(source.batch_iterator(4, prefetch=prefetch)) == in_batches(range(6, N + 6), 4)


@pytest.mark.usefixtures("threads")
def test_consumers_share_an_iterator(prefetch):
    count, start = 4000, threading.Barrier(8)
    batches = ArrayDataSource([np.arange(count)]).batch_iterator(2, prefetch=prefetch)

    def consume():
        start.wait()
        return orders(batches)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        shares = [future.result(PATIENCE) for future in [pool.submit(consume) for _ in range(8)]]
    assert sorted(part for share in shares for part in share) == in_batches(range(count), 2)
    assert all(share == sorted(share) for share in shares)
    assert list(batches) == []


@pytest.mark.usefixtures("threads")
def test_consumers_share_an_error(prefetch):
    start = threading.Barrier(8)

    def check(x):
        if x[0] == 500:
            raise Broken
        return x.tolist()

    batches = ArrayDataSource([np.arange(1000)]).map(check).batch_iterator(2, prefetch=prefetch)

    def consume():
        start.wait()
        got = []
        try:
            for batch in batches:
                got.append(batch)
        except Broken:
            got.append("broken")
        return got

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(consume) for _ in range(8)]
        got = [batch for future in futures for batch in future.result(PATIENCE)]
    assert got.count("broken") == 1
    got.remove("broken")
    assert sorted(got) == in_batches(range(500), 2)
