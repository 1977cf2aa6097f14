# SPDX-License-Identifier: BSD-3-Clause
"""Array-likes, samplers and waits that the tests of `fastimg.data_source` share."""

import os
import threading
import time
import weakref

import numpy as np

import fastimg
from fastimg.data_source import ArrayDataSource

# How long a test waits for what must come; never how long it may take.
PATIENCE = 60

# Values of the fixture `prefetch`, and the number of samples of the fixture `numbers`.
PREFETCH = [0, 1, 2, 5]
N = 23

SEED = 12345  # for orders that are compared with BatchUp's


def wait_until(true):
    """Returns as soon as `true()`, and fails after a minute."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "waited a minute"
        time.sleep(0.0005)


def epoch_order(seed, epoch, length):
    """The order of shuffle=True."""
    return np.random.RandomState(np.random.MT19937(np.random.SeedSequence([seed, epoch]))).permutation(length)


def in_batches(order, batch_size):
    """Lists of indices, the last perhaps short."""
    order = [int(i) for i in order]
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


def orders(batches, position=0):
    """What stands at `position` of each batch, as lists."""
    return [batch[position].tolist() for batch in batches]


def tasks():
    """The threads that the kernel knows."""
    return len(os.listdir("/proc/self/task"))


class Numbers:
    """The least that is an array-like: `len`, and a 1-D int64 array in brackets; its batches are 10 * i."""

    def __init__(self, length):
        self.length, self.asked, self.idents = length, [], []

    def __len__(self):
        return self.length

    def __getitem__(self, indices):
        assert type(indices) is np.ndarray and indices.dtype == np.int64 and indices.ndim == 1
        self.idents.append(threading.get_ident())
        self.asked.append(indices.tolist())
        return indices * 10


class Epochs:
    """An array-like that has epochs: its batches are 1000 * epoch + i."""

    def __init__(self, length, epoch=None):
        self.length, self.epoch = length, epoch

    def __len__(self):
        return self.length

    def __getitem__(self, indices):
        return 1000 * self.epoch + indices

    def with_epoch(self, epoch):
        assert type(epoch) is int
        return Epochs(self.length, epoch)


class Item:
    """A batch of `Counted`; unlike an array it can be referred to weakly on any NumPy."""

    def __init__(self, indices):
        self.indices = indices.tolist()


class Counted:
    """An array-like that counts its batches: all that it made, those alive, and the most alive at once."""

    def __init__(self, length):
        self.length, self.made, self.alive, self.most = length, 0, 0, 0
        self._lock = threading.RLock()

    def __len__(self):
        return self.length

    def __getitem__(self, indices):
        item = Item(indices)
        self.count(item)
        return item

    def count(self, item):
        weakref.finalize(item, self._gone).atexit = False
        with self._lock:
            self.made += 1
            self.alive += 1
            self.most = max(self.most, self.alive)

    def wait_for(self, made):
        wait_until(lambda: self.made >= made)

    def _gone(self):
        with self._lock:
            self.alive -= 1


class Gate:
    """An array-like that stops before a batch until it is let through, and tells that it has come there."""

    def __init__(self, length):
        self.length, self.reached, self.open = length, threading.Event(), threading.Event()

    def __len__(self):
        return self.length

    def __getitem__(self, indices):
        self.reached.set()
        assert self.open.wait(PATIENCE)
        return indices


class Parts:
    """A sampler of given batches, in order or each of them reversed; remembers what it was asked."""

    def __init__(self, *batches, error=None):
        self.batches, self.error, self.asked = batches, error, []

    def in_order_indices_batch_iterator(self, batch_size):
        self.asked.append((batch_size, None))
        for batch in self.batches:
            yield np.array(batch, np.int64)
        if self.error is not None:
            raise self.error

    def shuffled_indices_batch_iterator(self, batch_size, rng):
        self.asked.append((batch_size, rng))
        for batch in self.batches:
            yield np.array(batch, np.int64)[::-1]


class Draws:
    """An endless sampler with replacement, of any rng that has `permutation`."""

    def __init__(self, length):
        self.length = length

    def in_order_indices_batch_iterator(self, batch_size):
        start = 0
        while True:
            yield (np.arange(start, start + batch_size) ** 2) % self.length
            start += batch_size

    def shuffled_indices_batch_iterator(self, batch_size, rng):
        while True:
            yield rng.permutation(self.length)[:batch_size]


def decoded(batch, **options):
    return ArrayDataSource([fastimg.ImageFileAccessor(batch.paths), np.arange(len(batch.paths))], **options)


class Kept:
    """An array-like that keeps the arrays it gave."""

    def __init__(self, values):
        self.values, self.given = values, []

    def __len__(self):
        return len(self.values)

    def __getitem__(self, indices):
        self.given.append(self.values[indices])
        return self.given[-1]
