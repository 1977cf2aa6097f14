# SPDX-License-Identifier: BSD-3-Clause
"""ArrayDataSource: sources made of sources by map, subset and shard."""

import itertools
import math
import threading

import numpy as np
import pytest
from support.data_sources import PREFETCH, N, Numbers, epoch_order, in_batches, orders

from fastimg.data_source import ArrayDataSource

# ---- map ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("result", [None, 5, "text", [1, 2], {"x": 1}, (1,), ()])
@pytest.mark.parametrize("prefetch", [0, 2])
def test_map_gives_what_the_function_gives(numbers, result, prefetch):
    given = list(numbers.map(lambda x: result).batch_iterator(10, prefetch=prefetch))
    assert len(given) == 3 and all(entry is result for entry in given)


def test_maps_in_a_row():
    source = ArrayDataSource([np.arange(N), Numbers(N)], include_indices=True, seed=4)
    calls = []

    def first(indices, x, numbers):
        calls.append("first")
        return x + 1, numbers

    def second(x, numbers):
        calls.append("second")
        return x * 2, numbers

    batches = source.map(first).map(second).batch_iterator(10, True, prefetch=0)
    expected = epoch_order(4, 0, N)
    assert orders(batches) == in_batches((expected + 1) * 2, 10)
    assert calls == ["first", "second"] * 3
    # The source that was mapped is what it was.
    assert orders(source.batch_iterator(10, True)) == in_batches(expected, 10)


def test_map_and_the_rest(numbers):
    mapped = ArrayDataSource([np.arange(N)], repeats=2).map(lambda x: (x + 100,))
    assert len(mapped) == mapped.num_samples() == 2 * N
    assert len(mapped.batch_iterator(5)) == 10
    assert orders(mapped.subset([3, 4]).batch_iterator(5)) == [[103, 104, 103, 104]]
    assert orders(mapped.shard(1, 12).batch_iterator(5)) == [[101, 113, 101, 113]]
    with pytest.raises(TypeError, match="len"):
        len(ArrayDataSource([np.arange(N)], repeats=-1).map(print))


@pytest.mark.parametrize("wrong", [None, 3, "f"])
def test_map_of_no_function(numbers, wrong):
    with pytest.raises(TypeError, match=type(wrong).__name__):
        numbers.map(wrong)


@pytest.mark.parametrize("prefetch", PREFETCH)
def test_where_functions_run(prefetch):
    array, idents = Numbers(N), []
    source = ArrayDataSource([array]).map(lambda x: idents.append(threading.get_ident()))
    list(source.batch_iterator(5, prefetch=prefetch))
    here = threading.get_ident()
    assert len(idents) == len(array.idents) == 5
    assert [ident == here for ident in idents + array.idents] == [prefetch == 0] * 10


# ---- subset and shard --------------------------------------------------------------------------

SUBSETS = {
    "slice": (slice(20, 4, -3), [20, 17, 14, 11, 8, 5]),
    "list": ([4, 4, 0], [4, 4, 0]),
    "empty list": ([], []),
    "array": (np.array([9, 22], np.uint8), [9, 22]),
    "mask": (np.arange(N) % 10 == 1, [1, 11, 21]),
    "negative": ([-1, -N], [22, 0]),
}


@pytest.mark.parametrize("kind", SUBSETS)
def test_subset(numbers, kind):
    chosen, expected = SUBSETS[kind]
    subset = numbers.subset(chosen)
    assert len(subset) == subset.num_samples() == len(expected)
    assert orders(subset.batch_iterator(4)) == in_batches(expected, 4)
    subset = numbers.subset(chosen)
    order = np.array(expected, np.int64)[epoch_order(7, 0, len(expected))]
    assert orders(subset.batch_iterator(4, True)) == in_batches(order, 4)


def test_subset_counts_among_the_sources_samples():
    source = ArrayDataSource([Numbers(N)], indices=np.arange(22, -1, -1), include_indices=True)
    subset = source.subset(slice(2, 12)).subset([0, -1])
    assert [(i.tolist(), x.tolist()) for i, x in subset.batch_iterator(5)] == [([20, 11], [200, 110])]


@pytest.mark.parametrize("wrong", [[N], [-N - 1], np.ones(N - 1, bool)])
def test_subset_out_of_range(numbers, wrong):
    with pytest.raises(IndexError):
        numbers.subset(wrong)


@pytest.mark.parametrize("world", [1, 2, 5, 23, 30])
def test_shards(numbers, world):
    shards = [numbers.shard(rank, world) for rank in range(world)]
    for rank, shard in enumerate(shards):
        expected = list(range(rank, N, world))
        assert len(shard) == len(expected)
        assert orders(shard.batch_iterator(4)) == in_batches(expected, 4)
        assert sorted(itertools.chain(*orders(shard.batch_iterator(4, True)))) == expected


def test_shards_of_a_subset(numbers):
    assert orders(numbers.subset(slice(10, 20)).shard(1, 3).shard(1, 2).batch_iterator(9)) == [[14]]


@pytest.mark.parametrize(("rank", "world"), [(2, 2), (-1, 2), (0, 0), (0, -1)])
def test_shards_that_do_not_exist(numbers, rank, world):
    with pytest.raises(ValueError, match=rf"{rank}|{world}"):
        numbers.shard(rank, world)


def test_repeats_of_subsets():
    source = ArrayDataSource([np.arange(N)], repeats=3)
    assert orders(source.subset([1, 2]).batch_iterator(4)) == [[1, 2, 1, 2], [1, 2]]
    endless = ArrayDataSource([np.arange(N)], repeats=-1).shard(3, 20)
    assert endless.num_samples() == math.inf
    assert orders(itertools.islice(endless.batch_iterator(4), 1)) == [[3, 3, 3, 3]]
