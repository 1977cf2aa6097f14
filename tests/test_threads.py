# SPDX-License-Identifier: BSD-3-Clause
"""Threads, signals and forks around load: prompt, and nothing left behind."""

import concurrent.futures
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import warnings

import numpy as np
import pytest
from support.jpegs import assert_same
from support.processes import assert_died_of_interrupt, interrupt_child, skip_forking

import fastimg

# The timers below are of this process's CPU time: the wall clock's may be the test runner's own.

# Some 4 ms each, on one thread: what is interrupted at its start leaves most of the rows unwritten.
COUNT = 4000
# The last rows of a 480 x 640 image: all of it must be decoded, little of it is kept.
CROP = (472, 0, 8, 8)
SENTINEL = 0x5A


def written(out):
    return int((out != SENTINEL).any(axis=(1, 2, 3)).sum())


@pytest.fixture
def long_load(slow_path):
    """A load that lasts seconds, its output, and a wait until its first rows are there."""
    out = np.full((COUNT, 3, 8, 8), SENTINEL, np.uint8)
    assert (fastimg.decode(slow_path, crop=CROP) != SENTINEL).any()
    stop = threading.Event()

    def load(num_threads):
        return fastimg.load([slow_path] * COUNT, out, crop=CROP, num_threads=num_threads)

    def wait():
        while not stop.is_set() and not written(out[:64]):
            pass
        return not stop.is_set()

    yield load, out, wait, stop
    stop.set()


@pytest.mark.parametrize("num_threads", [1, 2, 8])
def test_keyboard_interrupt(long_load, batch, num_threads):
    load, out, wait, stop = long_load
    before = set(threading.enumerate())
    watcher = threading.Thread(target=lambda: wait() and os.kill(os.getpid(), signal.SIGINT))
    watcher.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            load(num_threads)
    finally:
        stop.set()
        watcher.join()
    assert set(threading.enumerate()) == before
    rows = out.copy()
    assert 0 < written(rows) < COUNT // 2
    # The next call works, and nobody still writes into the array of the last one.
    assert_same(fastimg.load(batch.paths, num_threads=num_threads), np.stack(batch.images))
    assert_same(out, rows)


@pytest.mark.parametrize("num_threads", [1, 2])
def test_an_exception_of_another_signal_handler(long_load, batch, num_threads):
    class Alarm(Exception):
        pass

    def ring(number, stack):
        raise Alarm

    load, out, _, _ = long_load
    before = set(threading.enumerate())
    old = signal.signal(signal.SIGVTALRM, ring)
    try:
        with pytest.raises(Alarm):
            signal.setitimer(signal.ITIMER_VIRTUAL, 0.2)
            load(num_threads)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, old)
    assert set(threading.enumerate()) == before
    assert written(out) < COUNT // 2
    assert_same(fastimg.load(batch.paths, num_threads=num_threads), np.stack(batch.images))


def test_a_signal_without_an_exception_changes_nothing(batch):
    rings = []
    old = signal.signal(signal.SIGVTALRM, lambda number, stack: rings.append(number))
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.002, 0.002)
    try:
        while len(rings) < 20:
            # Reads are interrupted too (EINTR), not only waits.
            assert_same(fastimg.load(batch.paths, num_threads=2), np.stack(batch.images))
            assert_same(fastimg.decode(batch.paths[0]), batch.images[0])
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, old)


CHILD = """
import json, sys, threading
import numpy as np
import fastimg

path, threads = sys.argv[1], int(sys.argv[2])
out = np.full((4000, 3, 8, 8), 0x5A, np.uint8)

def tell():
    while (out[:64] == 0x5A).all():
        pass
    print("running", flush=True)

threading.Thread(target=tell, name="tell", daemon=True).start()
try:
    fastimg.load([path] * len(out), out, crop=(472, 0, 8, 8), num_threads=threads)
except KeyboardInterrupt:
    if sys.argv[3] == "die":
        raise
    left = [thread.name for thread in threading.enumerate() if thread.name != "tell"]
    rows = int((out != 0x5A).any(axis=(1, 2, 3)).sum())
    print(json.dumps([left, rows, fastimg.decode(path).shape]))
"""


@pytest.mark.parametrize("num_threads", [1, 2])
@pytest.mark.parametrize("manner", ["catch", "die"])
def test_interrupted_process(slow_path, child_env, num_threads, manner):
    args = CHILD, slow_path, num_threads, manner
    status, out, err = interrupt_child(*args, env=child_env, ready="running", timeout=60)
    if manner == "die":
        assert_died_of_interrupt(status, err)
    else:
        assert (status, err) == (0, "")
        left, rows, shape = json.loads(out)
        assert left == ["MainThread"] and shape == [3, 480, 640]
        assert 0 < rows < COUNT // 2


def test_no_thread_outlives_a_call(batch):
    before = set(threading.enumerate())
    for num_threads in (1, 2, 8, None):
        fastimg.load(batch.paths, num_threads=num_threads)
        assert set(threading.enumerate()) == before
        with pytest.raises(OSError):
            fastimg.load([*batch.paths, "missing.jpg"], num_threads=num_threads)
        assert set(threading.enumerate()) == before


def test_many_threads_at_once(batch, mixed):
    start = threading.Barrier(8)

    def work(seed):
        rng = np.random.default_rng(seed)
        start.wait()
        for turn in range(40):
            order = rng.integers(0, len(batch.paths), 9)
            sources = [(batch.paths if turn % 2 else batch.data)[i] for i in order]
            images = fastimg.load(sources, num_threads=int(rng.integers(1, 4)))
            assert_same(images, np.stack(batch.images)[order])
            i = rng.integers(0, len(mixed.paths))
            assert_same(fastimg.decode(mixed.paths[i]), mixed.images[i])
            with pytest.raises(fastimg.TruncatedJpegError) as caught:
                fastimg.decode(mixed.data[i][: 40 + seed])
            assert caught.value.index is None

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(work, seed) for seed in range(8)]:
            future.result(timeout=200)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_load_in_pool_workers(batch, method):
    # Threads were used here before: nothing of them may be in a child's way.
    fastimg.load(batch.paths, num_threads=4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of fork in a process with threads
        with multiprocessing.get_context(method).Pool(2) as pool:
            tasks = [pool.apply_async(fastimg.load, (batch.paths,), {"num_threads": n}) for n in (None, 1, 4)]
            for task in tasks:
                assert_same(task.get(timeout=100), np.stack(batch.images))


def test_fork_in_the_middle_of_a_load(batch):
    # The child has none of the parent's threads, and no lock that one of them held.
    skip_forking()
    expected = np.stack(batch.images).tobytes()
    started, stop = threading.Event(), threading.Event()

    def keep_loading():
        while not stop.is_set():
            fastimg.load(batch.paths, num_threads=2)
            started.set()

    def child():
        os._exit(0 if fastimg.load(batch.paths, num_threads=4).tobytes() == expected else 3)

    busy = threading.Thread(target=keep_loading)
    busy.start()
    children = []
    try:
        started.wait(60)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            for _ in range(10):
                children.append(multiprocessing.get_context("fork").Process(target=child))
                children[-1].start()
        for process in children:
            process.join(60)
        assert [process.exitcode for process in children] == [0] * 10
    finally:
        stop.set()
        busy.join()
        for process in children:
            process.kill()


def test_the_interpreter_exits_while_a_thread_loads(slow_path, child_env):
    # A daemon thread in the core at exit must neither crash the process nor keep it.
    code = textwrap.dedent(
        """
        import sys, threading
        import numpy as np
        import fastimg
        out = np.zeros((4000, 3, 8, 8), np.uint8)
        work = lambda: fastimg.load([sys.argv[1]] * 4000, out, crop=(472, 0, 8, 8), num_threads=1)
        threading.Thread(target=work, daemon=True).start()
        while not out.any():
            pass
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", code, slow_path], env=child_env, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
