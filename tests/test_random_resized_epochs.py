# SPDX-License-Identifier: BSD-3-Clause
"""RandomResizedCrop.set_epoch: the epoch of an accessor that a loader's workers hold; see also test_workers."""

import copy
import multiprocessing
import pickle
import sys
import types
import warnings

import numpy as np
import pytest
from support.jpegs import assert_same

import fastimg


@pytest.fixture
def view(mixed):
    return fastimg.ImageFileAccessor(mixed.paths).random_resized_crop((18, 15), seed=5)


def test_set_epoch(view):
    held = view.with_epoch(0)
    earlier = held.with_epoch(2)
    for epoch in (3, 0, np.int64(1), 2**63 - 1):
        held.set_epoch(epoch)
        expected = view.with_epoch(epoch)
        assert held.epoch == epoch and type(held.epoch) is int
        assert repr(held) == repr(expected)
        assert np.array_equal(held.boxes(slice(None))[0], expected.boxes(slice(None))[0])
        assert_same(held[[3, 0]], expected[[3, 0]])
        assert held.__dask_tokenize__() == expected.__dask_tokenize__()
    assert earlier.epoch == 2
    for wrong in (-1, 2**63, 1.0, "1"):
        with pytest.raises((ValueError, TypeError), match="epoch must be"):
            held.set_epoch(wrong)
    assert held.epoch == 2**63 - 1


def test_copies_have_epochs_of_their_own(view):
    held = view.with_epoch(7)
    held.set_epoch(3)
    for way in (copy.copy, copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))):
        copied = way(held)
        assert type(copied) is type(held) and copied.epoch == 3
        assert_same(copied[[1, 2]], view.with_epoch(3)[[1, 2]])
        copied.set_epoch(4)
        assert held.epoch == 3
        held.set_epoch(5)
        assert copied.epoch == 4
        held.set_epoch(3)


def boxes_of(held, pipe):
    """A worker that gives its boxes whenever it is asked."""
    info = types.SimpleNamespace(id=0, num_workers=1, seed=0)
    sys.modules["torch.utils.data"] = types.SimpleNamespace(get_worker_info=lambda: info)
    while pipe.recv():
        pipe.send((held.epoch, held.boxes([2, 0, 7])[0].tolist()))


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_running_workers_are_told(view, start):
    held = view.with_epoch(7)
    context = multiprocessing.get_context(start)
    pipe, end = context.Pipe()
    worker = context.Process(target=boxes_of, args=(held, end))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of fork in a process with threads
        worker.start()
    try:
        for epoch in (7, 0, 3):
            if epoch != 7:
                held.set_epoch(epoch)
            pipe.send(True)
            assert pipe.poll(60)
            assert pipe.recv() == (epoch, view.with_epoch(epoch).boxes([2, 0, 7])[0].tolist())
    finally:
        pipe.send(False)
        worker.join(60)
        worker.kill()
