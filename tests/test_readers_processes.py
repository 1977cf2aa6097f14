# SPDX-License-Identifier: BSD-3-Clause
"""Readers in other processes: made anew there, before they are first used."""

import multiprocessing
import os
import pickle
import threading
import warnings

import numpy as np
import pytest
from support.data_sources import PATIENCE
from support.jpegs import assert_same
from support.reader_objects import OfProcess, Watched

import fastimg
from fastimg.data_source import ArrayDataSource
from fastimg.sources import ReaderItem

STARTS = ["fork", "spawn", "forkserver"]
# In a daemonic process, a worker of a loader, there are at most so many.
DAEMONIC = 8


class Locked(OfProcess):
    """Holds what cannot be pickled."""

    thread_safe = False

    def _open(self):
        super()._open()
        self.lock = threading.Lock()


def run(start, function, *args, daemon=None):
    """The result of a function in a process of its own."""
    context = multiprocessing.get_context(start)
    pipe, end = context.Pipe()
    worker = context.Process(target=answer, args=(end, function, *args), daemon=daemon)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of fork in a process with threads
        worker.start()
    try:
        assert pipe.poll(PATIENCE)
        result = pipe.recv()
        worker.join(PATIENCE)
        assert worker.exitcode == 0
    finally:
        worker.kill()
        worker.join()
    if isinstance(result, Exception):
        raise result
    return result


def answer(pipe, function, *args):
    try:
        pipe.send(function(*args))
    except Exception as error:
        pipe.send(error)


# ---- made anew ---------------------------------------------------------------------------------


def use(accessor, cls, source):
    """Images of two accesses and of batches; and how often the reader was made for them."""
    before = cls.made
    images = [accessor[[3, 0]], accessor[:]]
    made = cls.made - before
    images.append(next(source.batch_iterator(5))[0])
    return images, made, cls.made - before


def use_each(cls, pairs):
    return [use(accessor, cls, source) for accessor, source in pairs]


@pytest.mark.parametrize("cls", [OfProcess, Locked])
@pytest.mark.parametrize("start", STARTS)
def test_in_another_process(batch, start, cls):
    readers = [cls(batch.data) for _ in range(2)]
    accessors = [
        fastimg.ImageFileAccessor(readers[0], size=9),
        fastimg.ImageFileAccessor([ReaderItem(readers[1], i) for i in range(37)], size=9),
    ]
    expected = fastimg.load(batch.data, size=9)
    for accessor in accessors:
        assert_same(accessor[:], expected)
    pairs = [(accessor, ArrayDataSource([accessor])) for accessor in accessors]
    for images, made, made_in_all in run(start, use_each, cls, pairs):
        for found, wanted in zip(images, (expected[[3, 0]], expected, expected[:5]), strict=True):
            assert_same(found, wanted)
        # Not for every access.
        assert made == made_in_all == (1 if start == "fork" else 0)
    # This process's own are left alone.
    for reader, accessor in zip(readers, accessors, strict=True):
        assert_same(accessor[:], expected)
        assert reader.pid == os.getpid()


def use_twice(accessor):
    """In a process that forks another."""
    return [accessor[:], run("fork", use_one, accessor), accessor[:]]


def use_one(accessor):
    return accessor[:]


def use_all(accessors):
    return [accessor[:] for accessor in accessors]


def test_a_child_of_a_child(batch):
    accessor = fastimg.ImageFileAccessor(OfProcess(batch.data), size=9)
    for found in run("fork", use_twice, accessor):
        assert_same(found, fastimg.load(batch.data, size=9))


@pytest.mark.parametrize("start", STARTS)
def test_other_kinds_of_accessors(mixed, start):
    crops = fastimg.ImageFileAccessor(OfProcess(mixed.data)).random_resized_crop(9, seed=3)
    mixture = fastimg.NonUniformImageFileAccessor(OfProcess(mixed.data))
    crops.boxes([0])
    accessors = [crops, mixture]
    for accessor, found in zip(accessors, run(start, use_all, accessors), strict=True):
        for image, expected in zip(found, accessor[:], strict=True):
            assert_same(image, expected)


def test_a_pool(batch):
    accessor = fastimg.ImageFileAccessor(Locked(batch.data), size=9)
    expected = accessor[:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for start in STARTS:
            with multiprocessing.get_context(start).Pool(2) as pool:
                tasks = [pool.apply_async(use_one, (accessor,)) for _ in range(6)]
                for task in tasks:
                    assert_same(task.get(timeout=PATIENCE), expected)


def test_this_process_keeps_its_reader(batch):
    class Here(OfProcess):
        def __reduce__(self):
            raise AssertionError("pickled")

    before = Here.made
    reader = Here(batch.data)
    accessor = fastimg.ImageFileAccessor(reader, size=9)
    for _ in range(3):
        accessor[:]
        fastimg.load(reader, size=9)
        list(ArrayDataSource([accessor]).batch_iterator(5))
    assert Here.made == before + 1


class Unpicklable(OfProcess):
    def __getstate__(self):
        raise pickle.PicklingError("not this one")


def test_a_reader_that_does_not_pickle(batch):
    accessor = fastimg.ImageFileAccessor(Unpicklable(batch.data), size=9)
    assert_same(accessor[:], fastimg.load(batch.data, size=9))
    with pytest.raises(pickle.PicklingError, match="not this one"):
        pickle.dumps(accessor)
    with pytest.raises(pickle.PicklingError, match="not this one"):
        run("fork", use_one, accessor)


class Fails(OfProcess):
    def read(self, i):
        if i == 20:
            raise KeyError("twenty")
        return super().read(i)


@pytest.mark.parametrize("start", STARTS)
def test_errors_from_another_process(batch, start):
    accessor = fastimg.ImageFileAccessor(Fails(batch.data), size=9)
    with pytest.raises(KeyError) as caught:
        run(start, use_one, accessor)
    assert caught.value.args == ("twenty",)
    assert (caught.value.index, caught.value.source) == (20, "Fails[20]")


# ---- in a daemonic process ---------------------------------------------------------------------


def most_at_once(data, read_threads):
    reader = Watched([data] * 400, 0.01)
    fastimg.load(reader, size=9, read_threads=read_threads)
    return reader.most


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_a_daemonic_process_has_few_readers(batch, start):
    data = batch.data[0]
    assert 1 < run(start, most_at_once, data, None, daemon=True) <= DAEMONIC
    assert run(start, most_at_once, data, None, daemon=False) > DAEMONIC
    # What is asked for is what there is.
    assert DAEMONIC < run(start, most_at_once, data, 20, daemon=True) <= 20


@pytest.mark.parametrize(("num_workers", "context"), [(0, None), (2, "fork"), (2, "spawn")])
def test_a_loader_of_pytorch(mixed, num_workers, context):
    data = pytest.importorskip("torch.utils.data")
    view = fastimg.ImageFileAccessor(OfProcess(mixed.data)).random_resized_crop(9, seed=5)
    expected = fastimg.ImageFileAccessor(mixed.data).random_resized_crop(9, seed=5)
    sampler = data.BatchSampler(data.SequentialSampler(view), 4, False)
    options = {"num_workers": num_workers}
    if num_workers:
        options |= {"persistent_workers": True, "multiprocessing_context": context}
    loader = data.DataLoader(view, sampler=sampler, batch_size=None, **options)
    for epoch in range(2):
        view.set_epoch(epoch)
        found = np.concatenate([batch.numpy() for batch in loader])
        assert_same(found, expected.with_epoch(epoch)[:])
