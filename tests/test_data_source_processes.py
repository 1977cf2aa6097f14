# SPDX-License-Identifier: BSD-3-Clause
"""Prefetching and what happens to a process: nothing is left behind, Ctrl-C, exit, fork."""

import contextlib
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
from support import jpegs
from support.data_sources import PATIENCE, Numbers, in_batches, orders, wait_until
from support.jpegs import assert_same
from support.processes import HAS_GIL, assert_died_of_interrupt, interrupt_child, run_probe, skip_forking
from support.sanitizers import skip_measuring

import fastimg
from fastimg.data_source import ArrayDataSource

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self")


# ---- nothing is left ---------------------------------------------------------------------------


@LINUX
@pytest.mark.parametrize(
    ("manner", "count"),
    [("drop", 1000), ("close", 400), ("leave", 400), ("never_start", 400), ("fail", 400), ("finish", 400)],
)
def test_many_iterators(tmp_path, manner, count):
    paths = []
    for i in range(13):
        data = jpegs.jpeg(8, 8, seed=i)
        paths.append(tmp_path / f"{i}.jpg")
        paths[-1].write_bytes(jpegs.truncated(data) if i == 12 else data)
    result = json.loads(run_probe("data_source_probe", manner, count, *paths))
    assert (result["names"], result["tasks"], result["files"]) == ([], 0, 0)
    skip_measuring("growth")
    # Without the GIL, functions and frames wait for the collector: those that an error holds, here.
    assert result["growth"] <= (2**20 if HAS_GIL or manner != "fail" else 2**23)


# ---- Ctrl-C ------------------------------------------------------------------------------------

# The first batch is one image, the second minutes of decoding.
LONG = """
import json, signal, sys, threading, time
import numpy as np
import fastimg
from fastimg.data_source import ArrayDataSource

# A background job of a shell ignores SIGINT, and so do its children.
signal.signal(signal.SIGINT, signal.default_int_handler)
COUNT = 60000

class Parts:
    def in_order_indices_batch_iterator(self, batch_size):
        yield np.arange(1)
        yield np.arange(COUNT)

    def shuffled_indices_batch_iterator(self, batch_size, rng):
        raise NotImplementedError

path, prefetch = sys.argv[1], int(sys.argv[2])
accessor = fastimg.ImageFileAccessor([path] * COUNT, crop=(472, 0, 8, 8))
source = ArrayDataSource([accessor], sampler=Parts())
main = threading.get_ident()
"""

INTERRUPTED = (
    LONG
    + """
def tell():
    # Until the main thread is somewhere below `next`.
    while sys._current_frames()[main].f_code.co_filename == "<string>":
        time.sleep(0.001)
    start = time.process_time()
    while time.process_time() < start + 0.1:
        time.sleep(0.001)
    print("waiting", flush=True)

batches = source.batch_iterator(1, prefetch=prefetch)
next(batches)
teller = threading.Thread(target=tell)
teller.start()
try:
    next(batches)
except KeyboardInterrupt:
    teller.join()
    if sys.argv[3] == "die":
        raise
    left = [thread.name for thread in threading.enumerate()]
    again = [next(source.batch_iterator(1, prefetch=prefetch))[0].shape for _ in range(2)]
    print(json.dumps([left, list(batches), again]))
"""
)


@pytest.mark.parametrize("prefetch", [0, 2])
@pytest.mark.parametrize("manner", ["catch", "die"])
def test_interrupted_while_waiting(slow_path, child_env, prefetch, manner):
    args = INTERRUPTED, slow_path, prefetch, manner
    status, out, err = interrupt_child(*args, env=child_env, ready="waiting", timeout=30)
    if manner == "die":
        assert_died_of_interrupt(status, err)
    else:
        assert (status, err) == (0, "")
        assert json.loads(out) == [["MainThread"], [], [[1, 3, 8, 8]] * 2]


def functions_of(ident):
    """The names of the functions in which a thread is."""
    frame, names = sys._current_frames()[ident], []
    while frame:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    return names


def test_interrupted_while_a_function_works():
    before = set(threading.enumerate())
    main, reached, go_on = threading.get_ident(), threading.Event(), threading.Event()

    def function(x):
        if x[0] == 4:
            reached.set()
            assert go_on.wait(PATIENCE)
        return (x,)

    def interrupt():
        assert reached.wait(PATIENCE)
        wait_until(lambda: "__next__" in functions_of(main))
        os.kill(os.getpid(), signal.SIGINT)
        go_on.wait(0.2)  # the signal comes while `next` waits; the function ends after it
        go_on.set()

    batches = ArrayDataSource([np.arange(20)]).map(function).batch_iterator(2)
    assert orders([next(batches), next(batches)]) == [[0, 1], [2, 3]]
    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            next(batches)
    finally:
        go_on.set()
        interrupter.join()
    assert list(batches) == []
    assert set(threading.enumerate()) == before


# ---- exit --------------------------------------------------------------------------------------

EXITS = {
    "in a function": """
        import threading, time
        import numpy as np
        from fastimg.data_source import ArrayDataSource

        started = threading.Event()

        def slow(x):
            if x[0] >= 4:
                started.set()
                time.sleep(1000)
            return (x,)

        batches = ArrayDataSource([np.arange(100)]).map(slow).batch_iterator(2)
        print(next(batches)[0].tolist())
        started.wait()
    """,
    "in a decode": LONG
    + """
        batches = source.batch_iterator(1, prefetch=prefetch)
        print([0, next(batches)[0].shape[0]])
        start = time.process_time()
        while time.process_time() < start + 0.1:
            time.sleep(0.001)
    """.replace("\n        ", "\n"),
    "with batches waiting": """
        import numpy as np
        from fastimg.data_source import ArrayDataSource

        batches = ArrayDataSource([np.arange(100)]).batch_iterator(2)
        cycle = [batches]
        cycle.append(cycle)
        print(next(batches)[0].tolist())
    """,
    "in a function, in a daemon": """
        import threading, time
        import numpy as np
        from fastimg.data_source import ArrayDataSource

        started = threading.Event()

        def slow(x):
            started.set()
            time.sleep(1000)

        batches = ArrayDataSource([np.arange(100)]).map(slow).batch_iterator(2)
        threading.Thread(target=lambda: next(batches), daemon=True).start()
        started.wait()
        print([0, 1])
    """,
}


@pytest.mark.parametrize("where", EXITS)
def test_the_interpreter_exits(slow_path, child_env, where):
    # A thousand seconds of sleep, minutes of decoding: whoever waits for them fails.
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(EXITS[where]), slow_path, "2"],
        env=child_env, capture_output=True, text=True, timeout=40,
    )  # fmt: skip
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "[0, 1]\n")


# ---- fork --------------------------------------------------------------------------------------


def in_child(function):
    """The exit code of a forked process: what `function` returned, 99 if it raised, None if it hangs."""

    def run():
        code = 99
        try:
            code = function()
        finally:
            os._exit(code)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of fork in a process with threads
        child = multiprocessing.get_context("fork").Process(target=run)
        child.start()
    try:
        child.join(20)
        return child.exitcode
    finally:
        child.kill()


def refuses(batches):
    """An iterator that was not made in this process."""
    with contextlib.suppress(RuntimeError):
        next(batches)
        return False
    return True


@pytest.mark.parametrize("started", [False, True])
def test_fork_in_the_middle(batch, prefetch, started):
    skip_forking()
    images = np.stack(batch.images)
    source = ArrayDataSource([fastimg.ImageFileAccessor(batch.paths)])
    batches = source.batch_iterator(4, prefetch=prefetch)
    if started:
        next(batches)

    def child():
        nonlocal batches
        if not refuses(batches) or not refuses(batches):
            return 1
        new = source.batch_iterator(9, prefetch=prefetch)
        pixels = np.concatenate([x for (x,) in new])
        batches.close()
        del batches
        last = np.concatenate([x for (x,) in source.batch_iterator(9, prefetch=prefetch)])
        return 0 if pixels.tobytes() == last.tobytes() == images.tobytes() else 2

    for _ in range(3):
        assert in_child(child) == 0
    # The parent goes on as if nothing had been.
    rest = np.concatenate([x for (x,) in batches])
    assert_same(rest, images[4 * started :])


def test_fork_while_others_consume():
    # Whatever lock the threads hold at the fork must not be one the child waits for.
    source = ArrayDataSource([Numbers(10)], repeats=-1)
    batches = source.batch_iterator(3)
    stop = threading.Event()

    def consume():
        while not stop.is_set():
            next(batches)

    def child():
        if not refuses(batches):
            return 1
        batches.close()
        new = source.batch_iterator(10)
        return 0 if next(new)[0].tolist() == list(range(0, 100, 10)) else 2

    consumers = [threading.Thread(target=consume) for _ in range(2)]
    for thread in consumers:
        thread.start()
    try:
        for _ in range(20):
            assert in_child(child) == 0
    finally:
        stop.set()
        for thread in consumers:
            thread.join()
        batches.close()


def test_a_source_works_in_pool_workers(batch):
    # An iterator that is alive in the parent is nobody's concern in a worker.
    source = ArrayDataSource([np.arange(12)])
    alive = source.batch_iterator(3)
    next(alive)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            results = [pool.apply_async(epoch_of, (12, size)) for size in (3, 5)]
            assert [result.get(PATIENCE) for result in results] == [
                in_batches(range(12), size) for size in (3, 5)
            ]
    assert orders(alive) == in_batches(range(3, 12), 3)


def epoch_of(length, batch_size):
    return orders(ArrayDataSource([np.arange(length)]).batch_iterator(batch_size))
