# SPDX-License-Identifier: BSD-3-Clause
"""Calls on a machine that has too little of something: they succeed or say so, and the next ones are right.

    python -m support.scarcity_probe WHAT FOLDER

WHAT is "threads": the start of thread 1, 2, 3, ... fails, once and from then on (tests/core/failing_threads.c must be
preloaded); "descriptors": so many more files can be opened; "memory": the address space may grow by so much, while 64
threads read. FOLDER holds JPEG files of one size. It prints how many calls failed, and how many there were.
"""

import contextlib
import ctypes
import errno
import json
import os
import resource
import sys

import numpy as np

import fastimg
from fastimg.data_source import ArrayDataSource
from support.data_sources import tasks, wait_until
from support.reader_objects import Memory


def epoch(accessor, **options):
    """The batches of one epoch as one array."""
    with ArrayDataSource([accessor]).batch_iterator(4, **options) as batches:
        return np.concatenate([images for (images,) in batches])


def calls(paths):
    """Name -> a call that makes images."""
    data = Memory([open(path, "rb").read() for path in paths])  # noqa: SIM115
    many = {"size": 9, "num_threads": 4, "read_threads": 64}
    accessor = fastimg.ImageFileAccessor(paths, **many)
    few = fastimg.ImageFileAccessor(paths, size=9)
    return {
        "decode": lambda: fastimg.decode(paths[0], num_threads=4),
        "load": lambda: fastimg.load(paths, on_error="fill", **many),
        "load, headers": lambda: fastimg.load(paths, num_threads=4, read_threads=8),
        "reader": lambda: fastimg.load(data, on_error="fill", **many),
        "accessor": lambda: accessor[:],
        "iterator": lambda: epoch(few, prefetch=3, on_error="drop"),
        "iterator, reading ahead": lambda: epoch(accessor, prefetch=2, read_threads=64),
        "headers": lambda: np.array([each.shape for each in fastimg.read_headers(paths, num_threads=4)]),
    }


@contextlib.contextmanager
def limited(what, value):
    """No more than `value` of a resource."""
    soft, hard = resource.getrlimit(what)
    resource.setrlimit(what, (value, hard))
    try:
        yield
    finally:
        resource.setrlimit(what, (soft, hard))


def address_space():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


@contextlib.contextmanager
def without_threads(n, lasting, seen):
    library = ctypes.CDLL(None)
    library.failing_threads_start.argtypes = ctypes.c_long, ctypes.c_bool
    library.failing_threads_start(n, lasting)
    try:
        yield
    finally:
        seen.append(library.failing_threads_stop() >= n)


def shortages(what):
    """Contexts in which there is too little, one after the other."""
    if what == "descriptors":
        for more in range(7):
            yield limited(resource.RLIMIT_NOFILE, len(os.listdir("/proc/self/fd")) - 1 + more)
    elif what == "memory":
        for more in (0, 1, 4, 16, 64, 256, 1024):
            yield limited(resource.RLIMIT_AS, address_space() + (more << 20))
    else:
        for lasting in (False, True):
            seen, n = [True], 0
            while seen[-1]:
                n += 1
                yield without_threads(n, lasting, seen)


def is_clean(error):
    """Whether an exception says what is missing."""
    if isinstance(error, OSError):
        return error.errno in (errno.EMFILE, errno.ENOMEM)
    return isinstance(error, MemoryError) or "can't start new thread" in str(error)


def main():
    what, folder = sys.argv[1:]
    paths = sorted(os.path.join(folder, name) for name in os.listdir(folder))
    cases = failures = 0
    for name, call in calls(paths).items():
        if what == "memory" and name.startswith("iterator"):
            continue  # Thread.start() of the standard library waits for ever for a thread that had no memory to begin
        expected = call()
        idle = tasks()
        for shortage in shortages(what):
            found = None
            try:
                with shortage:
                    found = call()
            except (OSError, MemoryError, RuntimeError) as error:
                assert is_clean(error), (name, error)
                failures += 1
            wait_until(lambda idle=idle: tasks() <= idle)
            for result in (call(),) if found is None else (found, call()):
                np.testing.assert_array_equal(result, expected, name)
            cases += 1
    print(json.dumps([failures, cases]))


if __name__ == "__main__":
    main()
