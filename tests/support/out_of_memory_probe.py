# SPDX-License-Identifier: BSD-3-Clause
"""Let every allocation of a call fail in turn, and print how often it failed: see test_out_of_memory.

    python -m support.out_of_memory_probe FOLDER

tests/core/failing_malloc.c must be preloaded as a shared library. FOLDER holds colour.jpg and grey.jpg; the second
defines fewer tables.
"""

import ctypes
import itertools
import json
import os
import sys

import numpy as np

import fastimg

failing = ctypes.CDLL(None)
failing.failing_malloc_start.argtypes = ctypes.c_long, ctypes.c_bool
failing.failing_malloc_start.restype = None
failing.failing_malloc_stop.restype = ctypes.c_long


def calls(colour, grey):
    """Name -> a call; what it returns is compared."""
    return {
        "decode": lambda: fastimg.decode(grey),
        "decode, resized": lambda: fastimg.decode(grey, size=(9, 17)),
        "read_header": lambda: np.array(fastimg.read_header(grey).shape),
        "load": lambda: fastimg.load([grey, colour, grey], size=(9, 17), num_threads=1),
        "load, threads": lambda: fastimg.load([grey, colour, grey] * 4, size=(9, 17), num_threads=3),
        "load, fill": lambda: fastimg.load([grey, colour, grey], size=(9, 17), on_error="fill"),
        "accessor": lambda: fastimg.ImageFileAccessor([colour, grey], size=(9, 17))[:],
    }


def fail_each(call, expected, colour):
    """Fail allocations 1, 2, 3 ... until there are no more; returns how many calls ran out of memory."""
    failures = 0
    for lasting in (False, True):
        for n in itertools.count(1):
            fastimg.decode(colour)
            found = None
            failing.failing_malloc_start(n, lasting)
            try:
                found = call()
            except (MemoryError, RuntimeError):  # RuntimeError: CPython's, when it has no memory for a lock
                failures += 1
            finally:
                reached = failing.failing_malloc_stop() >= n
            for result in (call(),) if found is None else (found, call()):
                np.testing.assert_array_equal(result, expected)
            if not reached:
                break
    return failures


def main():
    colour, grey = (os.path.join(sys.argv[1], f"{name}.jpg") for name in ("colour", "grey"))
    failures = {}
    for name, call in calls(colour, grey).items():
        failures[name] = fail_each(call, call(), colour)
    print(json.dumps(failures))


if __name__ == "__main__":
    main()
