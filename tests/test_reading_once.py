# SPDX-License-Identifier: BSD-3-Clause
"""Every sample is read once: no file is opened for its header, and again for its pixels."""

import collections
import multiprocessing
import pathlib
import pickle
import sys
import warnings

import numpy as np
import pytest
from support import jpegs
from support.data_sources import PATIENCE
from support.files import write_batch
from support.jpegs import assert_all_same, assert_same
from support.reader_objects import Watched

import fastimg
from fastimg.data_source import ArrayDataSource

if sys.platform != "linux":
    pytest.skip("files are watched through inotify", allow_module_level=True)

from support.opens import Opens

N = 31
EPOCHS = 3


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Files of one size in a folder of their own."""
    files = [jpegs.jpeg(40, 50, seed=i) for i in range(N)]
    return write_batch(tmp_path_factory.mktemp("once"), files)


@pytest.fixture(scope="module")
def sizes(tmp_path_factory):
    """Files of many sizes."""
    files = [jpegs.jpeg(20 + i, 60 - i, seed=i) for i in range(N)]
    return write_batch(tmp_path_factory.mktemp("sizes"), files)


@pytest.fixture
def opens(photos):
    with Opens(pathlib.Path(photos.paths[0]).parent) as opens:
        yield opens


@pytest.fixture
def opens_of_sizes(sizes):
    with Opens(pathlib.Path(sizes.paths[0]).parent) as opens:
        yield opens


def each(count, n=N):
    return collections.Counter({f"{i:03d}.jpg": count for i in range(n)})


READING = [{}, {"read_threads": 0}, {"read_threads": 4}, {"read_threads": 4, "read_ahead": 1}]


def test_the_count_is_right(photos, opens):
    for _ in range(2):
        for path in photos.paths:
            pathlib.Path(path).read_bytes()
    pathlib.Path(photos.paths[5]).stat()
    assert opens.take() == each(2)
    fastimg.decode(photos.paths[7])
    assert opens.take() == {"007.jpg": 1}
    assert opens.take() == {}


# ---- files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_threads", [1, 3])
@pytest.mark.parametrize("reading", READING, ids=str)
def test_random_crops(sizes, opens_of_sizes, reading, num_threads):
    view = fastimg.ImageFileAccessor(sizes.paths, num_threads=num_threads, **reading)
    view = view.random_resized_crop(9, seed=5)
    expected = fastimg.ImageFileAccessor(sizes.data).random_resized_crop(9, seed=5)
    for epoch in range(EPOCHS):
        found = view.with_epoch(epoch)[:]
        assert opens_of_sizes.take() == each(1)
        assert_same(found, expected.with_epoch(epoch)[:])
    # Sizes are known now.
    view.with_epoch(EPOCHS).boxes(slice(None))
    assert opens_of_sizes.take() == {}


@pytest.mark.parametrize("reading", READING, ids=str)
@pytest.mark.parametrize("prefetch", [0, 2])
def test_batches_of_random_crops(sizes, opens_of_sizes, reading, prefetch):
    view = fastimg.ImageFileAccessor(sizes.paths).random_resized_crop(9, seed=5)
    expected = fastimg.ImageFileAccessor(sizes.data).random_resized_crop(9, seed=5)
    source = ArrayDataSource([view, np.arange(N)], seed=3)
    for epoch in range(EPOCHS):
        found = np.zeros((N, 3, 9, 9), np.uint8)
        for x, indices in source.batch_iterator(4, shuffle=True, prefetch=prefetch, **reading):
            found[indices] = x
        assert opens_of_sizes.take() == each(1)
        assert_same(found, expected.with_epoch(epoch)[:])


@pytest.mark.parametrize("reading", READING, ids=str)
def test_accessors(photos, opens, reading):
    mixed = fastimg.NonUniformImageFileAccessor(photos.paths, **reading)
    sized = fastimg.ImageFileAccessor(photos.paths, size=9, **reading)
    resized = fastimg.NonUniformImageFileAccessor(photos.paths, size=9, **reading)
    for _ in range(EPOCHS):
        assert_all_same(mixed[:], photos.images)
        found = opens.take()
        # What cannot be kept with its header is read again: all but one that is larger than there is room.
        again = found - each(1)
        assert found == each(1) or (reading.get("read_ahead") == 1 and len(again) == N - 1)
        assert_all_same(resized[:], list(sized[:]))
        assert opens.take() == each(2)
    # The first image says what size all have.
    plain = fastimg.ImageFileAccessor(photos.paths, **reading)
    assert_same(plain[:], np.stack(photos.images))
    assert opens.take() - each(1) in ({}, {"000.jpg": 1})
    for _ in range(EPOCHS):
        plain[:]
        assert opens.take() == each(1)


@pytest.mark.parametrize("reading", READING, ids=str)
def test_load(photos, opens, reading):
    fastimg.load(photos.paths, size=9, **reading)
    assert opens.take() == each(1)
    fastimg.load(photos.paths, crop=(2, 3, 20, 20), **reading)
    assert opens.take() == each(1)
    fastimg.load(photos.paths, np.empty((N, 3, 40, 50), np.uint8), size=(40, 50), **reading)
    assert opens.take() == each(1)
    fastimg.read_headers(photos.paths)
    assert opens.take() == each(1)


def test_known_sizes_are_pickled(sizes, opens_of_sizes):
    view = fastimg.ImageFileAccessor(sizes.paths).random_resized_crop(9, seed=5)
    crops, flips = view.boxes(slice(None))
    assert opens_of_sizes.take() == each(1)
    copied = pickle.loads(pickle.dumps(view))
    for one, other in zip(copied.boxes(slice(None)), (crops, flips), strict=True):
        assert_same(one, other)
    assert opens_of_sizes.take() == {}
    copied[:]
    assert opens_of_sizes.take() == each(1)


def test_a_bad_file_is_opened_once_per_epoch(sizes, tmp_path):
    files = list(sizes.data)
    files[5], files[6], files[7] = b"no picture", jpegs.truncated(files[6]), b""
    bad = write_batch_of_any(tmp_path, files)
    view = fastimg.ImageFileAccessor(bad, on_error="fill").random_resized_crop(9)
    with Opens(tmp_path) as opens:
        for epoch in range(EPOCHS):
            with pytest.warns(UserWarning, match="3 of 31"):
                view.with_epoch(epoch)[:]
            assert opens.take() == each(1)


def write_batch_of_any(folder, files):
    paths = [folder / f"{i:03d}.jpg" for i in range(len(files))]
    for path, data in zip(paths, files, strict=True):
        path.write_bytes(data)
    return paths


# ---- processes ---------------------------------------------------------------------------------


def read_epochs(source, part, pipe):
    """A worker that reads its part of each epoch, and says what it has read."""
    mine = source.shard(part, 2)
    for epoch in range(EPOCHS):
        found = list(mine.batch_iterator(4, shuffle=True, epoch=epoch))
        pipe.send([np.concatenate(arrays) for arrays in zip(*found, strict=True)])
    pipe.recv()


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers(sizes, opens_of_sizes, start):
    view = fastimg.ImageFileAccessor(sizes.paths).random_resized_crop(9, seed=5)
    source = ArrayDataSource([view, np.arange(N)], seed=3)
    expected = fastimg.ImageFileAccessor(sizes.data).random_resized_crop(9, seed=5)
    context = multiprocessing.get_context(start)
    pipes, workers = [], []
    for part in range(2):
        pipe, end = context.Pipe()
        workers.append(context.Process(target=read_epochs, args=(source, part, end), daemon=True))
        pipes.append(pipe)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of fork in a process with threads
        for worker in workers:
            worker.start()
    try:
        seen = []
        for epoch in range(EPOCHS):
            for pipe in pipes:
                assert pipe.poll(PATIENCE)
                x, indices = pipe.recv()
                assert_same(x, expected.with_epoch(epoch)[indices])
                seen += indices.tolist()
        assert sorted(seen) == sorted([*range(N)] * EPOCHS)
        assert opens_of_sizes.take() == each(EPOCHS)
    finally:
        for pipe, worker in zip(pipes, workers, strict=True):
            pipe.send(None)
            worker.join(PATIENCE)
            worker.kill()


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_loader_of_pytorch(sizes, opens_of_sizes, num_workers):
    data = pytest.importorskip("torch.utils.data")
    view = fastimg.ImageFileAccessor(sizes.paths).random_resized_crop(9, seed=5)
    expected = fastimg.ImageFileAccessor(sizes.data).random_resized_crop(9, seed=5)
    sampler = data.BatchSampler(data.SequentialSampler(view), 4, False)
    loader = data.DataLoader(
        view, sampler=sampler, batch_size=None, num_workers=num_workers, persistent_workers=num_workers > 0
    )
    for epoch in range(EPOCHS):
        view.set_epoch(epoch)
        found = np.concatenate([batch.numpy() for batch in loader])
        assert opens_of_sizes.take() == each(1)
        assert_same(found, expected.with_epoch(epoch)[:])


# ---- readers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("read_threads", [None, 1, 5])
def test_readers(sizes, photos, read_threads):
    def asked():
        found, reader.asked = sorted(reader.asked), []
        return found

    reader = Watched(sizes.data)
    view = fastimg.ImageFileAccessor(reader, read_threads=read_threads).random_resized_crop(9, seed=5)
    mixed = fastimg.NonUniformImageFileAccessor(reader, read_threads=read_threads)
    sized = fastimg.ImageFileAccessor(reader, read_threads=read_threads, size=9)
    for epoch in range(EPOCHS):
        for images in (view.with_epoch(epoch), mixed, sized):
            images[:]
            assert asked() == [*range(N)]
        for images in (view.with_epoch(10 + epoch), mixed, sized):
            list(ArrayDataSource([images]).batch_iterator(4, shuffle=epoch, read_threads=read_threads))
            assert asked() == [*range(N)]
    view[[4, 4, 9]]
    assert set(asked()) == {4, 9}
    fastimg.load(reader, size=9, read_threads=read_threads)
    assert asked() == [*range(N)]
    fastimg.read_headers(reader)
    assert asked() == [*range(N)]
