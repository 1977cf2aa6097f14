# SPDX-License-Identifier: BSD-3-Clause
"""Iterators that are closed, dropped, left or cancelled: their threads end with them."""

import gc
import threading
import time

import pytest
from support.data_sources import PATIENCE, Gate, Parts, decoded, in_batches, orders, wait_until
from support.jpegs import assert_same

import fastimg
from fastimg.data_source import ArrayDataSource

N = 60


class Broken(Exception):
    pass


@pytest.mark.parametrize("count", [0, 1, 3, 10])
def test_closing(batch, threads, prefetch, count):
    batches = decoded(batch).batch_iterator(4, prefetch=prefetch)
    for _ in range(count):
        next(batches)
    batches.close()
    assert set(threading.enumerate()) == threads
    assert list(batches) == []
    batches.close()
    with batches as same:
        assert list(same) == []


def test_leaving_the_context_closes(batch, threads, prefetch):
    with decoded(batch).batch_iterator(4, prefetch=prefetch) as batches:
        next(batches)
    assert set(threading.enumerate()) == threads
    assert list(batches) == []
    with pytest.raises(Broken), decoded(batch).batch_iterator(4, prefetch=prefetch) as batches:
        next(batches)
        raise Broken
    assert set(threading.enumerate()) == threads
    assert list(batches) == []


def test_dropping(batch, threads, prefetch):
    batches = decoded(batch).batch_iterator(4, prefetch=prefetch)
    next(batches)
    del batches
    assert set(threading.enumerate()) == threads


def test_breaking_out(batch, threads, prefetch):
    for _ in decoded(batch).batch_iterator(4, prefetch=prefetch):
        break
    assert set(threading.enumerate()) == threads


def test_the_end_ends_the_threads(batch, threads, prefetch):
    batches = decoded(batch).batch_iterator(4, prefetch=prefetch)
    assert len(list(batches)) == 10
    assert set(threading.enumerate()) == threads


def test_garbage_cycles(batch, threads, prefetch):
    cycle = [decoded(batch).batch_iterator(4, prefetch=prefetch)]
    cycle.append(cycle)
    next(cycle[0])
    del cycle
    gc.collect()
    assert set(threading.enumerate()) == threads


@pytest.mark.parametrize("manner", ["close", "drop", "throw"])
@pytest.mark.parametrize("inner", ["plain", "with"])
def test_generators_over_batches(batch, threads, prefetch, inner, manner):
    def plain(source):
        for x, _ in source.batch_iterator(4, prefetch=prefetch):
            yield from x

    def with_context(source):
        with source.batch_iterator(4, prefetch=prefetch) as batches:
            for x, _ in batches:
                yield from x

    images = (plain if inner == "plain" else with_context)(decoded(batch))
    for expected in batch.images[:6]:
        assert_same(next(images), expected)
    if manner == "close":
        images.close()
    elif manner == "throw":
        with pytest.raises(Broken):
            images.throw(Broken())
        gc.collect()
    else:
        del images
    assert set(threading.enumerate()) == threads


def test_the_source_may_go_first(batch):
    batches = decoded(batch).batch_iterator(10)
    gc.collect()
    assert orders(batches, 1) == in_batches(range(37), 10)


@pytest.mark.timeout(40)
def test_closing_cancels_what_another_thread_decodes_by_itself(slow_path):
    # Minutes of decoding: the test ends because the batch is left.
    count = 60_000
    accessor = fastimg.ImageFileAccessor([slow_path] * count, crop=(472, 0, 8, 8))
    batches = ArrayDataSource([accessor]).batch_iterator(count, prefetch=0)
    thread = threading.Thread(target=lambda: taken.extend(batches), daemon=True)
    taken = []
    thread.start()
    start = time.process_time()
    wait_until(lambda: time.process_time() > start + 0.1)
    batches.close()
    thread.join(1)
    assert not thread.is_alive() and taken == []


@pytest.mark.timeout(40)
@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("num_threads", [1, 2])
@pytest.mark.parametrize("reuse_buffers", [False, True])
def test_closing_cancels_a_decode(slow_path, num_threads, reuse_buffers):
    # Minutes of decoding, on any machine: this test ends because it is left.
    count = 60_000
    accessor = fastimg.ImageFileAccessor([slow_path] * count, crop=(472, 0, 8, 8))
    source = ArrayDataSource([accessor], sampler=Parts([0], range(count)))
    batches = source.batch_iterator(1, prefetch=1, num_threads=num_threads, reuse_buffers=reuse_buffers)
    next(batches)
    start = time.process_time()
    wait_until(lambda: time.process_time() > start + 0.1)
    batches.close()


@pytest.mark.usefixtures("threads")
def test_closing_from_another_thread():
    gate = Gate(N)
    batches = ArrayDataSource([gate]).batch_iterator(2)
    got = []
    consumer = threading.Thread(target=lambda: got.extend(batches))
    consumer.start()
    assert gate.reached.wait(PATIENCE)
    closer = threading.Thread(target=batches.close)
    closer.start()
    gate.open.set()
    for thread in (closer, consumer):
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert orders(got) == in_batches(range(N), 2)[: len(got)]
    assert list(batches) == []
