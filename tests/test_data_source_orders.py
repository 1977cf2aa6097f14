# SPDX-License-Identifier: BSD-3-Clause
"""ArrayDataSource: which samples come in which order, over repeats and epochs, from samplers."""

import itertools
import math

import numpy as np
import pytest
from support.data_sources import PREFETCH, Epochs, N, Numbers, Parts, epoch_order, in_batches, orders
from support.jpegs import assert_same

from fastimg.data_source import ArrayDataSource

# ---- orders ------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefetch", PREFETCH)
@pytest.mark.parametrize("shuffle", [None, False])
def test_in_order(numbers, shuffle, prefetch):
    for _ in range(2):
        assert orders(numbers.batch_iterator(5, shuffle, prefetch=prefetch)) == in_batches(range(N), 5)


# Written down, and not computed: these orders must be the same in every version, on every machine.
FROZEN = {
    (0, 0): [6, 1, 0, 5, 3, 8, 7, 9, 2, 4],
    (7, 0): [4, 5, 9, 8, 1, 7, 6, 0, 2, 3],
    (7, 1): [8, 6, 9, 5, 0, 7, 3, 4, 1, 2],
    (2**40, 0): [5, 6, 1, 2, 7, 3, 4, 0, 9, 8],
}


@pytest.mark.parametrize("seed", [0, 7, 2**40])
def test_the_orders_of_a_seed_are_frozen(seed):
    source = ArrayDataSource([np.arange(10)], seed=seed)
    for epoch in range(2):
        (order,) = orders(source.batch_iterator(10, shuffle=True))
        assert order == epoch_order(seed, epoch, 10).tolist()
        if (seed, epoch) in FROZEN:
            assert order == FROZEN[seed, epoch]


@pytest.mark.parametrize("prefetch", PREFETCH)
def test_shuffled_epochs(numbers, prefetch):
    for epoch in range(4):
        batches = numbers.batch_iterator(4, True, prefetch=prefetch)
        assert orders(batches) == in_batches(epoch_order(7, epoch, N), 4)


def test_every_epoch_counts_for_the_order(numbers):
    assert orders(numbers.batch_iterator(N, True)) == [epoch_order(7, 0, N).tolist()]
    list(numbers.batch_iterator(N))
    list(numbers.batch_iterator(N, 3))
    assert orders(numbers.batch_iterator(N, True)) == [epoch_order(7, 3, N).tolist()]


def test_an_epoch_counts_when_its_iterator_is_made(numbers):
    first, second = (numbers.batch_iterator(N, True) for _ in range(2))
    assert orders(second) == [epoch_order(7, 1, N).tolist()]
    assert orders(first) == [epoch_order(7, 0, N).tolist()]


def test_without_a_seed_orders_differ():
    first, second = (ArrayDataSource([np.arange(1000)]) for _ in range(2))
    drawn = [orders(source.batch_iterator(1000, True)) for source in (first, first, second, second)]
    assert all(sorted(order) == list(range(1000)) for (order,) in drawn)
    assert all(a != b for a, b in itertools.combinations(drawn, 2))


@pytest.mark.parametrize("seed", [0, 1, 12345, 2**32 - 1])
def test_an_int_is_a_random_state(numbers, seed):
    expected = in_batches(np.random.RandomState(seed).permutation(N), 6)
    for _ in range(2):
        assert orders(numbers.batch_iterator(6, seed)) == expected


def makers():
    return {
        "RandomState": lambda: np.random.RandomState(12345),
        "RandomState of PCG64": lambda: np.random.RandomState(np.random.PCG64(5)),
        "Generator": lambda: np.random.default_rng(12345),
        "Generator of MT19937": lambda: np.random.Generator(np.random.MT19937(5)),
        "Generator of SFC64": lambda: np.random.Generator(np.random.SFC64(5)),
    }


@pytest.mark.parametrize("maker", makers())
@pytest.mark.parametrize("prefetch", PREFETCH)
def test_generators_of_random_numbers(numbers, maker, prefetch):
    ours, theirs = (makers()[maker]() for _ in range(2))
    for _ in range(3):
        batches = numbers.batch_iterator(5, ours, prefetch=prefetch)
        assert orders(batches) == in_batches(theirs.permutation(N), 5)
    # Nothing else was drawn.
    assert ours.permutation(50).tolist() == theirs.permutation(50).tolist()


def test_the_order_is_drawn_when_the_first_batch_is_asked_for(numbers):
    ours, theirs = (np.random.RandomState(1) for _ in range(2))
    batches = numbers.batch_iterator(5, ours)
    assert ours.rand() == theirs.rand()
    assert orders(batches) == in_batches(theirs.permutation(N), 5)


@pytest.mark.parametrize("maker", makers())
def test_indices_are_shuffled_by_a_permutation_of_positions(maker):
    indices = np.array([5, 2, 22, 5, 0, 9, 1])
    source = ArrayDataSource([np.arange(N)], indices=indices)
    ours, theirs = (makers()[maker]() for _ in range(2))
    assert orders(source.batch_iterator(7, ours)) == [indices[theirs.permutation(7)].tolist()]


@pytest.mark.parametrize("shuffle", ["yes", 1.5, object(), np.random, [1], np.random.RandomState])
def test_shuffle_of_another_kind(numbers, shuffle):
    with pytest.raises(TypeError, match="shuffle"):
        numbers.batch_iterator(5, shuffle)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_no_random_state_has(numbers, seed):
    with pytest.raises(ValueError, match=str(seed)):
        numbers.batch_iterator(5, seed)


# ---- repeats -----------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 4, 23, 24, 46, 50, 200])
@pytest.mark.parametrize("repeats", [2, 5])
def test_repeats(repeats, batch_size):
    source = ArrayDataSource([np.arange(N)], repeats=repeats)
    assert len(source) == source.num_samples() == N * repeats
    order = np.tile(np.arange(N), repeats)
    assert orders(source.batch_iterator(batch_size)) == in_batches(order, batch_size)
    rng = np.random.RandomState(3)
    order = np.concatenate([rng.permutation(N) for _ in range(repeats)])
    expected = in_batches(order, batch_size)
    assert orders(source.batch_iterator(batch_size, 3)) == expected
    assert orders(source.batch_iterator(batch_size, np.random.RandomState(3))) == expected


def test_each_repetition_is_shuffled_anew():
    source = ArrayDataSource([np.arange(N)], repeats=3, seed=7)
    for epoch in range(2):
        rng = np.random.RandomState(np.random.MT19937(np.random.SeedSequence([7, epoch])))
        order = np.concatenate([rng.permutation(N) for _ in range(3)])
        assert orders(source.batch_iterator(10, True)) == in_batches(order, 10)


@pytest.mark.parametrize("batch_size", [3, 23, 60])
@pytest.mark.parametrize("prefetch", PREFETCH)
def test_endless(batch_size, prefetch):
    source = ArrayDataSource([np.arange(N)], repeats=-1)
    rng = np.random.RandomState(9)
    order = np.concatenate([rng.permutation(N) for _ in range(300)])
    count = 6000 // batch_size
    with source.batch_iterator(batch_size, 9, prefetch=prefetch) as batches:
        assert orders(itertools.islice(batches, count)) == in_batches(order, batch_size)[:count]
    with source.batch_iterator(batch_size, prefetch=prefetch) as batches:
        expected = in_batches(np.tile(np.arange(N), 300), batch_size)[:count]
        assert orders(itertools.islice(batches, count)) == expected
    assert source.num_samples() == math.inf
    with pytest.raises(TypeError, match="len"):
        len(source)
    with pytest.raises(TypeError, match="len"):
        len(source.batch_iterator(batch_size))


# ---- samplers ----------------------------------------------------------------------------------


def test_a_sampler_in_order_and_shuffled():
    sampler = Parts([3, 1, 2], [0], [5, 5, 5, 5])
    source = ArrayDataSource([np.arange(N), Numbers(N)], sampler=sampler)
    batches = source.batch_iterator(3)
    assert sampler.asked == []
    assert orders(batches) == [[3, 1, 2], [0], [5, 5, 5, 5]]
    assert orders(source.batch_iterator(4, 7)) == [[2, 1, 3], [0], [5, 5, 5, 5]]
    (_, none), (_, rng) = sampler.asked
    assert [size for size, _ in sampler.asked] == [3, 4]
    assert none is None and rng.rand() == np.random.RandomState(7).rand()


@pytest.mark.parametrize("maker", makers())
def test_a_sampler_gets_the_callers_rng(maker):
    rng, sampler = makers()[maker](), Parts([0, 1])
    assert orders(ArrayDataSource([np.arange(N)], sampler=sampler).batch_iterator(2, rng)) == [[1, 0]]
    assert sampler.asked[0][1] is rng


def test_a_sampler_gets_the_rng_of_the_epoch():
    sampler = Parts([0])
    source = ArrayDataSource([np.arange(N)], sampler=sampler, seed=7)
    for epoch in range(2):
        list(source.batch_iterator(2, True))
        assert sampler.asked[epoch][1].permutation(50).tolist() == epoch_order(7, epoch, 50).tolist()


def test_the_length_of_a_samplers_batches_is_not_known():
    batches = ArrayDataSource([np.arange(N)], sampler=Parts([0], [1])).batch_iterator(1)
    with pytest.raises(TypeError, match="len"):
        len(batches)
    assert orders(batches) == [[0], [1]]


@pytest.mark.parametrize("prefetch", PREFETCH)
def test_a_sampler_that_fails(prefetch):
    error = ArithmeticError("no more")
    batches = ArrayDataSource([np.arange(N)], sampler=Parts([0], [1], error=error)).batch_iterator(
        1, prefetch=prefetch
    )
    assert [next(batches)[0].tolist() for _ in range(2)] == [[0], [1]]
    with pytest.raises(ArithmeticError, match="no more"):
        next(batches)
    assert list(batches) == []


@pytest.mark.parametrize("wrong", [N, -N - 1])
def test_a_sampler_out_of_range(wrong, batch):
    source = ArrayDataSource([np.arange(N)], sampler=Parts([0], [1, wrong]))
    batches = source.batch_iterator(1)
    assert next(batches)[0].tolist() == [0]
    with pytest.raises(IndexError, match=str(wrong)):
        next(batches)


# ---- epochs of arrays --------------------------------------------------------------------------


@pytest.mark.parametrize("prefetch", [0, 2])
def test_arrays_with_epochs(prefetch):
    source = ArrayDataSource([Epochs(5), np.arange(5)], repeats=2)
    for epoch, shuffle in enumerate([None, 3, True, None]):
        for values, indices in source.batch_iterator(3, shuffle, prefetch=prefetch):
            assert_same(values, indices + 1000 * epoch)
