# SPDX-License-Identifier: BSD-3-Clause
"""Signals and forks while several threads decode one image."""

import gc
import os
import signal
import threading
import time

import numpy as np
import pytest
from support import jpegs
from support.data_sources import tasks, wait_until
from support.processes import skip_forking, status_in_child, status_of_child
from support.reader_objects import Memory

import fastimg
import fastimg._decode as _decode
from fastimg.options import make_options
from fastimg.sources import SourceList

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX signals")


class Alarm(Exception):
    pass


@pytest.fixture(scope="module")
def large():
    return jpegs.turbo(np.tile(jpegs.pixels(300, 420), (12, 10, 1)))


CALLS = {
    "decode": lambda data: fastimg.decode(data, num_threads=3),
    "load": lambda data: fastimg.load([data], num_threads=3),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_signals_handler_ends_all_threads(large, call):
    times = []

    def handler(*_):
        times.append(time.perf_counter())
        raise Alarm

    began = time.perf_counter()
    call(large)
    full = time.perf_counter() - began
    idle, before = tasks(), signal.signal(signal.SIGALRM, handler)
    try:
        for i in range(8):
            try:
                signal.setitimer(signal.ITIMER_REAL, full * (i + 1) / 16)
                try:
                    call(large)
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
            except Alarm:
                assert time.perf_counter() - times[-1] < 1  # 3 ms on an idle machine
            wait_until(lambda: tasks() <= idle)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert times
    jpegs.assert_same(fastimg.decode(large, num_threads=3), fastimg.decode(large))


def test_what_a_handler_raises_while_threads_start(large):
    """It is the starting thread's, even if another one is done before."""

    class Group(_decode.ThreadGroup):
        def start(self, work, count):
            super().start(lambda: dropped.wait(30) and work(), count)
            raise Alarm

    class Fallback:
        def decode(self, *_):
            dropped.set()
            assert group.wait(30)
            return np.zeros((8, 8), np.uint8), 1

    dropped, group = threading.Event(), Group()
    data = [large, b"GIF89a"]
    batch = _decode.Batch(
        SourceList(data), None, make_options(size=8), None, False, True, fallback=Fallback()
    )
    batch.set_output(np.zeros((2, 3, 8, 8), np.uint8), (2, 3, 8, 8))
    batch.join(_decode.Team(1, group, lambda: batch.run(0)))
    with pytest.raises(Alarm):
        batch.run(0)
    assert dropped.is_set() and batch.failures() == []
    batch.join(None)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fork(large):
    """The child has none of the threads, and decodes with its own."""
    skip_forking()
    expected = fastimg.decode(large)
    thread = threading.Thread(target=lambda: [fastimg.decode(large, num_threads=3) for _ in range(3)])
    thread.start()

    def check():
        assert np.array_equal(fastimg.decode(large, num_threads=3), expected)

    try:
        for _ in range(5):
            time.sleep(0.01)
            assert status_in_child(check) == 0
    finally:
        thread.join()


def load_thrice(large):
    """An image from `load`; None where others, which the threads of a parent decoded, are missing."""
    parent = os.getpid()
    try:
        return fastimg.load([large] * 3, num_threads=3)[1]
    except RuntimeError as error:
        assert os.getpid() != parent and "has forked while other threads decoded" in str(error)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of fork in a process with threads
@pytest.mark.parametrize(
    "call", [lambda large: fastimg.decode(large, num_threads=3), load_thrice], ids=["decode", "load"]
)
def test_fork_in_a_handler(large, call):
    """The child is in the middle of an image whose other threads it has not: it goes on alone, and waits for none."""
    skip_forking()
    began = time.perf_counter()
    expected = call(large)
    full = time.perf_counter() - began
    parent, children = os.getpid(), []
    before = signal.signal(signal.SIGALRM, lambda *_: children.append(os.fork()))
    try:
        for i in range(6):
            signal.setitimer(signal.ITIMER_REAL, full * (i + 1) / 8)
            status = 1
            try:
                found = call(large)
                status = 0 if found is None or np.array_equal(found, expected) else 1
            finally:
                if os.getpid() != parent:
                    os._exit(status)
                signal.setitimer(signal.ITIMER_REAL, 0)
            assert status == 0
    finally:
        signal.signal(signal.SIGALRM, before)
        statuses = [status_of_child(pid, 20) for pid in children]
    assert statuses and set(statuses) == {0}


class Interrupts(Memory):
    """Sends a signal to its process while a thread of fastimg reads."""

    def read(self, i):
        if i == 5:
            os.kill(os.getpid(), signal.SIGUSR1)
            time.sleep(0.3)
        return super().read(i)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("threads", [1, 2])
def test_fork_in_a_handler_while_threads_read(threads):
    """The child waits for no read that is under way in its parent, and for no lock."""
    skip_forking()
    parent, children = os.getpid(), []
    before = signal.signal(signal.SIGUSR1, lambda *_: children.append(os.fork()))
    status = 1
    try:
        images = fastimg.load(Interrupts([jpegs.jpeg()] * 8), num_threads=threads, read_threads=2)
        assert len(images) == 8
    except RuntimeError as error:
        status = 0 if "has forked while other threads decoded" in str(error) else 1
    finally:
        if os.getpid() != parent:
            os._exit(status)
        signal.signal(signal.SIGUSR1, before)
        statuses = [status_of_child(pid, 20) for pid in children]
    assert statuses == [0]


def teams():
    return [one for one in gc.get_objects() if isinstance(one, _decode.Team)]


def test_no_team_stays(large):
    """Not even until the garbage collector comes: as soon as the threads have let go of what they called."""
    gc.collect()
    before = set(map(id, teams()))
    gc.disable()
    try:
        for _ in range(3):
            fastimg.decode(large, num_threads=2, size=64)
        until = time.monotonic() + 20
        while {*map(id, teams())} - before and time.monotonic() < until:
            time.sleep(0.01)
        assert not {*map(id, teams())} - before
    finally:
        gc.enable()
