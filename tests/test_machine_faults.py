# SPDX-License-Identifier: BSD-3-Clause
"""A machine without descriptors or threads stops the batch, whatever on_error is: the images may be good."""

import contextlib
import errno
import os
import pickle

import numpy as np
import pytest
from support.jpegs import assert_same

import fastimg
from fastimg.data_source import ArrayDataSource
from fastimg.errors import Failure
from fastimg.on_error import fault_error, find_fault

resource = pytest.importorskip("resource")


@contextlib.contextmanager
def no_descriptors():
    """No file can be opened."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def loads(paths, on_error, num_threads):
    """Name -> a function that loads images; all are made while files can still be opened."""
    options = {"on_error": on_error, "num_threads": num_threads}
    accessor = fastimg.ImageFileAccessor(paths, **options)
    accessor[0]  # knows its size
    sized = fastimg.ImageFileAccessor(paths, size=9, **options)
    mixed = fastimg.NonUniformImageFileAccessor(paths, **options)
    crops = fastimg.ImageFileAccessor(paths, **options).random_resized_crop(9)
    known = fastimg.ImageFileAccessor(paths, **options).random_resized_crop(9)
    known[:]
    batches = ArrayDataSource([sized]).batch_iterator(5, prefetch=0, on_error=on_error)
    dropping = ArrayDataSource([sized]).batch_iterator(5, prefetch=0, on_error="drop")
    return {
        "load": lambda: fastimg.load(paths, **options),
        "load, sized": lambda: fastimg.load(paths, size=9, **options),
        "load, one": lambda: fastimg.load(paths[:1], size=9, **options),
        "accessor": lambda: accessor[:],
        "shape": lambda: fastimg.ImageFileAccessor(paths, **options).shape,
        "mixed": lambda: mixed[:],
        "crops": lambda: crops[:],
        "crops, known": lambda: known[:],
        "boxes": lambda: crops.boxes([0, 1]),
        "batches": lambda: next(batches),
        "batches, drop": lambda: next(dropping),
    }


@pytest.mark.parametrize("num_threads", [1, 4])
@pytest.mark.parametrize("on_error", ["raise", "fill", "call"])
@pytest.mark.filterwarnings("error")
def test_no_descriptors(batch, on_error, num_threads):
    calls = []
    functions = loads(batch.paths, calls.append if on_error == "call" else on_error, num_threads)
    found = {}
    with no_descriptors():
        for name, function in functions.items():
            try:
                function()
            except OSError as error:
                found[name] = (error.errno, error.index, error.source in batch.paths)
    assert not calls
    assert found.keys() == functions.keys()
    for code, index, in_list in found.values():
        assert code == errno.EMFILE and in_list
        assert index == 0 or num_threads > 1


def test_afterwards_all_is_right(batch):
    accessor = fastimg.ImageFileAccessor(batch.paths, on_error="fill").random_resized_crop(9)
    expected = fastimg.ImageFileAccessor(batch.paths).random_resized_crop(9)[:]
    with no_descriptors(), pytest.raises(OSError):
        accessor[:]
    assert_same(accessor[:], expected)


def test_it_stops_at_once(batch):
    # A million good files would otherwise be tried, and zeroed, one by one.
    out = np.full((1000, 3, 9, 9), 0x5A, np.uint8)
    with no_descriptors(), pytest.raises(OSError):
        fastimg.load(batch.paths[:1] * 1000, out, size=9, num_threads=1, on_error="fill")
    assert (out[1:] == 0x5A).all()


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_which_errors_are_the_machines(code):
    assert Failure(0, "OS", code, (0, 0, 0, 0), "").is_machine_fault
    assert Failure(0, "NOMEM", 0, (0, 0, 0, 0), "").is_machine_fault


def test_a_readers_error_that_there_was_no_memory_to_keep():
    """The core has ended the batch there, so the images after it are not to be taken for good ones."""
    failure = Failure(3, "READER", 0, (1, 1, 0, 0), "")
    assert find_fault([failure]) is failure
    error = fault_error(failure, "a", 3)
    assert isinstance(error, MemoryError) and error.index == 3
    assert find_fault([Failure(3, "READER", 0, (0, 1, 0, 0), "")]) is None


@pytest.mark.parametrize("code", [errno.ENOENT, errno.EACCES, errno.EIO, errno.EISDIR, errno.ENAMETOOLONG])
def test_which_errors_are_the_images(code):
    assert not Failure(0, "OS", code, (0, 0, 0, 0), "").is_machine_fault
    assert not Failure(0, "CORRUPT", errno.ENOMEM, (0, 0, 0, 0), "").is_machine_fault


@pytest.mark.parametrize("on_error", ["fill", "drop"])
def test_no_threads_for_batches(batch, monkeypatch, on_error):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    source = ArrayDataSource([fastimg.ImageFileAccessor(batch.paths)])
    monkeypatch.setattr("threading.Thread.start", refuse)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        next(source.batch_iterator(5, on_error=on_error))


def test_the_error_can_be_pickled(batch):
    with no_descriptors(), pytest.raises(OSError) as caught:
        fastimg.load(batch.paths, on_error="fill")
    copied = pickle.loads(pickle.dumps(caught.value))
    assert (copied.errno, copied.index, os.fspath(copied.source)) == (errno.EMFILE, 0, batch.paths[0])
