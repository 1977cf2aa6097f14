# SPDX-License-Identifier: BSD-3-Clause
"""Copies of a data source, by copy and by pickle, go on as the state of the original would."""

import copy
import pickle

import numpy as np
import pytest
from support.data_source_states import CASES, ENDLESS, plain
from support.data_sources import Epochs, epoch_order, in_batches, orders
from support.jpegs import assert_same

import fastimg
from fastimg.data_source import ArrayDataSource

N = 11

COPY = {
    "pickle": lambda source: pickle.loads(pickle.dumps(source)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}
COPIES = pytest.mark.parametrize("way", COPY)


def copies_of(case, way):
    """(state, copy) before the first epoch, after each batch of it, and after the last."""
    source, rng = case.make(), case.rng()
    found = [(source.state_dict(), COPY[way](source))]
    batches = case.iterator(source, rng)
    found.append((source.state_dict(), COPY[way](source)))
    for _, _ in zip(range(ENDLESS), batches, strict=False):
        found.append((source.state_dict(), COPY[way](source)))
    batches.close()
    found.append((source.state_dict(), COPY[way](source)))
    return found


@COPIES
@pytest.mark.parametrize(
    "name", ["True", "True, map", "True, repeats", "True, endless", "int", "RandomState"]
)
def test_copies_go_on_like_loaded_states(name, way):
    case = CASES[name]
    for state, copied in copies_of(case, way):
        assert copied.state_dict() == state
        again = COPY[way](copied)  # which has not begun either
        loaded = case.make()
        loaded.load_state_dict(state)
        expected = [plain(case.iterator(loaded, case.rng())) for _ in range(case.epochs)]
        for other in (copied, again):
            assert [plain(case.iterator(other, case.rng())) for _ in range(case.epochs)] == expected


@COPIES
def test_copies_in_the_middle(way):
    source = ArrayDataSource([Epochs(N)])
    list(source.batch_iterator(4, True))
    batches = source.batch_iterator(4, True)
    next(batches)
    copied = COPY[way](source)
    rest = orders(batches)
    assert orders(copied.batch_iterator(4, True)) == rest and len(rest) == 2
    assert orders(copied.batch_iterator(4, True)) == orders(source.batch_iterator(4, True))


@COPIES
def test_copies_are_apart(way):
    source = ArrayDataSource([np.arange(N)], seed=3)
    batches = source.batch_iterator(4, True)
    first = next(batches)[0].tolist()
    list(COPY[way](source).batch_iterator(4, True))
    assert [first, *orders(batches)] == in_batches(epoch_order(3, 0, N), 4)
    assert orders(source.batch_iterator(N, True)) == [epoch_order(3, 1, N).tolist()]


@COPIES
def test_copies_of_a_loaded_state(way):
    saved = ArrayDataSource([np.arange(N)], seed=3)
    next(saved.batch_iterator(3, True))
    state = saved.state_dict()
    source = ArrayDataSource([np.arange(N)])
    list(source.batch_iterator(N))
    source.load_state_dict(state)
    copied = COPY[way](source)
    assert copied.state_dict() == state
    assert orders(copied.batch_iterator(3, True)) == in_batches(epoch_order(3, 0, N), 3)[1:]
    assert orders(copied.batch_iterator(N, True)) == [epoch_order(3, 1, N).tolist()]


@COPIES
def test_a_copy_that_is_given_an_epoch_begins_it(way):
    # What a copy in another process had of it before is nothing that this one has got.
    source = ArrayDataSource([np.arange(N)], seed=3)
    next(source.batch_iterator(4))
    for epoch in (0, 2):
        copied = COPY[way](source)
        assert orders(copied.batch_iterator(5, True, epoch=epoch)) == in_batches(epoch_order(3, epoch, N), 5)


@COPIES
def test_sources_of_copies(way):
    source = ArrayDataSource([Epochs(N)], seed=3)
    next(source.batch_iterator(4, True))
    for make in (lambda each: each.map(lambda x: (x,)), lambda each: each.shard(1, 2)):
        ours, copied = make(source), make(COPY[way](source))
        assert orders(copied.batch_iterator(3, True)) == orders(ours.batch_iterator(3, True))


def test_copies_with_accessors(batch):
    view = fastimg.ImageFileAccessor(batch.paths).random_resized_crop(8, seed=1)
    source = ArrayDataSource([view, np.arange(37)], seed=3)
    batches = source.batch_iterator(10, True)
    next(batches)
    copies = [COPY[way](source) for way in COPY]
    rest = list(batches)
    for copied in copies:
        for ours, theirs in zip(rest, copied.batch_iterator(10, True), strict=True):
            assert_same(ours[0], theirs[0])
            assert ours[1].tolist() == theirs[1].tolist()
