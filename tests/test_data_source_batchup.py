# SPDX-License-Identifier: BSD-3-Clause
"""Our data source gives what BatchUp's gives: the same batches in the same order, for the same rng."""

import itertools

import numpy as np
import pytest
from support.data_sources import SEED
from support.jpegs import assert_all_same, assert_same

import fastimg
from fastimg.data_source import ArrayDataSource

theirs = pytest.importorskip("batchup.data_source")
sampling = pytest.importorskip("batchup.sampling")


def arrays(batch, mixed, count=19):
    return [
        fastimg.ImageFileAccessor(batch.paths[:count]),
        fastimg.NonUniformImageFileAccessor(mixed.paths[:count]),
        np.arange(count, dtype=np.int32) * 7,
        np.arange(count * 6, dtype=np.float32).reshape(count, 2, 3),
    ]


def assert_equal_batches(found, expected):
    found, expected = list(found), list(expected)
    assert len(expected) > 0
    assert_all_same(found, expected)


def compare(data, batch_size, shuffle, *, limit=None, epochs=2, function=None, prefetch=2, **options):
    """Batches of some epochs, drawn from one rng, that goes on from epoch to epoch."""
    ours, other = ArrayDataSource(data, **options), theirs.ArrayDataSource(list(data), **options)
    if function is not None:
        ours, other = ours.map(function), other.map(function)
    our_rng, their_rng = (np.random.RandomState(SEED) if shuffle else None for _ in range(2))
    for _ in range(epochs):
        batches = ours.batch_iterator(batch_size, our_rng, prefetch=prefetch)
        expected = itertools.islice(other.batch_iterator(batch_size, shuffle=their_rng), limit)
        assert_equal_batches(itertools.islice(batches, limit), expected)
        batches.close()


@pytest.fixture(params=[False, True], ids=["in order", "shuffled"])
def shuffle(request):
    return request.param


@pytest.fixture(params=[0, 2, 5])
def prefetch(request):
    return request.param


@pytest.mark.parametrize("batch_size", [1, 4, 19, 30])
@pytest.mark.parametrize("include_indices", [False, True])
def test_all_samples(batch, mixed, shuffle, prefetch, batch_size, include_indices):
    data = arrays(batch, mixed)
    compare(data, batch_size, shuffle, prefetch=prefetch, include_indices=include_indices)


@pytest.mark.parametrize("include_indices", [False, True])
def test_subsets(batch, mixed, shuffle, prefetch, include_indices):
    indices = np.array([3, 18, 0, 7, 7, 11, 2])
    data = arrays(batch, mixed)
    compare(data, 3, shuffle, prefetch=prefetch, indices=indices, include_indices=include_indices)


@pytest.mark.parametrize("batch_size", [1, 4, 7, 10, 14, 15, 40])
@pytest.mark.parametrize("indices", [None, np.array([6, 1, 5])], ids=["all", "subset"])
def test_five_repeats(shuffle, batch_size, indices):
    data = [np.arange(7), np.arange(14).reshape(7, 2)]
    compare(data, batch_size, shuffle, epochs=1, repeats=5, indices=indices, include_indices=True)


@pytest.mark.parametrize("batch_size", [1, 4, 7, 10, 14, 15, 40])
@pytest.mark.parametrize("indices", [None, np.array([6, 1, 5])], ids=["all", "subset"])
def test_repeats_without_end(shuffle, prefetch, batch_size, indices):
    data = [np.arange(7), np.arange(14).reshape(7, 2)]
    options = {"repeats": -1, "indices": indices, "include_indices": True}
    compare(data, batch_size, shuffle, limit=200, epochs=1, prefetch=prefetch, **options)


def test_repeats_of_images(batch, mixed, shuffle):
    compare(arrays(batch, mixed, 5), 8, shuffle, epochs=1, repeats=5)
    compare(arrays(batch, mixed, 5), 8, shuffle, limit=20, epochs=1, repeats=-1)


def darker(x, images, y, z):
    return x // 2, [image.sum() for image in images], {"y": y + 1}


def test_map(batch, mixed, shuffle):
    data = arrays(batch, mixed)
    other = theirs.ArrayDataSource(data).map(darker)
    our_rng, their_rng = (np.random.RandomState(SEED) if shuffle else None for _ in range(2))
    batches = ArrayDataSource(data).map(darker).batch_iterator(4, our_rng)
    for (x, sums, labels), (wanted_x, wanted_sums, wanted_labels) in zip(
        batches, other.batch_iterator(4, shuffle=their_rng), strict=True
    ):
        assert_same(x, wanted_x)
        assert sums == wanted_sums
        assert_same(labels["y"], wanted_labels["y"])


LABELS = np.array([0] * 12 + [1] * 5 + [2] * 2)
SUBSET = np.array([0, 3, 12, 13, 18])
WEIGHTS = np.arange(19) % 4 + 0.5
SAMPLERS = {
    "standard": lambda: sampling.StandardSampler(19),
    "standard, repeats": lambda: sampling.StandardSampler(19, repeats=5),
    "standard, endless": lambda: sampling.StandardSampler(19, repeats=-1),
    "subset": lambda: sampling.SubsetSampler(SUBSET),
    "subset, repeats": lambda: sampling.SubsetSampler(SUBSET, repeats=5),
    "subset, endless": lambda: sampling.SubsetSampler(SUBSET, repeats=-1),
    "weighted": lambda: sampling.WeightedSampler(WEIGHTS),
    "weighted subset": lambda: sampling.WeightedSubsetSampler(WEIGHTS[SUBSET], SUBSET),
    "balancing": lambda: sampling.WeightedSampler.class_balancing_sampler(LABELS),
    "balancing subset": lambda: sampling.WeightedSubsetSampler.class_balancing_sampler(LABELS, SUBSET),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers_shuffled(batch, mixed, name, prefetch):
    # What is drawn ahead is the rng's: only an epoch that ends leaves it as BatchUp does.
    epochs = 2 if name in ("standard", "standard, repeats", "subset", "subset, repeats") else 1
    options = {"sampler": SAMPLERS[name](), "include_indices": True, "prefetch": prefetch}
    compare(arrays(batch, mixed), 4, True, limit=30, epochs=epochs, **options)
    compare([np.arange(19)], 50, True, limit=200, epochs=1, **options)


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name.startswith(("standard", "subset"))])
def test_samplers_in_order(batch, mixed, name, prefetch):
    compare(arrays(batch, mixed), 4, False, limit=30, prefetch=prefetch, sampler=SAMPLERS[name]())


@pytest.mark.parametrize("name", [name for name in SAMPLERS if not name.startswith(("standard", "subset"))])
def test_samplers_without_an_order(name, prefetch):
    batches = ArrayDataSource([np.arange(19)], sampler=SAMPLERS[name]()).batch_iterator(4, prefetch=prefetch)
    with pytest.raises(NotImplementedError, match="In-order"):
        next(batches)


def test_drop_last_of_a_sampler():
    source = ArrayDataSource([np.arange(19)], sampler=sampling.StandardSampler(19))
    assert [x.tolist() for (x,) in source.batch_iterator(8, drop_last=True)] == [[*range(8)], [*range(8, 16)]]


def test_their_functions_over_our_batches(batch, mixed, shuffle):
    data = arrays(batch, mixed)
    data = [data[0], data[2]]
    rngs = [np.random.RandomState(SEED) if shuffle else None for _ in range(4)]

    def means(x, y):
        return x.mean(axis=(1, 2, 3)), y * 2

    def sums(x, y):
        return x.astype(np.int64).sum(axis=(1, 2, 3)), y

    ours = theirs.batch_map_concat(means, ArrayDataSource(data).batch_iterator(4, rngs[0]))
    other = theirs.ArrayDataSource(data).batch_map_concat(means, 4, shuffle=rngs[1])
    for a, b in zip(ours, other, strict=True):
        assert_same(a, b)
    ours = theirs.batch_map_mean(sums, ArrayDataSource(data).batch_iterator(4, rngs[2]), sum_axis=0)
    other = theirs.ArrayDataSource(data).batch_map_mean(sums, 4, sum_axis=0, shuffle=rngs[3])
    assert [value.item() for value in ours] == [value.item() for value in other]


def test_our_source_inside_theirs(batch, mixed, shuffle):
    # CallableDataSource takes what iterates and what counts.
    data = arrays(batch, mixed)
    ours = ArrayDataSource(data)
    wrapped = theirs.CallableDataSource(ours.batch_iterator, ours.num_samples)
    other = theirs.ArrayDataSource(data)
    assert wrapped.num_samples(shuffle=None, batch_size=3) == 19
    our_rng, their_rng = (np.random.RandomState(SEED) if shuffle else None for _ in range(2))
    both = theirs.CompositeDataSource([wrapped, wrapped])
    pairs = theirs.CompositeDataSource([other, other])
    if shuffle:  # two iterators of ours draw ahead: each draws its order at its first batch, as theirs
        assert_equal_batches(
            both.batch_iterator(4, shuffle=our_rng), pairs.batch_iterator(4, shuffle=their_rng)
        )
    else:
        assert_equal_batches(both.batch_iterator(4), pairs.batch_iterator(4))
