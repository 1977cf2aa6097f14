# SPDX-License-Identifier: BSD-3-Clause
"""Our accessors in every one of BatchUp's data sources, samplers and pools.

The oracle is BatchUp itself, over the pixels as arrays in memory.
"""

import itertools

import numpy as np
import pytest
from support.batchup_pools import opened
from support.data_sources import SEED
from support.jpegs import assert_all_same

import fastimg

data_source = pytest.importorskip("batchup.data_source")
sampling = pytest.importorskip("batchup.sampling")
work_pool = pytest.importorskip("batchup.work_pool")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

COUNT = 19
LABELS = np.array([0] * 12 + [1] * 5 + [2] * 2)
SUBSET = np.array([0, 3, 12, 13, 18])


class Pixels(list):
    """Images of any sizes in memory, with the index that BatchUp uses."""

    def __getitem__(self, indices):
        return [super(Pixels, self).__getitem__(i) for i in indices]


@pytest.fixture(scope="module")
def data(batch, mixed):
    """The same arrays twice: ours, and the pixels loaded beforehand."""
    ours = [
        fastimg.ImageFileAccessor(batch.paths[:COUNT]),
        fastimg.NonUniformImageFileAccessor(mixed.paths),
        np.arange(COUNT),
    ]
    return ours, [np.stack(batch.images[:COUNT]), Pixels(mixed.images), np.arange(COUNT)]


def array(data, **options):
    return data_source.ArrayDataSource(list(data), **options)


def crosswise(x, images, y):
    return y, [image[:, ::2] for image in images], x[:, :, ::-1].copy()


SOURCES = {
    "array": array,
    "array, indices": lambda data: array(data, indices=SUBSET, include_indices=True),
    "array, repeats": lambda data: array(data, repeats=3),
    "array, standard": lambda data: array(data, sampler=sampling.StandardSampler(COUNT, 2)),
    "array, subset": lambda data: array(data, sampler=sampling.SubsetSampler(SUBSET, 2)),
    "array, map": lambda data: array(data).map(crosswise),
    "composite": lambda data: data_source.CompositeDataSource([array(data), array(data, indices=SUBSET)]),
    "composite, nested": lambda data: data_source.CompositeDataSource(
        [array(data), array(data)], flatten=False
    ),
    "choice": lambda data: data_source.ChoiceDataSource([array(data), array(data, indices=SUBSET)]),
    "choice, stratified": lambda data: data_source.ChoiceDataSource(
        [array(data), array(data, indices=SUBSET, repeats=2)], stratified=True
    ),
    "map of choice": lambda data: data_source.ChoiceDataSource([array(data), array(data)]).map(crosswise),
}
ENDLESS = {
    "array": lambda data: array(data, repeats=-1),
    "weighted": lambda data: array(data, sampler=sampling.WeightedSampler(LABELS + 1.0)),
    "weighted subset": lambda data: array(
        data, sampler=sampling.WeightedSubsetSampler(LABELS[SUBSET] + 1.0, SUBSET)
    ),
    "balancing": lambda data: array(data, sampler=sampling.WeightedSampler.class_balancing_sampler(LABELS)),
    "balancing subset": lambda data: array(
        data, sampler=sampling.WeightedSubsetSampler.class_balancing_sampler(LABELS, SUBSET)
    ),
}
POOLS = {
    "threads": lambda: opened(work_pool.WorkerThreadPool, 3),
    "processes": lambda: opened(work_pool.WorkerProcessPool, 2),
}


@pytest.fixture(params=[False, True], ids=["in order", "shuffled"])
def rng(request):
    """Makes the argument `shuffle`, anew for each side."""
    return lambda: np.random.RandomState(SEED) if request.param else None


# BatchUp's processes know a data source by its address: one that were freed would be taken for the next one there.
KEPT = []


@pytest.fixture(scope="module", params=POOLS)
def pool(request):
    with POOLS[request.param]() as made:
        yield made


def parallel(pool, source):
    KEPT.append(source)
    return pool.parallel_data_source(source, 3)


def compare(ours, theirs, rng, limit=None):
    expected = list(itertools.islice(theirs.batch_iterator(4, shuffle=rng()), limit))
    assert len(expected) > 1
    assert_all_same(list(itertools.islice(ours.batch_iterator(4, shuffle=rng()), limit)), expected)


@pytest.mark.parametrize("name", SOURCES)
def test_sources(data, rng, name):
    ours, theirs = map(SOURCES[name], data)
    compare(ours, theirs, rng)
    assert ours.num_samples() == theirs.num_samples()


@pytest.mark.parametrize("name", SOURCES)
def test_sources_in_pools(data, rng, pool, name):
    ours, theirs = map(SOURCES[name], data)
    compare(parallel(pool, ours), theirs, rng)


@pytest.mark.parametrize("name", ENDLESS)
def test_endless_samplers(data, name):
    ours, theirs = map(ENDLESS[name], data)
    compare(ours, theirs, lambda: np.random.RandomState(SEED), limit=25)


@pytest.mark.parametrize("name", ENDLESS)
def test_endless_samplers_in_pools(data, pool, name):
    ours, theirs = map(ENDLESS[name], data)
    compare(parallel(pool, ours), theirs, lambda: np.random.RandomState(SEED), limit=25)


def test_callables(data, rng):
    def source(arrays):
        return data_source.CallableDataSource(array(arrays).batch_iterator, COUNT)

    compare(*map(source, data), rng)


def test_iterators(data, rng):
    ours, theirs = (
        data_source.IteratorDataSource(array(arrays).batch_iterator(4, shuffle=rng()), COUNT)
        for arrays in data
    )
    compare(ours, theirs, rng)


def test_coercion(data, rng):
    compare(*(data_source.coerce_data_source(tuple(arrays)) for arrays in data), rng)


@pytest.mark.parametrize("name", ["array", "choice", "map of choice"])
def test_batch_map_concat(data, rng, name):
    def function(*batch):
        x, y = (batch[2], batch[0]) if name.startswith("map") else (batch[0], batch[2])
        return x.mean(axis=(2, 3)), y

    ours, theirs = map(SOURCES[name], data)
    found = ours.batch_map_concat(function, 4, shuffle=rng())
    assert_all_same(found, theirs.batch_map_concat(function, 4, shuffle=rng()))


def test_batch_map_mean(data, rng, pool):
    def function(x, images, y):
        return x.astype(np.int64).sum(axis=(1, 2, 3)), np.array([image.sum() for image in images]), y

    ours, theirs = map(array, data)
    expected = theirs.batch_map_mean(function, 4, sum_axis=0, shuffle=rng())
    assert_all_same(ours.batch_map_mean(function, 4, sum_axis=0, shuffle=rng()), expected)
    assert_all_same(parallel(pool, ours).batch_map_mean(function, 4, sum_axis=0, shuffle=rng()), expected)
