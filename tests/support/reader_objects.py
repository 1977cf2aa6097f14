# SPDX-License-Identifier: BSD-3-Clause
"""Objects with `__len__` and `read(i)`: of bytes in memory, slow, watched, broken; and all that takes them.

They are picklable, and can be imported in child processes.
"""

import contextlib
import os
import threading
import time
import weakref

import numpy as np

import fastimg
from fastimg.data_source import ArrayDataSource
from support.data_sources import PATIENCE, tasks, wait_until


class Memory:
    """The least that is a reader."""

    def __init__(self, items):
        self.items = list(items)

    def __len__(self):
        return len(self.items)

    def read(self, i):
        return self.items[i]


class Named(Memory):
    def name(self, i):
        return f"record {i}"


class Sized(Memory):
    def nbytes(self, i):
        return len(self.items[i])


class Watched(Memory):
    """Knows what was read, by which threads, and how many reads there were at once; each takes `seconds`."""

    def __init__(self, items, seconds=0):
        super().__init__(items)
        self.seconds = seconds
        self._forget()

    def _forget(self):
        self.asked, self.idents, self.now, self.most = [], set(), 0, 0
        self._lock = threading.Lock()

    def __getstate__(self):
        return self.items, self.seconds

    def __setstate__(self, state):
        self.items, self.seconds = state
        self._forget()

    def read(self, i):
        assert type(i) is int
        with self._lock:
            self.asked.append(i)
            self.idents.add(threading.get_ident())
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            return self.give(i)
        finally:
            with self._lock:
                self.now -= 1

    def give(self, i):
        if self.seconds:
            time.sleep(self.seconds)
        return self.items[i]


class Alone(Watched):
    """Must never be called twice at once."""

    thread_safe = False


class Meeting(Watched):
    """The first `parties` reads wait for one another: they must all be under way at once."""

    def __init__(self, items, parties):
        super().__init__(items)
        self.barrier = threading.Barrier(parties, timeout=PATIENCE)
        self.left = parties

    def give(self, i):
        with self._lock:
            self.left -= 1
            meet = self.left >= 0
        if meet:
            self.barrier.wait()
        return self.items[i]


class Broken(Watched):
    """Raises `errors[i]`, a class or an exception, instead of item i, after `delays[i]` seconds."""

    def __init__(self, items, errors, delays=None):
        super().__init__(items)
        self.errors, self.delays = errors, delays or {}

    def give(self, i):
        time.sleep(self.delays.get(i, 0))
        if i in self.errors:
            raise self.errors[i]
        return self.items[i]


class Held(Sized):
    """Gives fresh arrays, and counts the bytes of those that were asked for and not let go of yet."""

    def __init__(self, items):
        super().__init__(items)
        self.bytes, self.count, self.most, self.most_count, self.most_of_many = 0, 0, 0, 0, 0
        self._lock = threading.RLock()  # an array may die while it is held

    def read(self, i):
        size = len(self.items[i])
        self._add(size)
        array = np.frombuffer(self.items[i], np.uint8).copy()
        weakref.finalize(array, self._add, -size).atexit = False
        return array

    def _add(self, size):
        with self._lock:
            self.bytes += size
            self.count += 1 if size > 0 else -1
            self.most = max(self.most, self.bytes)
            self.most_count = max(self.most_count, self.count)
            if self.count > 1:
                self.most_of_many = max(self.most_of_many, self.bytes)


class OfProcess(Memory):
    """Like a connection: works only in the process that made it, and knows how often it was made there."""

    made = 0

    def __init__(self, items):
        super().__init__(items)
        self._open()

    def _open(self):
        type(self).made += 1
        self.pid = os.getpid()

    def __getstate__(self):
        return self.items

    def __setstate__(self, items):
        self.items = items
        self._open()

    def read(self, i):
        if self.pid != os.getpid():
            raise RuntimeError(f"made in process {self.pid}, read in {os.getpid()}")
        return self.items[i]


# ---- what takes them ---------------------------------------------------------------------------


def _batches(sources, batch_size=5, **options):
    reading = {name: options.pop(name) for name in ("read_threads", "read_ahead") if name in options}
    accessor = fastimg.ImageFileAccessor(sources, **options)
    batches = ArrayDataSource([accessor]).batch_iterator(batch_size, **reading)
    return [image for (images,) in batches for image in images]


# Name -> a function of sources and options, which gives a list of images.
WAYS = {
    "load": lambda sources, **options: list(fastimg.load(sources, **options)),
    "accessor": lambda sources, **options: list(fastimg.ImageFileAccessor(sources, **options)[:]),
    "mixed accessor": lambda sources, **options: fastimg.NonUniformImageFileAccessor(sources, **options)[:],
    "iterator": _batches,
}


@contextlib.contextmanager
def no_thread_left():
    """There are as many threads after the block as before it.

    The kernel may know a thread that was joined for another moment.
    """
    before = tasks()
    yield
    wait_until(lambda: tasks() <= before)
