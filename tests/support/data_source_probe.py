# SPDX-License-Identifier: BSD-3-Clause
"""Start many iterators, end each after a batch, and print, as JSON, what is left: see test_data_source_processes.

    python -m support.data_source_probe MANNER COUNT PATH...

The last PATH cannot be decoded.
"""

import json
import os
import sys
import threading
import time

import numpy as np

import fastimg
from fastimg.data_source import ArrayDataSource
from support.leak_probe import resident

WARM_UP = 200


def drop(source, turn):
    next(source.batch_iterator(4, True, prefetch=turn % 4))


def close(source, turn):
    batches = source.batch_iterator(4, 5, reuse_buffers=turn % 2 == 0)
    next(batches)
    batches.close()


def leave(source, turn):
    for _ in source.map(lambda x, y: x).batch_iterator(4):
        break


def never_start(source, turn):
    source.batch_iterator(4)


def fail(source, turn):
    try:
        for _ in source.subset([0, 1, 2, -1, 3, 4]).batch_iterator(3, prefetch=turn % 4):
            pass
    except fastimg.TruncatedJpegError:
        return
    raise AssertionError("no error")


def finish(source, turn):
    assert len(list(source.subset(slice(4)).batch_iterator(2))) == 2


MANNERS = {function.__name__: function for function in (drop, close, leave, never_start, fail, finish)}


def settled(tasks):
    """The number of threads: one that was joined may be about to leave the kernel's list."""
    end = time.monotonic() + 10
    while len(os.listdir("/proc/self/task")) > tasks and time.monotonic() < end:
        time.sleep(0.001)
    return len(os.listdir("/proc/self/task"))


def main():
    manner, count, paths = MANNERS[sys.argv[1]], int(sys.argv[2]), sys.argv[3:]
    source = ArrayDataSource([fastimg.ImageFileAccessor(paths), np.arange(len(paths))])
    if manner is not fail:
        source = source.subset(slice(-1))
    tasks, names = len(os.listdir("/proc/self/task")), []
    for turn in range(WARM_UP):
        manner(source, turn)
    before, files = resident(), len(os.listdir("/proc/self/fd"))
    for turn in range(count):
        manner(source, turn)
        names += [thread.name for thread in threading.enumerate()[1:]]
    growth, files = resident() - before, len(os.listdir("/proc/self/fd")) - files
    print(json.dumps({"growth": growth, "files": files, "names": names, "tasks": settled(tasks) - tasks}))


if __name__ == "__main__":
    main()
