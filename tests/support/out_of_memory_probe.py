# SPDX-License-Identifier: BSD-3-Clause
"""Let every allocation of a call fail in turn, and print how often it failed: see test_out_of_memory.

    python -m support.out_of_memory_probe FOLDER WHOSE STRIDE [NAME ...]

tests/core/failing_malloc.c must be preloaded as a shared library. FOLDER holds colour.jpg and grey.jpg; the second
defines fewer tables. WHOSE allocations fail: "thread", all that the main thread makes with malloc; "core", those of the
extension and libjpeg-turbo in any thread; or "objects", those of Python's own allocators, each once. Of every STRIDE
allocations one fails. The names are those of calls; without any, all of them.

What the interpreter and NumPy cannot do without memory is no matter here: they forget an error, or to close a file.
"""

import _testcapi
import ctypes
import gc
import itertools
import json
import os
import sys
import tarfile
import warnings
import zipfile
from pathlib import Path

import numpy as np

import fastimg
from fastimg.data_source import ArrayDataSource
from support.data_sources import tasks, wait_until
from support.reader_objects import Memory

SIZE = (9, 17)

#: "objects": so many in a row that failed without a sign are taken for the end of the call.
QUIET = 120

PACKAGE = os.path.dirname(fastimg.__file__)

failing = ctypes.CDLL(None)
failing.failing_malloc_start.argtypes = ctypes.c_long, ctypes.c_bool
failing.failing_malloc_start_in.argtypes = ctypes.c_char_p, ctypes.c_char_p, ctypes.c_long, ctypes.c_bool
failing.failing_malloc_start.restype = failing.failing_malloc_start_in.restype = None
failing.failing_malloc_stop.restype = failing.failing_malloc_live.restype = ctypes.c_long


def read_archives(folder, files):
    """A tar and a zip archive of the files, the second deflated."""
    names = [os.path.join(folder, name) for name in ("files.tar", "files.zip")]
    with tarfile.open(names[0], "w") as tar, zipfile.ZipFile(names[1], "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            tar.add(file, os.path.basename(file))
            archive.write(file, os.path.basename(file))
    return names


def epoch(accessor, **options):
    """The batches of one epoch as one array."""
    with ArrayDataSource([accessor]).batch_iterator(2, **options) as batches:
        return np.concatenate([images for (images,) in batches])


def half(data):
    """A fallback, of which grey pixels come."""
    return np.full((20, 30, 3), data[0], np.uint8)


def calls(folder, colour, grey):
    """Name -> a call; what it returns is compared."""
    paths = [grey, colour, grey]
    data = [Path(path).read_bytes() for path in paths]
    tar, archive = read_archives(folder, paths[:2])
    views = [{"size": SIZE}, {"size": (7, 5), "crop": (0, 0, 20, 20)}]
    options = {"size": SIZE, "num_threads": 1}
    accessor = fastimg.ImageFileAccessor(paths, **options)
    mixed = fastimg.NonUniformImageFileAccessor(paths, num_threads=1)
    crops = fastimg.ImageFileAccessor(paths, num_threads=1).random_resized_crop(9)
    return {
        "decode": lambda: fastimg.decode(grey),
        "decode, bytes": lambda: fastimg.decode(data[1], dtype="float32"),
        "decode, resized": lambda: fastimg.decode(grey, size=SIZE),
        "decode, threads": lambda: fastimg.decode(colour, num_threads=3),
        "read_header": lambda: np.array(fastimg.read_header(grey).shape),
        "read_headers": lambda: np.array([each.shape for each in fastimg.read_headers(paths)]),
        "load": lambda: fastimg.load(paths, **options),
        "load, threads": lambda: fastimg.load(paths * 4, size=SIZE, num_threads=3, read_threads=2),
        "load, fill": lambda: fastimg.load(paths, on_error="fill", **options),
        "load, views": lambda: np.concatenate([each.ravel() for each in fastimg.load(paths, views=views)]),
        "load, fallback": lambda: fastimg.load([grey, b"none"], fallback=half, **options),
        "accessor": lambda: fastimg.ImageFileAccessor(paths, **options)[:],
        "accessor, int": lambda: accessor[1],
        "mixed": lambda: np.concatenate([each.ravel() for each in mixed[:]]),
        "crops": lambda: crops[:],
        "reader": lambda: fastimg.load(Memory(data), **options),
        "tar": lambda: fastimg.load(fastimg.archive_members(tar), **options),
        "zip": lambda: fastimg.load(fastimg.archive_members(archive), **options),
        "iterator": lambda: epoch(accessor, prefetch=0, on_error="fill"),
        "iterator, ahead": lambda: epoch(accessor, prefetch=2, read_threads=2, on_error="drop"),
    }


def complain_of_own(unraisable):
    """Print what went wrong out of anybody's sight, in this package's code."""
    step = unraisable.exc_traceback
    while step and step.tb_next:
        step = step.tb_next
    if step is None or PACKAGE in step.tb_frame.f_code.co_filename:
        sys.__unraisablehook__(unraisable)


class Failing:
    """Allocation n fails while its block runs, and with `lasting` all that follow."""

    def __init__(self, whose, n, lasting):
        self.whose, self.n, self.lasting = whose, n, lasting
        self.reached = None

    def __enter__(self):
        if self.whose == "objects":
            _testcapi.set_nomemory(self.n, self.n + 1)
        elif self.whose == "core":
            failing.failing_malloc_start_in(b"_decode.", b"libjpeg", self.n, self.lasting)
        else:
            failing.failing_malloc_start(self.n, self.lasting)
        return self

    def __exit__(self, *_):
        if self.whose == "objects":
            _testcapi.remove_mem_hooks()
        else:
            self.reached = failing.failing_malloc_stop() >= self.n


def fail_each(call, expected, colour, whose, stride):
    """Fail allocations 1, 2, 3 ... until there are no more; returns how many there were, and how many calls failed."""
    cases = failures = 0
    for lasting in (False,) if whose == "objects" else (False, True):
        quiet = 0
        for n in itertools.count(1, stride):
            fastimg.decode(colour)
            found = None
            failing_now = Failing(whose, n, lasting)
            try:
                with failing_now:
                    found = call()
            except MemoryError:
                failures += 1
            except (RuntimeError, SystemError) as error:
                # CPython has no memory for a lock or a thread; it and NumPy fail without an exception here and there.
                text = str(error)
                if "fastimg" in text or not any(words in text for words in ("thread", "lock", "without")):
                    raise
                failures += 1
            for result in (call(),) if found is None else (found, call()):
                np.testing.assert_array_equal(result, expected)
            quiet = quiet + stride if found is not None else 0
            if not failing_now.reached and (whose != "objects" or quiet > QUIET):
                break
            cases += 1
    return cases, failures


def main():
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", ResourceWarning)
    sys.unraisablehook = complain_of_own
    folder, whose, stride, *names = sys.argv[1:]
    colour, grey = (os.path.join(folder, f"{name}.jpg") for name in ("colour", "grey"))
    counts = {}
    for name, call in calls(folder, colour, grey).items():
        if names and name not in names:
            continue
        if whose == "objects" and name == "iterator, ahead":
            continue  # Thread.start() of the standard library waits for ever for a thread that had no memory to begin
        expected = call()
        call()
        gc.collect()
        live, descriptors, threads = failing.failing_malloc_live(), len(os.listdir("/proc/self/fd")), tasks()
        cases, failures = fail_each(call, expected, colour, whose, int(stride))
        gc.collect()
        wait_until(lambda threads=threads: tasks() <= threads)
        assert len(os.listdir("/proc/self/fd")) == descriptors, name
        counts[name] = cases, failures, failing.failing_malloc_live() - live
    print(json.dumps(counts))


if __name__ == "__main__":
    main()
