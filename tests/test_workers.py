# SPDX-License-Identifier: BSD-3-Clause
"""The epoch that workers of a loader share with the process that started them, without PyTorch."""

import copy
import mmap
import multiprocessing
import multiprocessing.context
import pickle
import sys
import types
import warnings

import numpy as np
import pytest

import fastimg.workers
from fastimg.workers import SharedEpoch, WorkerEpochs

STARTS = [way for way in ("fork", "spawn") if way in multiprocessing.get_all_start_methods()]
PATIENCE = 60


def pretend_to_be_a_worker(number, workers=2, base_seed=1000):
    info = types.SimpleNamespace(id=number, num_workers=workers, seed=base_seed + number)
    sys.modules["torch.utils.data"] = types.SimpleNamespace(get_worker_info=lambda: info)


@pytest.fixture
def as_worker(monkeypatch):
    """Makes this process look like a worker of a given number and base seed."""
    monkeypatch.setitem(sys.modules, "torch.utils.data", types.SimpleNamespace(get_worker_info=lambda: None))
    return pretend_to_be_a_worker


def answer(shared, epochs, pipe, number):
    """A worker, or another process if `number` is None, that does as it is told."""
    if number is not None:
        pretend_to_be_a_worker(number)
    while True:
        request, *args = pipe.recv()
        if request == "get":
            pipe.send((shared.get(), shared.local))
        elif request == "set":
            pipe.send(shared.set(*args))
        elif request == "begin":
            pipe.send(epochs.begin(lambda: -5))
        else:
            return


class Child:
    def __init__(self, start, shared=None, epochs=None, number=0):
        context = multiprocessing.get_context(start)
        self.pipe, end = context.Pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of fork in a process with threads
            self.process = context.Process(target=answer, args=(shared, epochs, end, number))
            self.process.start()

    def __call__(self, *request):
        self.pipe.send(request)
        assert self.pipe.poll(PATIENCE)
        return self.pipe.recv()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.pipe.send(("stop",))
        self.process.join(PATIENCE)
        self.process.kill()


# ---- the number --------------------------------------------------------------------------------


@pytest.mark.parametrize("start", STARTS)
def test_workers_that_run_are_told(start):
    shared = SharedEpoch()
    with Child(start, shared, number=0) as first:
        assert first("get") == (None, None)
        shared.set(3)
        assert first("get") == (3, None)
        with Child(start, shared, number=1) as second:
            assert second("get") == (3, 3)
            shared.set(2**63 - 1)
            assert first("get")[0] == second("get")[0] == 2**63 - 1
            # One worker tells the other, as every worker does if a function that starts them all does so.
            first("set", 5)
            assert first("get") == (5, 5)
            assert second("get") == (5, 3)


@pytest.mark.skipif("fork" not in STARTS, reason="Windows starts processes in one way")
def test_workers_of_both_kinds():
    shared = SharedEpoch()
    with Child("fork", shared) as forked, Child("spawn", shared) as spawned:
        for epoch in (0, 7):
            shared.set(epoch)
            assert forked("get")[0] == spawned("get")[0] == epoch


@pytest.mark.parametrize("start", STARTS)
def test_other_processes_have_their_own(start):
    # Ranks, which get the same copy and do not run in step.
    shared = SharedEpoch()
    shared.set(1)
    with Child(start, shared, number=None) as rank, Child(start, shared, number=0) as worker:
        assert rank("get") == (1, 1)
        rank("set", 8)
        assert rank("get") == (8, 8)
        assert worker("get") == (1, 1) and shared.get() == 1
        shared.set(2)
        assert rank("get") == (8, 8) and worker("get")[0] == 2


@pytest.fixture
def windows(tmp_path, monkeypatch):
    """A folder of what processes share on Windows: memory that has a name, and goes with the last that maps it."""

    def map_memory(descriptor, nbytes, tagname=None):
        if tagname is None:
            return mmap.mmap(descriptor, nbytes)
        with open(tmp_path / tagname, "ab+") as file:
            file.truncate(nbytes)
            return mmap.mmap(file.fileno(), nbytes)

    if sys.platform != "win32":
        monkeypatch.setattr(fastimg.workers, "mmap", types.SimpleNamespace(mmap=map_memory))
        monkeypatch.setattr(fastimg.workers, "sys", types.SimpleNamespace(platform="win32"))
    return tmp_path


def dumps_for_a_new_process(shared):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(multiprocessing.context, "get_spawning_popen", lambda: "a process")
        return pickle.dumps(shared)


@pytest.mark.usefixtures("windows")
def test_workers_are_told_by_a_name(as_worker):
    shared = SharedEpoch()
    first = pickle.loads(dumps_for_a_new_process(shared))
    as_worker(0)
    assert first.get() is None
    shared.set(0)
    second = pickle.loads(dumps_for_a_new_process(shared))
    assert first.get() == second.get() == 0 and (first.local, second.local) == (None, 0)
    shared.set(2**63 - 1)
    assert first.get() == second.get() == 2**63 - 1


def test_workers_that_start_when_the_other_process_has_gone(as_worker, windows):
    shared = SharedEpoch(7)
    data = dumps_for_a_new_process(shared)
    del shared
    for file in windows.iterdir():
        file.unlink()
    as_worker(0)
    assert pickle.loads(data).get() == 7


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda shared: pickle.loads(pickle.dumps(shared))])
def test_copies_are_apart(way):
    shared = SharedEpoch()
    assert way(shared).get() is None
    shared.set(4)
    copied = way(shared)
    assert copied.get() == copied.local == 4
    shared.set(5)
    assert copied.get() == 4
    copied.set(6)
    assert shared.get() == 5


@pytest.mark.parametrize("wrong", [-1, 2**63, 1.0, "1", None, True])
def test_what_is_no_epoch(wrong):
    shared = SharedEpoch()
    shared.set(np.int64(4))
    with pytest.raises((ValueError, TypeError), match="epoch must be"):
        shared.set(wrong)
    assert shared.get() == 4 and type(shared.get()) is int


# ---- epochs of a loader ------------------------------------------------------------------------


def undrawn():
    raise AssertionError("a number was drawn")


def test_epochs_without_workers():
    epochs, numbers = WorkerEpochs(), iter([11, 7])
    assert [epochs.begin(lambda: next(numbers)) for _ in range(2)] == [(11, False), (7, False)]
    epochs.set(3)
    assert [epochs.begin(undrawn) for _ in range(2)] == [(3, True)] * 2


def test_epochs_in_new_workers(as_worker):
    epochs = WorkerEpochs()
    for base_seed in (1000, 555):
        for number in range(3):
            as_worker(number, base_seed=base_seed)
            assert pickle.loads(pickle.dumps(epochs)).begin(undrawn) == (base_seed, False)


def test_epochs_in_workers_that_go_on(as_worker):
    for number in range(3):
        as_worker(number)
        epochs = WorkerEpochs()
        assert [epochs.begin(undrawn) for _ in range(3)] == [(1000, False), (1001, False), (1002, False)]
        as_worker(number, base_seed=70)
        assert epochs.begin(undrawn) == (70, False)


@pytest.mark.parametrize("start", STARTS)
def test_epochs_that_are_set(start):
    epochs = WorkerEpochs()
    with Child(start, epochs=epochs, number=0) as early:
        assert early("begin") == (1000, False)
        epochs.set(4)
        assert early("begin") == (4, True)
        with Child(start, epochs=epochs, number=1) as late:
            epochs.set(5)
            # It may have been started before its siblings, with their copy, for the epoch that was set then.
            assert late("begin") == (4, True)
            assert early("begin") == late("begin") == (5, True)
            assert early("begin") == late("begin") == (5, True)
