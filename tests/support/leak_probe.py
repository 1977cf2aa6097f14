# SPDX-License-Identifier: BSD-3-Clause
"""Run calls many times and print, as JSON, how the process grew with each: see test_leaks.

    python -m support.leak_probe FOLDER CALLS OUTCOME...

FOLDER is one of `leak_outcomes.write_files`. An outcome that costs more is called less often, unless there is one only.
"""

import ctypes
import gc
import itertools
import json
import os
import resource
import sys
import threading

from support.leak_outcomes import COSTS, leaks, outcomes, paths

PAGE = os.sysconf("SC_PAGE_SIZE")


class _Mallinfo2(ctypes.Structure):
    _fields_ = [(f"_{i}", ctypes.c_size_t) for i in range(4)] + [
        ("hblkhd", ctypes.c_size_t),  # mapped one by one
        *((f"_{i}", ctypes.c_size_t) for i in range(5, 7)),
        ("uordblks", ctypes.c_size_t),  # of all arenas
        *((f"_{i}", ctypes.c_size_t) for i in range(8, 10)),
    ]


try:
    _mallinfo2 = ctypes.CDLL(None).mallinfo2
    _mallinfo2.restype = _Mallinfo2
except AttributeError:  # before glibc 2.33, or another C library
    _mallinfo2 = None


def resident():
    """Bytes of this process that are in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * PAGE


def in_use():
    """Bytes that malloc has given and not got back: with PYTHONMALLOC=malloc, also those of Python's own objects."""
    if _mallinfo2 is None:
        return None
    info = _mallinfo2()
    return info.uordblks + info.hblkhd


def state():
    gc.collect()
    return {
        "resident": resident(),
        "in_use": in_use(),
        "files": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
        "tasks": len(os.listdir("/proc/self/task")),
    }


def repeat(call, error, count):
    """How many of `count` calls did not end as they must."""
    wrong = 0
    for _ in range(count):
        try:
            call()
            wrong += error is not None
        except BaseException as raised:
            wrong += error is None or not isinstance(raised, error)
    return wrong


def measure(call, error, count):
    """What there is more of after `count` calls, and how many of them ended in another way.

    For memory in use that is the lesser growth of the two halves: what is made once, at any time, is no leak.
    """
    half = count // 2
    wrong = repeat(call, error, max(20, count // 10))
    states = [state()]
    for _ in range(2):
        wrong += repeat(call, error, half)
        states.append(state())
    more = {key: states[2][key] - states[0][key] for key in states[0] if key != "in_use"}
    if _mallinfo2 is not None:
        more["in_use"] = min(
            after["in_use"] - before["in_use"] for before, after in itertools.pairwise(states)
        )
    return {**more, "wrong": wrong, "calls": 2 * half}


def allowed(calls):
    """Bytes in use that half of the calls may leave: 13 per call, and what caches may take in that time.

    The least that malloc gives is 32 bytes: an object per call is seen from 128 of them on.
    """
    return max(4096, 13 * (calls // 2))


def measure_again(call, error, count):
    """Measure up to ten times: caches, as of Pillow, stop to grow at some time, and a leak does not."""
    for _ in range(10):
        result = measure(call, error, count)
        if result.get("in_use", 0) <= allowed(count):
            break
    return result


def main():
    folder, count, *names = sys.argv[1:]
    if "LD_PRELOAD" not in os.environ:  # sanitizers need all of it
        resource.setrlimit(resource.RLIMIT_AS, (1 << 38, 1 << 38))
    table = outcomes(folder) | leaks(paths(folder))
    results = {}
    for name in names:
        calls = int(count) // (COSTS.get(name, 1) if len(names) > 1 else 1)
        results[name] = measure_again(*table[name], max(calls, 40))
    print(json.dumps(results))


if __name__ == "__main__":
    main()
