# SPDX-License-Identifier: BSD-3-Clause
"""Epochs that are named: by batch_iterator, by set_epoch, and kept by the sources made of a source."""

import itertools
import pickle
import sys
import types
import warnings

import numpy as np
import pytest
from support.data_sources import Epochs, epoch_order, in_batches, orders

from fastimg.data_source import ArrayDataSource

N = 11


def expected(epoch, seed=3, length=N, batch_size=4):
    """The batches of an epoch, of an array that tells its epoch."""
    return in_batches(epoch_order(seed, epoch, length) + 1000 * epoch, batch_size)


def drawn(source, **options):
    return orders(source.batch_iterator(4, True, **options))


@pytest.fixture
def source():
    return ArrayDataSource([Epochs(N)], seed=3)


def test_epoch_of_batch_iterator(source):
    for epoch in (5, 5, 0, np.int64(2), 2**40):
        assert drawn(source, epoch=epoch) == expected(int(epoch))
        assert source.state_dict()["epoch"] == epoch
    # Those after it follow.
    assert drawn(source) == expected(2**40 + 1)


def test_set_epoch(source):
    for epoch in (0, 7, 7, 1):
        source.set_epoch(epoch)
        assert drawn(source) == expected(epoch)
    assert drawn(source) == expected(2)


def test_set_epoch_while_another_is_under_way(source):
    batches = source.batch_iterator(4, True, epoch=1)
    first = next(batches)[0].tolist()
    source.set_epoch(6)
    assert source.state_dict() == {**source.state_dict(), "epoch": 6, "batches": 0, "batch_size": None}
    assert drawn(source) == expected(6)
    assert [first, *orders(batches)] == expected(1)


def test_an_epoch_that_has_begun_begins_again(source):
    next(source.batch_iterator(4, True, epoch=1))
    assert drawn(source, epoch=1) == expected(1)
    next(source.batch_iterator(4, True, epoch=1))
    source.set_epoch(1)
    assert drawn(source) == expected(1)


@pytest.mark.parametrize("wrong", [-1, 1.0, "1", True])
def test_what_is_no_epoch(source, wrong):
    for call in (source.set_epoch, lambda epoch: source.batch_iterator(4, True, epoch=epoch)):
        with pytest.raises((TypeError, ValueError), match="epoch must be"):
            call(wrong)
    assert drawn(source) == expected(0)


def test_other_orders(source):
    # The epoch is that of the arrays, whatever orders the samples.
    for shuffle in (None, 5, np.random.RandomState(5), np.random.default_rng(5)):
        batches = source.batch_iterator(4, shuffle, epoch=9)
        assert sorted(itertools.chain(*orders(batches))) == list(range(9000, 9000 + N))


# ---- sources of sources ------------------------------------------------------------------------

DERIVE = {
    "map": (lambda source: source.map(lambda x: (x,)), np.arange(N)),
    "subset": (lambda source: source.subset(slice(2, 9)), np.arange(2, 9)),
    "shard": (lambda source: source.shard(1, 3), np.arange(1, N, 3)),
}


def expected_of(samples, epoch, seed=3):
    return in_batches(samples[epoch_order(seed, epoch, len(samples))] + 1000 * epoch, 4)


@pytest.mark.parametrize("kind", DERIVE)
def test_sources_made_of_a_source_keep_the_epoch(source, kind):
    derive, samples = DERIVE[kind]
    assert drawn(derive(source)) == expected_of(samples, 0)
    source.set_epoch(5)
    derived = derive(source)
    assert derived.state_dict()["epoch"] == 5
    assert drawn(derived) == expected_of(samples, 5)
    assert drawn(derived) == expected_of(samples, 6)
    assert drawn(source) == expected(5)
    # The next one, after one that has begun.
    assert drawn(derive(source)) == expected_of(samples, 6)
    assert drawn(derive(derive(source)), epoch=1) == drawn(derive(derive(source)), epoch=1)
    next(source.batch_iterator(4, True))
    assert drawn(derive(source)) == expected_of(samples, 7)


@pytest.mark.parametrize("kind", DERIVE)
def test_sources_made_after_a_state_was_loaded(kind):
    derive, samples = DERIVE[kind]
    other = ArrayDataSource([Epochs(N)], seed=8)
    next(other.batch_iterator(4, True, epoch=2))
    source = ArrayDataSource([Epochs(N)], seed=3)
    source.load_state_dict(other.state_dict())
    # A source of the same samples goes on with what is left; one of others begins anew.
    skipped = 1 if kind == "map" else 0
    derived = derive(source)
    assert drawn(derived) == expected_of(samples, 2, seed=8)[skipped:]
    assert drawn(derived) == expected_of(samples, 3, seed=8)
    assert drawn(source) == expected(2, seed=8)[1:]


# ---- states ------------------------------------------------------------------------------------


def loaded(epoch, batches=1):
    """A source that has loaded the state of one with another seed, after some batches of an epoch."""
    other = ArrayDataSource([Epochs(N)], seed=8)
    iterator = other.batch_iterator(4, True, epoch=epoch)
    for _ in range(batches):
        next(iterator)
    iterator.close()
    source = ArrayDataSource([Epochs(N)], seed=3)
    source.load_state_dict(other.state_dict())
    return source


@pytest.mark.parametrize("by_argument", [False, True])
def test_a_state_and_an_epoch(by_argument):
    def drawn_of(source, epoch):
        if by_argument:
            return drawn(source, epoch=epoch)
        source.set_epoch(epoch)
        return drawn(source)

    # The loop of a resumed run, which names every epoch: the first is continued.
    source = loaded(2)
    assert [drawn_of(source, epoch) for epoch in (2, 3)] == [expected(2, 8)[1:], expected(3, 8)]
    # Another epoch begins, with the seed of the state.
    for epoch in (0, 1, 3):
        assert drawn_of(loaded(2), epoch) == expected(epoch, 8)


def test_the_state_of_an_epoch_that_was_set(source):
    source.set_epoch(4)
    state = source.state_dict()
    resumed = ArrayDataSource([Epochs(N)])
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    assert drawn(resumed) == drawn(source) == expected(4)


def test_epochs_after_a_state_that_the_iterator_loaded():
    other = ArrayDataSource([Epochs(N)], seed=8)
    next(other.batch_iterator(4, True, epoch=5))
    source = ArrayDataSource([Epochs(N)], seed=3)
    batches = source.batch_iterator(4, True)
    batches.load_state_dict(other.state_dict())
    assert orders(batches) == expected(5, 8)[1:]
    assert drawn(source) == expected(6, 8)


# ---- in DataLoader workers ---------------------------------------------------------------------


@pytest.fixture(params=[0])
def worker(request, monkeypatch):
    """This process looks like a worker of PyTorch's DataLoader."""
    module = types.SimpleNamespace(
        get_worker_info=lambda: types.SimpleNamespace(id=request.param, num_workers=2)
    )
    monkeypatch.setitem(sys.modules, "torch.utils.data", module)


SHUFFLES = [True, 5, np.random.RandomState(5), np.random.default_rng(5)]


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_a_worker_that_was_told_no_epoch(source, shuffle):
    with pytest.warns(UserWarning, match=r"TorchIterable.*epoch=.*shard") as caught:
        orders(source.batch_iterator(4, shuffle))
        # Once.
        orders(source.batch_iterator(4, shuffle))
        orders(source.map(lambda x: (x,)).batch_iterator(4, shuffle))
    assert [each.filename for each in caught] == [__file__]


@pytest.mark.usefixtures("worker")
def test_a_copy_in_a_worker(source):
    next(source.batch_iterator(4))
    copied = pickle.loads(pickle.dumps(source))
    with pytest.warns(UserWarning, match="TorchIterable"):
        copied.batch_iterator(4, None)
        copied.batch_iterator(4, True)


@pytest.mark.usefixtures("worker")
def test_a_worker_that_was_told_its_epoch(source):
    other = ArrayDataSource([Epochs(N)])
    next(other.batch_iterator(4, True, epoch=1))
    resumed = ArrayDataSource([Epochs(N)])
    resumed.load_state_dict(other.state_dict())
    told = source.shard(0, 1)
    told.set_epoch(2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn(source, epoch=0)
        drawn(source)
        drawn(told.subset([1, 2]))
        drawn(pickle.loads(pickle.dumps(told)))
        drawn(resumed)
        # Nothing is random.
        for shuffle in (None, False):
            orders(ArrayDataSource([np.arange(N)]).batch_iterator(4, shuffle))


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("worker", [1], indirect=True)
def test_the_other_workers_are_silent(source):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn(source)


def test_no_worker(source, monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn(source)
        monkeypatch.setitem(
            sys.modules, "torch.utils.data", types.SimpleNamespace(get_worker_info=lambda: None)
        )
        drawn(source)
