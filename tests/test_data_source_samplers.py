# SPDX-License-Identifier: BSD-3-Clause
"""batch_iterator(sampler=): any iterable of indices draws an epoch; ClassBalancedSampler."""

import collections
import itertools
import json
import pickle
import threading
import warnings

import numpy as np
import pytest
from support.data_sources import PREFETCH, Draws, Epochs, N, Numbers, Parts, in_batches, orders

import fastimg
from fastimg.data_source import ArrayDataSource, ClassBalancedSampler

DRAWN = [3, 3, 0, 22, 7, 1, 1, 1, 19, 4, 2]
LABELS = np.repeat([5, 2, 9], [14, 6, 3])


class Again:
    """An iterable without a length, whose epochs are rotations; remembers what it was told, and who asked."""

    def __init__(self, values, length=None):
        self.values, self.epochs, self.idents = list(values), [], set()

    def set_epoch(self, epoch):
        assert type(epoch) is int
        self.epochs.append(epoch)

    def __iter__(self):
        first = self.epochs[-1] % len(self.values)
        for value in self.values[first:] + self.values[:first]:
            self.idents.add(threading.get_ident())
            yield value


class Items:
    """What can be iterated over by its __getitem__ alone."""

    def __getitem__(self, i):
        return DRAWN[i]


def iterables():
    return {
        "list": DRAWN,
        "tuple": tuple(DRAWN),
        "array": np.array(DRAWN),
        "array of uint8": np.array(DRAWN, np.uint8),
        "NumPy ints": [np.int32(i) for i in DRAWN],
        "0-d arrays": [np.array(i) for i in DRAWN],
        "generator": (i for i in DRAWN),
        "negative": [i - N for i in DRAWN],
        "by index": Items(),
    }


@pytest.mark.parametrize("prefetch", PREFETCH)
@pytest.mark.parametrize("kind", iterables())
def test_any_iterable(numbers, kind, prefetch):
    batches = numbers.batch_iterator(4, sampler=iterables()[kind], prefetch=prefetch)
    assert orders(batches) == in_batches(DRAWN, 4)


@pytest.mark.parametrize("options", [{}, {"reuse_buffers": True}, {"drop_last": True}])
def test_batches_of_all_arrays(batch, options):
    images = fastimg.ImageFileAccessor(batch.paths[:N])
    source = ArrayDataSource([images, np.arange(N) * 3], include_indices=True)
    count = 0
    for indices, pixels, labels in source.batch_iterator(4, sampler=DRAWN, **options):
        assert (pixels == images[indices]).all() and (labels == indices * 3).all()
        count += len(indices)
    assert count == (8 if "drop_last" in options else 11)


def test_lengths(numbers):
    assert len(numbers.batch_iterator(4, sampler=DRAWN)) == 3
    assert len(numbers.batch_iterator(4, sampler=DRAWN, drop_last=True)) == 2
    assert len(numbers.batch_iterator(4, sampler=[])) == 0 == len(list(numbers.batch_iterator(4, sampler=[])))
    for unknown in (iter(DRAWN), itertools.count(), Again([1]), Parts([1])):
        with pytest.raises(TypeError, match="a sampler that does not say how many"):
            len(numbers.batch_iterator(4, sampler=unknown))
    batches = numbers.batch_iterator(4, sampler=DRAWN)
    next(batches)
    assert len(batches) == 2


@pytest.mark.parametrize("prefetch", PREFETCH)
def test_an_endless_sampler_is_drawn_lazily(numbers, prefetch):
    taken = []

    def endless():
        for i in itertools.count():
            taken.append(threading.get_ident())
            yield i % N

    with numbers.batch_iterator(5, sampler=endless(), prefetch=prefetch) as batches:
        assert not taken
        found = [next(batches)[0].tolist() for _ in range(30)]
    assert found == in_batches([i % N for i in range(150)], 5)
    assert len(taken) <= (30 + prefetch) * 5
    assert set(taken) == {threading.get_ident()}


def test_the_epoch_is_told_when_it_begins(numbers):
    sampler = Again(range(6))
    first, second = (numbers.batch_iterator(6, sampler=sampler) for _ in range(2))
    assert sampler.epochs == []
    assert orders(second) == [[1, 2, 3, 4, 5, 0]]
    assert orders(first) == [[0, 1, 2, 3, 4, 5]]
    assert orders(numbers.batch_iterator(6, sampler=sampler, epoch=4)) == [[4, 5, 0, 1, 2, 3]]
    numbers.set_epoch(3)
    assert orders(numbers.batch_iterator(6, sampler=sampler)) == [[3, 4, 5, 0, 1, 2]]
    assert sampler.epochs == [1, 0, 4, 3]


def test_positions_are_those_of_the_source():
    source = ArrayDataSource([np.arange(N)], indices=np.arange(N)[::-1])
    assert orders(source.batch_iterator(4, sampler=[0, 1, -1])) == [[22, 21, 0]]
    assert orders(source.subset([4, 5]).batch_iterator(4, sampler=[1, 0])) == [[17, 18]]
    assert orders(source.shard(1, 2).batch_iterator(4, sampler=range(3))) == [[21, 19, 17]]
    assert orders(source.subset([4, 5, 6]).batch_iterator(4, sampler=Parts([2, 0], [1]))) == [[16, 18], [17]]
    with pytest.raises(IndexError, match="index 2 at position 1 is out of range for 2 samples"):
        list(source.subset([4, 5]).batch_iterator(4, sampler=[0, 2]))


def test_samplers_like_batchups(numbers):
    sampler = Parts([1, 2], [3])
    assert orders(numbers.batch_iterator(2, sampler=sampler)) == [[1, 2], [3]]
    assert orders(numbers.batch_iterator(2, True, sampler=sampler)) == [[2, 1], [3]]
    rng = np.random.RandomState(3)
    drawn = orders(itertools.islice(numbers.batch_iterator(5, rng, sampler=Draws(N)), 3))
    other = np.random.RandomState(3)
    assert drawn[0] == other.permutation(N)[:5].tolist()


@pytest.mark.parametrize("prefetch", PREFETCH)
@pytest.mark.parametrize(
    ("entry", "error", "text"),
    [
        (N, IndexError, f"index {N} at position 5 is out of range for {N} samples"),
        (-N - 1, IndexError, "index -24 at position 5"),
        (2**70, IndexError, "at position 5"),
        (1.0, TypeError, r"must give integers, found 1\.0 at position 5"),
        ("1", TypeError, "found '1' at position 5"),
        (None, TypeError, "found None at position 5"),
        (True, TypeError, "found True at position 5"),
        (np.True_, TypeError, "at position 5"),
        ([1, 2], TypeError, "one index at a time, found list of 2 at position 5: if it draws batches"),
        (np.array([1]), TypeError, "found ndarray of 1 at position 5"),
    ],
)
def test_wrong_entries_come_in_their_place(numbers, entry, error, text, prefetch):
    batches = numbers.batch_iterator(4, sampler=[0, 1, 2, 3, 4, entry], prefetch=prefetch)
    assert next(batches)[0].tolist() == [0, 1, 2, 3]
    with pytest.raises(error, match=text):
        next(batches)
    assert list(batches) == []


def test_an_error_of_the_sampler_comes_in_its_place(numbers):
    def fails():
        yield from range(5)
        raise KeyError("mine")

    batches = numbers.batch_iterator(4, sampler=fails())
    next(batches)
    with pytest.raises(KeyError, match="mine"):
        next(batches)


@pytest.mark.parametrize(
    ("sampler", "error", "text"),
    [
        (3, TypeError, "iterable of indices, .* found int"),
        ("012", TypeError, "found str"),
        (b"012", TypeError, "found bytes"),
        (ClassBalancedSampler, TypeError, "found the class ClassBalancedSampler"),
        (Parts, TypeError, "found the class Parts"),
        (np.ones(N, bool), TypeError, r"found a mask: subset\(mask\)"),
        (np.ones(N), TypeError, "1-D array of integers, found float64"),
        (np.ones((N, 1), int), TypeError, "1-D array of integers, found int64 of shape"),
        (ClassBalancedSampler([0, 1]), ValueError, r"labels of 2 samples, and the source 23 samples"),
    ],
)
def test_what_is_no_sampler(numbers, sampler, error, text):
    with pytest.raises(error, match=text):
        numbers.batch_iterator(4, sampler=sampler)


def test_what_does_not_go_with_a_sampler(numbers):
    for shuffle in (True, 3, np.random.RandomState(3)):
        with pytest.raises(ValueError, match="give no shuffle with it, found shuffle="):
            numbers.batch_iterator(4, shuffle, sampler=DRAWN)
    assert orders(numbers.batch_iterator(11, False, sampler=DRAWN)) == [DRAWN]
    for repeats in (2, -1):
        with pytest.raises(ValueError, match=f"repeats=1, found {repeats}"):
            ArrayDataSource([np.arange(N)], repeats=repeats).batch_iterator(4, sampler=DRAWN)
    with pytest.raises(ValueError, match="the source has a sampler"):
        ArrayDataSource([np.arange(N)], sampler=Parts([1])).batch_iterator(4, sampler=DRAWN)
    with pytest.raises(TypeError, match=r"found list; batch_iterator\(sampler=\.\.\.\) takes iterables"):
        ArrayDataSource([np.arange(N)], sampler=DRAWN)
    list(numbers.batch_iterator(4, sampler=DRAWN))
    assert numbers.state_dict()["epoch"] == 1  # none of those that were refused counts


# ---- states ------------------------------------------------------------------------------------


def resumable():
    return {
        "list": lambda: DRAWN,
        "array": lambda: np.array(DRAWN),
        "told the epoch": lambda: Again(DRAWN),
        "balanced": lambda: ClassBalancedSampler(LABELS, 11, seed=3),
    }


@pytest.mark.parametrize("way", ["source", "iterator", "pickle"])
@pytest.mark.parametrize("prefetch", [0, 2])
@pytest.mark.parametrize("kind", resumable())
def test_states(kind, prefetch, way):
    make = resumable()[kind]
    source = ArrayDataSource([Epochs(N), np.arange(N)], seed=3)
    sampler = make()
    list(source.batch_iterator(4, sampler=sampler))
    batches = source.batch_iterator(4, sampler=sampler, prefetch=prefetch)
    next(batches)
    state = json.loads(json.dumps(batches.state_dict()))
    copied = pickle.dumps(source)
    rest = [[part.tolist() for part in batch] for batch in batches]
    later = orders(source.batch_iterator(4, sampler=sampler))
    other = ArrayDataSource([Epochs(N), np.arange(N)], seed=4)
    if way == "pickle":
        other = pickle.loads(copied)
    elif way == "source":
        other.load_state_dict(state)
    resumed = other.batch_iterator(4, sampler=make(), prefetch=prefetch)
    if way == "iterator":
        resumed.load_state_dict(state)
        assert len(rest) == 2
    assert [[part.tolist() for part in batch] for batch in resumed] == rest
    if way != "iterator":
        assert orders(other.batch_iterator(4, sampler=make())) == later


def test_states_that_cannot_be_continued(numbers):
    def state_of(**options):
        batches = ArrayDataSource([np.arange(N)], seed=1).batch_iterator(4, **options)
        next(batches)
        return batches.state_dict()

    drawn, plain = state_of(sampler=DRAWN), state_of()
    for state, options, text in [
        (drawn, {}, "of an epoch with a sampler, found none"),
        (drawn, {"shuffle": True}, "of an epoch with a sampler, found none"),
        (plain, {"sampler": DRAWN}, "of an epoch without a sampler, found sampler=list"),
        (state_of(sampler=iter(DRAWN)), {"sampler": iter(DRAWN)}, "is an iterator, list_iterator, cannot be"),
        ({**drawn, "batches": 2}, {"sampler": DRAWN[:3]}, "batches must be at most 1, found 2"),
        (
            state_of(sampler=ClassBalancedSampler(LABELS, seed=1)),
            {"sampler": ClassBalancedSampler(LABELS, seed=2)},
            "of a sampler with seed 1, found 2",
        ),
    ]:
        with pytest.raises(ValueError, match=text):
            numbers.batch_iterator(4, **options).load_state_dict(state)
    # Before the first batch there is nothing to draw again.
    begun = ArrayDataSource([np.arange(N)]).batch_iterator(4, sampler=iter(DRAWN)).state_dict()
    batches = numbers.batch_iterator(4, sampler=iter(DRAWN))
    batches.load_state_dict(begun)
    assert orders(batches) == in_batches(DRAWN, 4)


# ---- ClassBalancedSampler ----------------------------------------------------------------------


@pytest.mark.parametrize("num_samples", [None, 1, 2, 7, 23, 60, 1000])
@pytest.mark.parametrize("labels", [LABELS, LABELS.tolist(), LABELS.astype(str), [str(i) for i in LABELS]])
def test_classes_are_balanced(labels, num_samples):
    sampler = ClassBalancedSampler(labels, num_samples)
    seen = set()
    for epoch in range(4):
        sampler.set_epoch(epoch)
        drawn = list(sampler)
        assert len(drawn) == len(sampler) == (num_samples or N) and all(type(i) is int for i in drawn)
        classes = np.bincount(LABELS[drawn], minlength=10)[[2, 5, 9]]
        assert classes.max() - classes.min() <= 1
        # Within a class, none comes again before all have come.
        samples = np.bincount(drawn, minlength=N)
        assert all(np.ptp(samples[label == LABELS]) <= 1 for label in (2, 5, 9))
        seen.add(tuple(drawn))
    assert len(seen) == 4 or (num_samples or N) < 7


def test_the_class_that_gets_one_more_is_drawn():
    sampler = ClassBalancedSampler([0, 1, 2, 3], 1)
    firsts = collections.Counter()
    for epoch in range(200):
        sampler.set_epoch(epoch)
        firsts.update(sampler)
    assert set(firsts) == {0, 1, 2, 3} and min(firsts.values()) > 25


# Written down, and not computed: these orders must be the same in every version, on every machine.
FROZEN = {
    (0, 0): [4, 7, 2, 1, 7, 0, 7, 5, 5, 6],
    (7, 2): [2, 7, 7, 5, 3, 0, 1, 7, 6, 6],
}


@pytest.mark.parametrize(("seed", "epoch"), FROZEN)
def test_balanced_orders_are_frozen(seed, epoch):
    sampler = ClassBalancedSampler([0, 0, 0, 0, 0, 1, 1, 2], 10, seed=seed)
    sampler.set_epoch(epoch)
    assert list(sampler) == list(sampler) == FROZEN[seed, epoch]


def test_seeds_differ():
    drawn = {tuple(ClassBalancedSampler(LABELS, seed=seed)) for seed in (0, 1, 2**70)}
    assert len(drawn) == 3


def test_balanced_shards():
    source = ArrayDataSource([np.arange(N), LABELS])
    for rank in range(2):
        sampler = ClassBalancedSampler(LABELS[rank::2], seed=1)
        (batch,) = source.shard(rank, 2).batch_iterator(N, sampler=sampler)
        assert (batch[0] % 2 == rank).all()
        assert np.ptp(np.bincount(batch[1])[[2, 5, 9]]) <= 1


@pytest.mark.parametrize(
    ("labels", "options", "error", "text"),
    [
        ([], {}, ValueError, r"labels must have shape \(n,\), one for each sample, found \(0,\)"),
        ([[1, 2]], {}, ValueError, r"found \(1, 2\)"),
        (3, {}, TypeError, "labels must be an array-like"),
        ([1, None], {}, TypeError, "labels must be integers or text, found object"),
        ([1], {"num_samples": 0}, ValueError, "num_samples must be"),
        ([1], {"num_samples": 1.0}, TypeError, "num_samples must be"),
        ([1], {"seed": -1}, ValueError, "seed must be"),
        ([1], {"seed": None}, TypeError, "seed must be"),
    ],
)
def test_wrong_labels(labels, options, error, text):
    with pytest.raises(error, match=text):
        ClassBalancedSampler(labels, **options)


def test_the_epoch_of_a_balanced_sampler():
    sampler = ClassBalancedSampler(LABELS)
    for wrong in (-1, 1.0, None):
        with pytest.raises((ValueError, TypeError), match="epoch must be"):
            sampler.set_epoch(wrong)
    assert repr(sampler) == "<fastimg.data_source.ClassBalancedSampler: 23 of 23 samples, 3 classes>"
    assert list(pickle.loads(pickle.dumps(sampler))) == list(sampler)


def test_an_untold_worker_warns_of_samplers_that_have_epochs(numbers, monkeypatch):
    torch_data = type("data", (), {"get_worker_info": lambda: type("info", (), {"id": 0, "num_workers": 1})})
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.data", torch_data)
    with pytest.warns(UserWarning, match="was not told the epoch"):
        numbers.batch_iterator(4, sampler=ClassBalancedSampler(LABELS), prefetch=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ArrayDataSource([Numbers(N)]).batch_iterator(4, sampler=DRAWN, prefetch=0)
