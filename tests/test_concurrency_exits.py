# SPDX-License-Identifier: BSD-3-Clause
"""Programs that end, and processes that fork, with work under way: the right exit code, in time, and not a word."""

import concurrent.futures
import contextlib
import io
import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
from PIL import Image
from support.data_sources import PATIENCE
from support.jpegs import assert_same, jpeg
from support.processes import skip_forking, status_in_child
from support.reader_objects import Memory

import fastimg
import fastimg.pillow as pillow
from fastimg.data_source import ArrayDataSource

EXTENDED = bool(os.environ.get("FASTIMG_EXTENDED"))

# ---- exits -------------------------------------------------------------------------------------

PROGRAM = """
import os, signal, sys, threading, time
import numpy as np
import fastimg
from fastimg.data_source import ArrayDataSource

path, work, how, delay, daemon = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]), sys.argv[5] == "True"
COUNT = 10000 if daemon and work != "pool" else 30  # whoever is no daemon is waited for, and so are pools
CROP = (472, 0, 8, 8)
begun = threading.Event()

class Reader:
    def __init__(self, thread_safe):
        self.data, self.thread_safe = open(path, "rb").read(), thread_safe
    def __len__(self):
        return COUNT
    def read(self, i):
        begun.set()
        return self.data

def fallback(data):
    begun.set()
    fastimg.load([path] * 8, crop=CROP, num_threads=2)
    return np.zeros((8, 8), np.uint8)

def load(**options):
    out = np.zeros((COUNT, 3, 8, 8), np.uint8)
    if "sources" not in options:
        threading.Thread(target=lambda: [time.sleep(0.001) for _ in range(9)] and begun.set(), daemon=True).start()
    fastimg.load(options.pop("sources", [path] * COUNT), out, **options)

def iterate(**options):
    accessor = fastimg.ImageFileAccessor([path] * COUNT, crop=CROP)
    for batch in ArrayDataSource([accessor]).batch_iterator(4, shuffle=True, **options):
        begun.set()

def pool():
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(3) as threads:
        for _ in threads.map(lambda _: (fastimg.decode(path, crop=CROP), begun.set()), range(COUNT)):
            pass

def many():
    for function in (works["load"], works["iterator"], works["readers"]):
        threading.Thread(target=function, daemon=daemon).start()

works = {
    "load": lambda: load(crop=CROP, num_threads=3),
    "one thread": lambda: load(crop=CROP, num_threads=1),
    "readers": lambda: load(sources=Reader(True), crop=CROP, read_threads=4),
    "reader": lambda: load(sources=Reader(False), crop=CROP),
    "fallback": lambda: load(sources=[b"none"] * COUNT, size=8, fallback=fallback, num_threads=2),
    "iterator": lambda: iterate(prefetch=2),
    "no prefetch": lambda: iterate(prefetch=0),
    "buffers": lambda: iterate(prefetch=3, reuse_buffers=True),
    "pool": pool,
    "many": many,
}
left = iter(())
if work == "left open":
    left = ArrayDataSource([fastimg.ImageFileAccessor([path] * COUNT, crop=CROP)]).batch_iterator(4)
    next(left)
else:
    threading.Thread(target=works[work], daemon=daemon).start()
    begun.wait()
time.sleep(delay)
if how == "exit":
    sys.exit(3)
elif how == "_exit":
    os._exit(4)
elif how == "raise":
    raise ZeroDivisionError("meant")
elif how == "signal":
    os.kill(os.getpid(), signal.SIGTERM)
elif how == "exit in a thread":
    thread = threading.Thread(target=lambda: os._exit(5))
    thread.start()
    thread.join()
"""
WORKS = [
    "load",
    "one thread",
    "readers",
    "reader",
    "fallback",
    "iterator",
    "no prefetch",
    "buffers",
    "pool",
    "many",
]
WORKS.append("left open")
STATUS = {"end": 0, "exit": 3, "_exit": 4, "raise": 1, "signal": -signal.SIGTERM, "exit in a thread": 5}


def exits():
    """Every work ends in every way, as a daemon or not; without FASTIMG_EXTENDED some of them."""
    every = list(itertools.product(WORKS, STATUS, [True, False]))
    return every if EXTENDED else [("many", "end", True), *every[3::33]]


@pytest.mark.parametrize(("work", "how", "daemon"), exits())
def test_exits(slow_path, child_env, work, how, daemon):
    delay = sum(map(ord, work + how)) % 7 * 0.005
    command = [
        sys.executable,
        "-X",
        "faulthandler",
        "-c",
        PROGRAM,
        slow_path,
        work,
        how,
        str(delay),
        str(daemon),
    ]
    done = subprocess.run(command, env=child_env, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (STATUS[how], "")
    if how == "raise":
        assert done.stderr.endswith("\nZeroDivisionError: meant\n") and done.stderr.count("Traceback") == 1
    else:
        assert done.stderr == ""


# ---- forks and pools ---------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 3])
def test_forks_in_the_midst_of_a_batch(batch, threads):
    # By what a batch calls, in whatever thread: the child has none of the others.
    skip_forking()
    small = fastimg.load(batch.data, size=9)
    statuses = []

    def use():
        assert_same(fastimg.load(batch.paths, size=9, num_threads=3, read_threads=2), small)
        (whole,) = next(ArrayDataSource([fastimg.ImageFileAccessor(batch.data, size=9)]).batch_iterator(37))
        assert_same(whole, small)

    class Forks(Memory):
        def read(self, i):
            if i % 12 == 5:
                statuses.append(status_in_child(use))
            return self.items[i]

    def fallback(data):
        statuses.append(status_in_child(use))
        return batch.images[3].transpose(1, 2, 0).copy()

    assert_same(fastimg.load(Forks(batch.data), size=9, num_threads=threads, read_threads=2), small)
    found = fastimg.load([b"none", *batch.data, b"none"], size=9, num_threads=threads, fallback=fallback)
    assert_same(found[1:-1], small)
    assert_same(found[0], found[-1])
    function = ArrayDataSource([np.arange(6)]).map(lambda x: (statuses.append(status_in_child(use)), x))
    assert len(list(function.batch_iterator(3, prefetch=2))) == 2
    assert statuses == [0] * 7


def test_a_fork_while_pillow_is_loaded(batch, monkeypatch):
    # The child must not wait for a lock that a thread of its parent held.
    began, go_on = threading.Event(), threading.Event()

    def init():
        began.set()
        go_on.wait(PATIENCE)

    png = a_png()
    monkeypatch.setattr(pillow, "_formats", [])
    monkeypatch.setattr(Image, "init", init)
    thread = threading.Thread(target=fastimg.decode, args=(png,), kwargs={"fallback": "pillow"})
    thread.start()
    assert began.wait(PATIENCE)
    threading.Timer(0.05, go_on.set).start()
    assert status_in_child(lambda: fastimg.decode(png, fallback="pillow")) == 0
    thread.join(PATIENCE)


def a_png():
    file = io.BytesIO()
    Image.fromarray(np.zeros((5, 7, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


def load_and_sum(paths):
    return int(fastimg.load(paths, size=9, num_threads=2).sum())


@pytest.mark.parametrize("method", ["fork", *["spawn", "forkserver"] * EXTENDED])  # as in test_threads
def test_processes_started_by_threads(batch, method):
    # A pool of processes in each thread of a pool, while others decode.
    expected = load_and_sum(batch.paths)
    stop = threading.Event()

    def busy():
        while not stop.is_set():
            load_and_sum(batch.paths)

    def start(_):
        context = multiprocessing.get_context(method)
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as processes:
            return processes.submit(load_and_sum, batch.paths).result(PATIENCE)

    others = [threading.Thread(target=busy) for _ in range(2)]
    for thread in others:
        thread.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            with concurrent.futures.ThreadPoolExecutor(2) as threads:
                assert list(threads.map(start, range(2))) == [expected] * 2
    finally:
        stop.set()
        for thread in others:
            thread.join()


def test_what_a_child_inherits(batch):
    # Accessors and sources work; an iterator says that it does not.
    small = fastimg.load(batch.data, size=9)
    accessor = fastimg.ImageFileAccessor(batch.paths, size=9, num_threads=2)
    crops = fastimg.ImageFileAccessor(Memory(batch.data)).random_resized_crop(9)
    source = ArrayDataSource([accessor, crops], seed=1)
    boxes = crops[:]
    iterators = [source.batch_iterator(5, prefetch=prefetch) for prefetch in (0, 2)]
    for each in iterators:
        next(each)

    def use():
        for each in iterators:
            with contextlib.suppress(RuntimeError):
                next(each)
                raise AssertionError("an inherited iterator gave a batch")
            each.close()
        iterators.clear()
        assert_same(accessor[:], small)
        assert_same(crops[:], boxes)
        assert len(list(source.batch_iterator(5, shuffle=True))) == 8

    assert status_in_child(use) == 0
    assert [len(list(each)) for each in iterators] == [7, 7]


# ---- subinterpreters ---------------------------------------------------------------------------


def test_a_subinterpreter(child_env):
    # Either fastimg works in it, or it says at import that it, or NumPy, does not.
    code = """
import sys
import fastimg
name = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
interpreters = __import__(name)
script = '''
try:
    import fastimg
except ImportError:
    pass
else:
    assert fastimg.decode(bytes.fromhex("DATA")).shape == (3, 24, 31)
'''
ident = interpreters.create()
interpreters.run_string(ident, script.replace("DATA", sys.argv[1]))
assert fastimg.decode(bytes.fromhex(sys.argv[1])).shape == (3, 24, 31)
interpreters.destroy(ident)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, jpeg().hex()], env=child_env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
