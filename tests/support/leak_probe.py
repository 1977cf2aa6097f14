# SPDX-License-Identifier: BSD-3-Clause
"""Run one call many times and print, as JSON, how the process grew: see test_leaks.

    python -m support.leak_probe OUTCOME FOLDER CALLS

FOLDER holds good.jpg, truncated.jpg, text.jpg and large.jpg.
"""

import gc
import itertools
import json
import os
import sys

import numpy as np

import fastimg

PAGE = os.sysconf("SC_PAGE_SIZE")
WARM_UP = 2000


def resident():
    """Bytes of this process that are in memory."""
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * PAGE


def outcomes(folder):
    """Name -> (call, the error that each must raise)"""
    good = os.path.join(folder, "good.jpg")
    truncated, text, large = (os.path.join(folder, f"{name}.jpg") for name in ("truncated", "text", "large"))
    missing = os.path.join(folder, "missing.jpg")
    out = np.empty((3, 8, 8), np.uint8)
    frozen = np.empty((3, 8, 8), np.uint8)
    frozen.flags.writeable = False
    wrong_shape, wrong_dtype = np.empty((3, 8, 9), np.uint8), np.empty((3, 8, 8), np.int16)
    four = [good] * 4
    accessor = fastimg.ImageFileAccessor(four)
    augmented, epochs = accessor.random_resized_crop(4), itertools.count()
    return {
        "good": (lambda: fastimg.decode(good), None),
        "good, out": (lambda: fastimg.decode(good, out), None),
        "good, float": (lambda: fastimg.decode(good, dtype="float32", mean=(1, 2, 3), std=(1, 2, 3)), None),
        "truncated": (lambda: fastimg.decode(truncated), fastimg.TruncatedJpegError),
        "truncated, lenient": (lambda: fastimg.decode(truncated, strict=False), None),
        "not JPEG": (lambda: fastimg.decode(text), fastimg.UnsupportedJpegError),
        "wrong out shape": (lambda: fastimg.decode(good, wrong_shape), ValueError),
        "wrong dtype": (lambda: fastimg.decode(good, wrong_dtype), TypeError),
        "read-only out": (lambda: fastimg.decode(good, frozen), ValueError),
        "bad option": (lambda: fastimg.decode(good, mode="P"), ValueError),
        "over the limit": (lambda: fastimg.decode(large), fastimg.ImageTooLargeError),
        "missing file": (lambda: fastimg.decode(missing), FileNotFoundError),
        "header": (lambda: fastimg.read_header(good), None),
        "load": (lambda: fastimg.load(four, num_threads=2), None),
        "load, error": (lambda: fastimg.load([*four, missing], num_threads=2), FileNotFoundError),
        "accessor": (lambda: accessor[[3, 1]], None),
        "random resized crop": (lambda: augmented.with_epoch(next(epochs))[[3, 1]], None),
    }


def repeat(call, error, count):
    """How many of `count` calls ended as they must."""
    right = 0
    for _ in range(count):
        try:
            call()
            right += error is None
        except Exception as raised:
            right += error is not None and isinstance(raised, error)
    return right


def main():
    name, folder, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    call, error = outcomes(folder)[name]
    right = repeat(call, error, min(WARM_UP, count))
    before, files = resident(), len(os.listdir("/proc/self/fd"))
    right += repeat(call, error, count)
    growth, files = resident() - before, len(os.listdir("/proc/self/fd")) - files
    print(json.dumps({"growth": growth, "files": files, "wrong": count + min(WARM_UP, count) - right}))


if __name__ == "__main__":
    main()
