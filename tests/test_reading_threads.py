# SPDX-License-Identifier: BSD-3-Clause
"""Reader threads end with their call or iterator, whatever ends it; they are nobody's after a fork."""

import concurrent.futures
import gc
import os
import signal
import threading
import time
import warnings

import numpy as np
import pytest
from support.data_sources import PATIENCE, tasks, wait_until
from support.jpegs import assert_same
from support.processes import assert_died_of_interrupt, interrupt_child, skip_forking, status_in_child
from support.reader_objects import Alone, Broken, Memory, Watched, no_thread_left

import fastimg
from fastimg.data_source import ArrayDataSource

# An interrupted call may wait for the reads that are under way, of 0.3 s here; never for all that are left.
READ_SECONDS = 0.3
PROMPT_SECONDS = 5


@pytest.fixture
def many(batch):
    """1000 good files, in memory."""
    return [batch.data[i % 37] for i in range(1000)]


# ---- after a call ------------------------------------------------------------------------------


@pytest.mark.parametrize("read_threads", [None, 0, 1, 7, 64])
def test_no_thread_outlives_a_call(batch, mixed, bad_files, read_threads):
    options = {"read_threads": read_threads, "size": 9}
    with no_thread_left():
        fastimg.load(batch.paths, **options)
        fastimg.load(Watched(batch.data, 0.001), **options)
        fastimg.ImageFileAccessor(batch.paths, **options)[:]
        fastimg.NonUniformImageFileAccessor(mixed.paths, read_threads=read_threads)[:]
        fastimg.ImageFileAccessor(mixed.paths, read_threads=read_threads).random_resized_crop(9)[:]
        fastimg.read_headers(Memory(batch.data))
        with pytest.raises(OSError):
            fastimg.load([*batch.paths, "missing.jpg"], **options)
        with pytest.raises(KeyError):
            fastimg.load(Broken(batch.data, {20: KeyError}, {21: 0.05}), **options)
        with pytest.raises(TypeError):
            fastimg.load(batch.paths, progress=lambda: None, **options)
        with pytest.raises(OSError), warnings.catch_warnings():
            fastimg.load(
                [*batch.paths, bad_files["IsADirectoryError"]], progress=lambda done, total: 1, **options
            )
        list(ArrayDataSource([fastimg.ImageFileAccessor(batch.paths, size=9)]).batch_iterator(3))


def test_an_exception_of_progress(batch):
    class Stop(Exception):
        pass

    def progress(done, total):
        raise Stop

    for read_threads in (None, 1, 16):
        reader = Watched([batch.data[i % 37] for i in range(2000)], 0.002)
        with no_thread_left(), pytest.raises(Stop):
            fastimg.load(reader, size=9, progress=progress, read_threads=read_threads)
        assert len(reader.asked) < 2000


def test_reads_of_an_abandoned_iterator_end(many):
    # Nobody waits for them in `close`, but none begins after it.
    reader = Watched(many, 0.02)
    source = ArrayDataSource([fastimg.ImageFileAccessor(reader, size=9)])
    with no_thread_left():
        batches = source.batch_iterator(10, prefetch=3, read_threads=8)
        next(batches)
        batches.close()
        wait_until(lambda: reader.now == 0)
        count = len(reader.asked)
        time.sleep(0.1)
        assert len(reader.asked) == count < 1000


@pytest.mark.parametrize("way", ["forgotten", "closed", "in a block"])
def test_a_thousand_abandoned_iterators(batch, way):
    source = ArrayDataSource([fastimg.ImageFileAccessor(Watched(batch.data, 0.001), size=9)])
    with no_thread_left():
        for i in range(334):
            batches = source.batch_iterator(4, prefetch=i % 4, read_threads=[None, 1, 4][i % 3])
            if i % 5:
                next(batches)
            if way == "closed":
                batches.close()
            elif way == "in a block":
                with batches:
                    pass
        del batches
        gc.collect()
    assert_same(next(source.batch_iterator(4))[0], fastimg.load(batch.data[:4], size=9))


# ---- Ctrl-C ------------------------------------------------------------------------------------


def interrupt_when(true):
    """A thread that sends SIGINT to this process once `true()`; it has a list of when that was."""
    sent = []

    def watch():
        wait_until(true)
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread, sent


@pytest.mark.parametrize("read_threads", [None, 1, 16])
@pytest.mark.parametrize("cls", [Watched, Alone])
def test_ctrl_c_in_a_call(many, cls, read_threads):
    reader = cls(many, READ_SECONDS)
    with no_thread_left():
        thread, sent = interrupt_when(lambda: len(reader.asked) >= 1)
        with pytest.raises(KeyboardInterrupt):
            fastimg.load(reader, size=9, read_threads=read_threads)
        assert time.monotonic() - sent[0] < PROMPT_SECONDS
        thread.join()
        wait_until(lambda: reader.now == 0)
    count = len(reader.asked)
    assert count < 200
    time.sleep(READ_SECONDS / 3)
    assert len(reader.asked) == count
    assert_same(fastimg.load(many[:2], size=9), fastimg.load(Memory(many[:2]), size=9))


@pytest.mark.parametrize("prefetch", [0, 2])
def test_ctrl_c_in_an_iterator(many, prefetch):
    reader = Watched(many, READ_SECONDS)
    source = ArrayDataSource([fastimg.ImageFileAccessor(reader, size=9)])
    with no_thread_left():
        batches = source.batch_iterator(50, prefetch=prefetch, read_threads=4)
        thread, sent = interrupt_when(lambda: len(reader.asked) >= 4)
        with pytest.raises(KeyboardInterrupt):
            next(batches)
        assert time.monotonic() - sent[0] < PROMPT_SECONDS
        thread.join()
        batches.close()
    assert len(reader.asked) < 200


def test_ctrl_c_again_and_again(many):
    # While the call waits for its threads, too.
    reader = Watched(many, READ_SECONDS)
    with no_thread_left():
        thread, sent = interrupt_when(lambda: len(reader.asked) >= 1)
        other, _ = interrupt_when(lambda: sent and time.monotonic() > sent[0] + 0.1)
        with pytest.raises(KeyboardInterrupt):
            try:
                fastimg.load(reader, size=9, read_threads=8)
            finally:
                other.join()
        thread.join()
        wait_until(lambda: reader.now == 0)


SCRIPT = """
import sys, time
import fastimg
from support.reader_objects import Watched

class Says(Watched):
    def give(self, i):
        if i == 0:
            print("reading", flush=True)
        time.sleep(0.3)
        return self.items[i]

fastimg.load(Says([open(sys.argv[1], "rb").read()] * 1000), size=9)
"""


def test_ctrl_c_ends_a_program(batch, child_env):
    start = time.monotonic()
    status, out, err = interrupt_child(
        SCRIPT, batch.paths[0], env=child_env, ready="reading", timeout=PATIENCE
    )
    assert_died_of_interrupt(status, err)
    assert out == "" and time.monotonic() - start < 30


# ---- several threads and processes -------------------------------------------------------------


def test_eight_threads_share_an_accessor(batch, mixed):
    accessor = fastimg.ImageFileAccessor(Watched(batch.data, 0.0005), size=9, read_threads=5)
    alone = fastimg.ImageFileAccessor(Alone(mixed.data), read_ahead=3000).random_resized_crop(9)
    files = fastimg.NonUniformImageFileAccessor(mixed.paths, read_threads=3, read_ahead=1)
    expected = fastimg.load(batch.data, size=9)
    crops = fastimg.ImageFileAccessor(mixed.data).random_resized_crop(9)[:]
    start = threading.Barrier(8)

    def work(seed):
        rng = np.random.default_rng(seed)
        start.wait()
        for _ in range(12):
            order = rng.integers(0, 37, 9)
            assert_same(accessor[order], expected[order])
            order = rng.integers(0, 19, 9)
            assert_same(alone[order], crops[order])
            for image, i in zip(files[order], order, strict=True):
                assert_same(image, mixed.images[i])

    with no_thread_left(), concurrent.futures.ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(work, seed) for seed in range(8)]:
            future.result(timeout=PATIENCE)


def test_forks_while_others_read(batch):
    # The child has none of the parent's threads, and no lock that one of them held.
    skip_forking()
    expected = fastimg.load(batch.data, size=9)
    readers = [Watched(batch.data, 0.001), Alone(batch.data, 0.0002)]
    accessors = [fastimg.ImageFileAccessor(reader, size=9) for reader in readers]
    accessors.append(fastimg.ImageFileAccessor(batch.paths, size=9, read_threads=4))
    stop = threading.Event()

    def work(accessor):
        while not stop.is_set():
            assert_same(accessor[:], expected)

    def in_child():
        for accessor in accessors:
            assert_same(accessor[[3, 0]], expected[[3, 0]])
            assert_same(accessor[:], expected)
            source = ArrayDataSource([accessor])
            assert_same(next(source.batch_iterator(37, read_threads=4))[0], expected)
        wait_until(lambda: tasks() == 1)

    with no_thread_left(), concurrent.futures.ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(work, accessor) for accessor in accessors]
        try:
            for _ in range(25):
                assert status_in_child(in_child) == 0
        finally:
            stop.set()
        for future in futures:
            future.result(timeout=PATIENCE)


def test_a_fork_between_two_batches(batch):
    # An iterator is the process's that began it. What the child does with it must not hang or hurt the parent.
    expected = fastimg.load(batch.data, size=9)
    source = ArrayDataSource([fastimg.ImageFileAccessor(Watched(batch.data, 0.001), size=9)])
    with no_thread_left():
        for prefetch in (0, 2):
            batches = source.batch_iterator(5, prefetch=prefetch, read_threads=4)
            found = [next(batches)[0]]

            def in_child(batches=batches):
                batches.close()
                assert_same(next(source.batch_iterator(37))[0], expected)

            assert status_in_child(in_child) == 0
            found += [x for (x,) in batches]
            assert_same(np.concatenate(found), expected)
