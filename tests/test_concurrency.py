# SPDX-License-Identifier: BSD-3-Clause
"""Many threads: all kinds of calls at once, calls within calls, small stacks, signals, and threads without end."""

import concurrent.futures
import gc
import os
import signal
import sys
import threading
import time

import numpy as np
import pytest
from PIL import Image
from stress import Stress, surroundings
from support import jpegs
from support.data_sources import PATIENCE
from support.jpegs import assert_same
from support.leak_probe import resident
from support.reader_objects import Memory, no_thread_left
from support.sanitizers import skip_measuring
from support.stress_work import OPTIONS, Work

import fastimg
import fastimg.options
import fastimg.pillow as pillow
from fastimg.data_source import ArrayDataSource
from fastimg.epochs import EpochCounter
from fastimg.source_readers import SourceReader

EXTENDED = bool(os.environ.get("FASTIMG_EXTENDED"))


# ---- everything at once ------------------------------------------------------------------------


def test_everything_at_once():
    with surroundings() as folder, no_thread_left():
        stress = Stress(Work(folder), threads=8, decodes=10000 if EXTENDED else 120)
        stress.run()
    assert stress.wrong == []
    assert stress.counts.total() >= 8 * 120


def test_every_option_is_among_them():
    named = {name for options in OPTIONS for name in options}
    assert {option.name for option in fastimg.options._SHARED} == named - {"crop", "flip"}


# ---- calls within calls ------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 3])
def test_calls_within_calls(batch, threads):
    # From a fallback, a reader, progress and on_error; each of these is called in the midst of a batch.
    images = np.stack(batch.images)
    small = fastimg.load(batch.data, size=9)
    pool = concurrent.futures.ThreadPoolExecutor(2)

    def load_in_pool():
        return pool.submit(fastimg.load, batch.paths, size=9, num_threads=threads).result(PATIENCE)

    class Nested(Memory):
        def read(self, i):
            if i % 9 == 0:
                assert_same(load_in_pool(), small)
                assert_same(fastimg.load(Memory(self.items[:4]), num_threads=threads), images[:4])
            return self.items[i]

    def fallback(data):
        assert_same(load_in_pool(), small)
        batches = ArrayDataSource([fastimg.ImageFileAccessor(batch.paths, size=9)]).batch_iterator(9)
        return np.concatenate([each for (each,) in batches])[3].transpose(1, 2, 0).copy()

    errors = []

    def on_error(error):
        assert_same(load_in_pool(), small)
        errors.append(error.index)

    with no_thread_left(), pool:
        assert_same(
            fastimg.load(Nested(batch.data), size=9, num_threads=threads, progress=lambda *_: load_in_pool()),
            small,
        )
        found = fastimg.load([b"none", *batch.data], size=9, fallback=fallback, num_threads=threads)
        assert_same(found, np.stack([small[3], *small]))
        found = fastimg.load([*batch.data, b"none"], size=9, on_error=on_error, num_threads=threads)
        assert_same(found[:-1], small)
        assert errors == [37]


# ---- what threads share ------------------------------------------------------------------------


def test_threads_name_epochs_of_one_source(monkeypatch):
    # Another thread names an epoch between this one's words.
    source = ArrayDataSource([np.arange(50)], seed=3)
    expected = next(source.batch_iterator(50, True, epoch=3))[0]
    name = EpochCounter.set

    def name_two(self, number):
        name(self, number)
        name(self, number + 1)

    monkeypatch.setattr(EpochCounter, "set", name_two)
    assert_same(next(source.batch_iterator(50, True, epoch=3))[0], expected)


def test_formats_come_all_at_once(monkeypatch):
    seen = []

    class Open(dict):
        def __getitem__(self, name):
            seen.append(len(formats))
            return super().__getitem__(name)

    formats = []
    monkeypatch.setattr(pillow, "_formats", formats)
    monkeypatch.setattr(Image, "OPEN", Open(Image.OPEN))
    assert pillow._all_formats() is formats and len(formats) == len(Image.ID) == len(seen)
    assert set(seen) == {0}


class SlowToCopy(Memory):
    thread_safe = False

    def __setstate__(self, state):
        time.sleep(0.02)
        self.items = state["items"]


def test_threads_of_a_new_process_agree_on_a_reader(monkeypatch):
    reader = SourceReader.of(SlowToCopy([b"0"]))
    first = reader.here()
    pid = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: pid + 1)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = [each.result(PATIENCE) for each in [pool.submit(reader.here) for _ in range(4)]]
    assert len({id(made) for made, _ in found}) == len({id(lock) for _, lock in found}) == 1
    assert found[0][0] is not first[0] and found[0][1] is not first[1]
    assert found[0] == reader.here()


# ---- stacks, signals, and many threads ---------------------------------------------------------


def hard_files():
    """What takes most of the stack: every kind of scan and of error."""
    yield from (jpegs.jpeg(64, 80, kind, progressive=i % 2 == 1) for i, kind in enumerate(jpegs.SUBSAMPLINGS))
    yield jpegs.arithmetic(jpegs.pixels(64, 80))
    yield jpegs.pillow(jpegs.pixels(64, 80, 4))
    yield jpegs.oriented(jpegs.jpeg(64, 80), 6)
    yield jpegs.truncated(jpegs.jpeg(64, 80))
    yield jpegs.many_scans(100)


@pytest.mark.skipif("san" in os.environ.get("LD_PRELOAD", ""), reason="sanitizers widen frames")
@pytest.mark.parametrize("nbytes", [128, 256])
def test_small_stacks(batch, nbytes):
    files = list(hard_files())
    options = [{}, {"size": 16}, {"size": 500, "resample": "lanczos"}, {"strict": False, "dtype": "float32"}]

    def work():
        for each in options:
            for data in files:
                try:
                    done.append(fastimg.decode(data, **each).shape)
                except fastimg.JpegError:
                    done.append(None)
            fastimg.load(files, views=[{"size": 16}, {"size": 9}], on_error=errors.append, num_threads=2)
        done.append(fastimg.load(batch.paths, num_threads=2, read_threads=2).tobytes())

    done, errors = [], []
    old = threading.stack_size(nbytes * 1024)
    try:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(PATIENCE)
    finally:
        threading.stack_size(old)
    assert len(done) == len(options) * len(files) + 1 and done.count(None) == len(options) - 1
    assert done[-1] == np.stack(batch.images).tobytes()


def test_a_storm_of_signals(batch):
    # To whatever thread uses the CPU, and to those that read and decode.
    rings, idents = [], set()
    numbers = signal.SIGPROF, signal.SIGVTALRM, signal.SIGUSR1
    old = [signal.signal(number, lambda *_: rings.append(1)) for number in numbers]

    class Pelted(Memory):
        def read(self, i):
            idents.add(threading.get_ident())
            signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
            return self.items[i]

    expected, small = np.stack(batch.images), fastimg.load(batch.paths, size=9)
    source = ArrayDataSource([fastimg.ImageFileAccessor(batch.paths, size=9)])
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.001, 0.001)
    signal.setitimer(signal.ITIMER_PROF, 0.001, 0.0011)
    try:
        while len(rings) < 200:
            assert_same(fastimg.load(batch.paths, num_threads=2, read_threads=2), expected)
            assert_same(fastimg.load(Pelted(batch.data), num_threads=2), expected)
            assert_same(np.concatenate([each for (each,) in source.batch_iterator(5)]), small)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        for number, handler in zip(numbers, old, strict=True):
            signal.signal(number, handler)
    assert idents - {threading.get_ident()}


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_thousand_threads_in_a_row(batch):
    # Whatever belongs to a thread ends with it.
    skip_measuring("the memory of threads")

    def work():
        assert_same(fastimg.decode(batch.data[3]), batch.images[3])
        fastimg.load(batch.data[:2], num_threads=2)

    def run(count):
        for _ in range(count):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        gc.collect()
        return resident()

    with no_thread_left():
        before = run(200)
        assert run(1000 if EXTENDED else 500) - before < 1 << 20
