# SPDX-License-Identifier: BSD-3-Clause
"""States: saved after any batch and loaded in another process, all goes on as it would have."""

import json

import numpy as np
import pytest
from support.data_source_states import CASES, ENDLESS, drawn, plain
from support.data_sources import Counted, Epochs, epoch_order, in_batches, orders
from support.processes import run_probe

import fastimg
from fastimg.data_source import ArrayDataSource

N = 11


def in_a_new_process(way, runs):
    return json.loads(run_probe("data_source_states", way, input=json.dumps(runs), timeout=200))


def run(case, skip=0):
    """States before each batch of an epoch and after the last; its batches; the epochs after it; the rng's next."""
    source, rng = case.make(), case.rng()
    for _ in range(skip):
        plain(case.iterator(source, rng))
    batches = case.iterator(source, rng)
    states, given = [batches.state_dict()], []
    for batch in batches:
        given.append([part.tolist() for part in batch])
        states.append(batches.state_dict())
        assert source.state_dict() == states[-1]
        if len(given) == (2 * ENDLESS if case.epochs == 1 else 1000):
            return states[:ENDLESS], given, None
    states.append(batches.state_dict())
    rest = [plain(case.iterator(source, rng)) for _ in range(case.epochs - 1)]
    return states, given, [*rest, drawn(rng)]


# The runs of all cases, each with one new process for all of their states.
LATER = ["in order", "True", "True, no seed", "int", "RandomState", "Generator of PCG64"]
RUNS = [(name, 0) for name in CASES] + [(name, 2) for name in LATER]


@pytest.fixture(scope="module")
def runs():
    return {key: tried(*key) for key in RUNS}


def tried(name, skip):
    try:
        return run(CASES[name], skip)
    except Exception as error:  # the test of this case raises it
        return error


@pytest.fixture(scope="module")
def resumed(runs):
    """(way, case, skipped epochs) -> what came after each of its states."""
    whole = {key: result for key, result in runs.items() if not isinstance(result, Exception)}
    asked = [(name, result[0]) for (name, _), result in whole.items()]
    answers = {}
    for way in ("source", "iterator"):
        for key, answer in zip(whole, in_a_new_process(way, asked), strict=True):
            answers[way, *key] = answer
    return answers


def result_of(runs, name, skip=0):
    result = runs[name, skip]
    if isinstance(result, Exception):
        raise result
    return result


@pytest.mark.parametrize(("name", "skip"), RUNS)
def test_after_every_batch(runs, resumed, name, skip):
    _, given, rest = result_of(runs, name, skip)
    assert len(given) >= 2
    for count, answer in enumerate(resumed["source", name, skip]):
        assert answer[0] == given[count : count + ENDLESS]
        if rest is not None:
            assert answer[1:] == rest


@pytest.mark.parametrize(("name", "skip"), RUNS)
def test_loaded_by_the_iterator(runs, resumed, name, skip):
    _, given, _ = result_of(runs, name, skip)
    for count, answer in enumerate(resumed["iterator", name, skip]):
        assert answer == [given[count : count + ENDLESS]]


def assert_plain(value):
    # A float is there for the normal number that a RandomState keeps.
    assert type(value) in (int, float, str, list, dict, type(None)), value
    if type(value) is dict:
        assert all(type(key) is str for key in value)
        value = list(value.values())
    if type(value) is list:
        for entry in value:
            assert_plain(entry)


@pytest.mark.parametrize("name", CASES)
def test_states_are_plain(runs, name):
    for state in result_of(runs, name)[0]:
        assert type(state) is dict
        assert_plain(state)
        assert json.loads(json.dumps(state)) == state


def test_states_are_snapshots():
    source = ArrayDataSource([np.arange(N)])
    rng = np.random.RandomState(1)
    batches = source.batch_iterator(3, rng)
    next(batches)
    state = source.state_dict()
    text = json.dumps(state)
    list(batches)
    list(source.batch_iterator(3, rng))
    assert json.dumps(state) == text


@pytest.mark.parametrize("prefetch", [0, 1, 2, 5])
def test_prefetched_batches_do_not_count(prefetch):
    array = Counted(40)
    batches = ArrayDataSource([array]).batch_iterator(2, prefetch=prefetch)
    for given in range(1, 10):
        item = next(batches)[0]
        array.wait_for(given + prefetch)
        state = batches.state_dict()
        resumed = ArrayDataSource([Counted(40)])
        resumed.load_state_dict(state)
        with resumed.batch_iterator(2) as rest:
            assert len(rest) == 20 - given
            assert next(rest)[0].indices == [2 * given, 2 * given + 1]
        assert item.indices == [2 * given - 2, 2 * given - 1]
    batches.close()


def test_skipped_batches_are_not_made():
    source = ArrayDataSource([np.arange(N)])
    batches = source.batch_iterator(2)
    for _ in range(4):
        next(batches)
    array = Counted(N)
    resumed = ArrayDataSource([array])
    resumed.load_state_dict(source.state_dict())
    assert [item.indices for (item,) in resumed.batch_iterator(2)] == [[8, 9], [10]]
    assert array.made == 2


def test_the_state_of_a_closed_iterator(batch):
    source = ArrayDataSource([fastimg.ImageFileAccessor(batch.paths), np.arange(37)], seed=3)
    with source.batch_iterator(5, True) as batches:
        first = [next(batches)[1].tolist() for _ in range(3)]
    resumed = ArrayDataSource([fastimg.ImageFileAccessor(batch.paths), np.arange(37)])
    resumed.load_state_dict(source.state_dict())
    order = in_batches(epoch_order(3, 0, 37), 5)
    assert first == order[:3]
    assert orders(resumed.batch_iterator(5, True), 1) == order[3:]


def test_the_rest_may_be_made_in_another_way():
    source = ArrayDataSource([np.arange(N)], seed=3)
    batches = source.batch_iterator(3, True, prefetch=5)
    next(batches)
    resumed = ArrayDataSource([np.arange(N)])
    resumed.load_state_dict(source.state_dict())
    rest = resumed.batch_iterator(3, True, prefetch=0, num_threads=1, reuse_buffers=True)
    assert orders(rest) == orders(batches)


def test_derived_sources_have_states_of_their_own():
    source = ArrayDataSource([Epochs(N)], seed=3)
    list(source.batch_iterator(4, True))
    mapped, subset, shard = source.map(lambda x: (x,)), source.subset(slice(6)), source.shard(0, 2)
    for derived in (mapped, subset, shard):
        assert (next(derived.batch_iterator(4, True))[0] // 1000 == 1).all()  # the next epoch of the source
    resumed = ArrayDataSource([Epochs(N)], seed=3)
    resumed.load_state_dict(source.state_dict())
    assert list(resumed.batch_iterator(4, True)) == []
    batches = resumed.batch_iterator(N, True)
    assert orders(batches) == [(epoch_order(3, 1, N) + 1000).tolist()]
    # Two epochs of the shard do not count in the source.
    list(shard.batch_iterator(4))
    assert (next(source.batch_iterator(4, True))[0] // 1000 == 1).all()


# ---- what is refused ---------------------------------------------------------------------------


def saved(shuffle=None, batch_size=3, length=N, **options):
    source = ArrayDataSource([np.arange(length)], **options)
    batches = source.batch_iterator(batch_size, shuffle)
    next(batches)
    batches.close()
    return json.loads(json.dumps(source.state_dict()))


def load(state, shuffle=None, batch_size=3, length=N, **options):
    source = ArrayDataSource([np.arange(length)], **options)
    source.load_state_dict(state)
    return source.batch_iterator(batch_size, shuffle)


def test_another_batch_size():
    with pytest.raises(ValueError, match=r"batch_size.*(3.*4|4.*3)"):
        load(saved(), batch_size=4)


def test_another_number_of_samples():
    with pytest.raises(ValueError, match=r"11.*12|12.*11"):
        load(saved(), length=12)
    with pytest.raises(ValueError, match=r"11.*5|5.*11"):
        load(saved(), indices=np.arange(5))


KINDS = {
    "None": lambda: None,
    "True": lambda: True,
    "int": lambda: 5,
    "RandomState": lambda: np.random.RandomState(5),
    "Generator": lambda: np.random.default_rng(5),
}


@pytest.mark.parametrize("old", KINDS)
@pytest.mark.parametrize("new", KINDS)
def test_another_kind_of_shuffle(old, new):
    if old == new:
        assert len(list(load(saved(KINDS[old]()), KINDS[new]()))) == 3
    else:
        with pytest.raises(ValueError, match="shuffle"):
            load(saved(KINDS[old]()), KINDS[new]())


def test_another_int():
    with pytest.raises(ValueError, match=r"5.*6|6.*5"):
        load(saved(5), 6)


def test_another_bit_generator():
    with pytest.raises(ValueError, match="PCG64"):
        list(load(saved(np.random.default_rng(5)), np.random.Generator(np.random.MT19937(5))))


@pytest.mark.parametrize("by_iterator", [False, True])
@pytest.mark.parametrize("garbage", [None, 3, "state", [], [1, 2], b"{}", np.arange(3)])
def test_what_is_no_dict(garbage, by_iterator):
    source = ArrayDataSource([np.arange(N)])
    target = source.batch_iterator(3) if by_iterator else source
    with pytest.raises(TypeError, match=type(garbage).__name__):
        target.load_state_dict(garbage)
    assert orders(target if by_iterator else source.batch_iterator(3)) == in_batches(range(N), 3)


@pytest.mark.parametrize("shuffle", KINDS)
def test_states_with_something_missing(shuffle):
    state = saved(KINDS[shuffle]())
    for key in state:
        broken = {other: value for other, value in state.items() if other != key}
        with pytest.raises(ValueError, match=key):
            load(broken, KINDS[shuffle]())
    with pytest.raises(ValueError, match="state"):
        load({}, KINDS[shuffle]())


@pytest.mark.parametrize("wrong", ["x", -1, [], {}, 1.5])
@pytest.mark.parametrize("shuffle", KINDS)
def test_states_with_something_wrong(shuffle, wrong):
    state = saved(KINDS[shuffle]())
    for key, value in state.items():
        if value is None:
            continue  # not needed, and perhaps not looked at
        with pytest.raises((ValueError, TypeError), match=key):
            list(load({**state, key: wrong}, KINDS[shuffle]()))


@pytest.mark.parametrize("wrong", ["x", -1, [], {}, 1.5, "missing"])
@pytest.mark.parametrize("shuffle", KINDS)
def test_orders_with_something_wrong(shuffle, wrong):
    state = saved(KINDS[shuffle]())
    for key, value in state.items():
        for inner in value if isinstance(value, dict) else ():
            if value[inner] is None and wrong != "missing":
                continue
            broken = {**value, inner: wrong}
            if wrong == "missing":
                del broken[inner]
            with pytest.raises((ValueError, TypeError)):
                list(load({**state, key: broken}, KINDS[shuffle]()))


def test_more_batches_than_there_are():
    state = saved()
    with pytest.raises(ValueError, match=r"batches.*5"):
        load({**state, "batches": 5})


def test_another_version():
    state = saved()
    with pytest.raises(ValueError, match=r"version.*99"):
        load({**state, "version": 99})


def test_a_refused_state_changes_nothing():
    source = ArrayDataSource([np.arange(N)], seed=7)
    list(source.batch_iterator(N, True))
    for wrong in (saved(length=12), {}, {**saved(), "version": 99}):
        with pytest.raises(ValueError):
            source.load_state_dict(wrong)
            source.batch_iterator(N, True)
    assert orders(source.batch_iterator(N, True)) == [epoch_order(7, 1, N).tolist()]


def test_the_iterator_has_begun():
    state = saved()
    batches = ArrayDataSource([np.arange(N)]).batch_iterator(3)
    next(batches)
    with pytest.raises((RuntimeError, ValueError), match="first batch"):
        batches.load_state_dict(state)
    assert orders(batches) == [[3, 4, 5], [6, 7, 8], [9, 10]]


def test_an_iterators_state_must_fit_it():
    for batches in (
        ArrayDataSource([np.arange(N)]).batch_iterator(4),
        ArrayDataSource([np.arange(N)]).batch_iterator(3, True),
        ArrayDataSource([np.arange(12)]).batch_iterator(3),
    ):
        with pytest.raises(ValueError):
            batches.load_state_dict(saved())
