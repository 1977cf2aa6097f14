# SPDX-License-Identifier: BSD-3-Clause
"""Iterators that are closed, or asked for a batch, from within: by what makes their batches, or in a signal handler."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from support.data_sources import PATIENCE, orders
from support.reader_objects import Memory, no_thread_left

import fastimg
from fastimg.data_source import ArrayDataSource

pytestmark = pytest.mark.timeout(60)  # what goes wrong here hangs


def iterator_of(function, prefetch, **options):
    """Of batches of two numbers below 20; `function` is called with the third."""

    def call(x):
        if x[0] == 4:
            function()
        return (x,)

    return ArrayDataSource([np.arange(20)]).map(call).batch_iterator(2, prefetch=prefetch, **options)


def test_a_function_closes_its_iterator(prefetch):
    with no_thread_left():
        batches = iterator_of(lambda: batches.close(), prefetch)
        found = orders(batches)
        assert found == [[0, 1], [2, 3]][: len(found)]  # what was made ahead may be lost
        assert list(batches) == [] and len(batches) == 0


def test_a_function_closes_its_iterator_while_nobody_waits():
    got, closed = threading.Event(), threading.Event()

    def close():
        assert got.wait(PATIENCE)
        batches.close()
        closed.set()

    with no_thread_left():
        batches = iterator_of(close, 3)
        assert next(batches)[0].tolist() == [0, 1]
        got.set()
        assert closed.wait(PATIENCE)
        assert list(batches) == []


def test_a_function_asks_for_a_batch(prefetch):
    refused = []

    def ask():
        with pytest.raises(RuntimeError) as caught:
            next(batches)
        refused.append(str(caught.value))

    batches = iterator_of(ask, prefetch)
    assert orders(batches) == [[i, i + 1] for i in range(0, 20, 2)]
    assert refused == ["a batch iterator was asked for a batch by what makes its batches"]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("kind", ["reader", "fallback"])
def test_what_decodes_closes_its_iterator(batch, prefetch, kind, threads):
    # In a thread for which the iterator waits.
    refused = []

    def close():
        with pytest.raises(RuntimeError):
            next(batches)
        refused.append(1)
        batches.close()

    class Closing(Memory):
        def read(self, i):
            if i == 11:
                close()
            return self.items[i]

    def fallback(data):
        close()
        return np.zeros((24, 31), np.uint8)

    sources = Closing(batch.data) if kind == "reader" else [*batch.data[:11], b"no JPEG", *batch.data[12:]]
    with no_thread_left():
        accessor = fastimg.ImageFileAccessor(sources, size=9, fallback=fallback, num_threads=threads)
        batches = ArrayDataSource([accessor]).batch_iterator(4, prefetch=prefetch)
        expected = fastimg.load(batch.data, size=9)
        made = 0
        for (images,) in batches:
            assert (images == expected[4 * made : 4 * made + 4]).all()
            made += 1
        assert made < 3 and refused == [1]
        assert list(batches) == []


@pytest.mark.parametrize("where", ["function", "decode"])
def test_a_signal_handler_closes_what_it_interrupts(slow_path, prefetch, where):
    # As a program does that is told to end.
    rings = []

    def close(number, stack):
        rings.append(number)
        batches.close()

    old = signal.signal(signal.SIGVTALRM, close)
    try:
        with no_thread_left():
            if where == "function":
                batches = iterator_of(
                    lambda: (signal.raise_signal(signal.SIGVTALRM), time.sleep(0.1)), prefetch
                )
                found = orders(batches)
                assert found == [[0, 1], [2, 3]][: len(found)]
            else:
                accessor = fastimg.ImageFileAccessor([slow_path] * 5000, crop=(472, 0, 8, 8))
                batches = ArrayDataSource([accessor]).batch_iterator(5000, prefetch=prefetch)
                signal.setitimer(signal.ITIMER_VIRTUAL, 0.1)
                assert list(batches) == []
            assert list(batches) == []
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, old)
    assert len(rings) == 1


def test_a_signal_handler_closes_at_any_moment():
    closed = []

    def close(number, stack):
        batches.close()
        closed.append(number)

    old = signal.signal(signal.SIGVTALRM, close)
    try:
        for i in range(600 if os.environ.get("FASTIMG_EXTENDED") else 15):
            batches = ArrayDataSource([np.arange(100)], repeats=-1).batch_iterator(2, prefetch=i % 3)
            signal.setitimer(signal.ITIMER_VIRTUAL, 0.0005 + i % 60 * 1e-5)
            for (numbers,) in batches:
                assert numbers[1] == numbers[0] + 1
            assert len(closed) == i + 1
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, old)


@pytest.mark.parametrize("turn", range(3))
def test_threads_close_while_others_wait(prefetch, turn):
    batches = ArrayDataSource([np.arange(1000)], repeats=-1).batch_iterator(2, prefetch=prefetch)
    started = threading.Barrier(4)
    wrong = []

    def consume():
        started.wait(PATIENCE)
        for (numbers,) in batches:
            if numbers[1] != numbers[0] + 1:
                wrong.append(numbers)

    threads = [threading.Thread(target=consume) for _ in range(3)]
    for thread in threads:
        thread.start()
    started.wait(PATIENCE)
    time.sleep(0.001 * turn)
    batches.close()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert wrong == []
