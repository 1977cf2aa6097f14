# SPDX-License-Identifier: BSD-3-Clause
"""Prints by how many kB memory in use grows while a folder of images is loaded with a bound on reading ahead.

    python -m support.reading_probe FOLDER BOUND LEAST SECONDS

What is no JPEG holds the only thread that decodes until so many kB
are in use, or for so long: the others read as far ahead as they may.
"""

import pathlib
import sys
import time

import numpy as np

import fastimg


def peak():
    status = pathlib.Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


def main(folder, read_ahead, least, seconds):
    paths = sorted(map(str, pathlib.Path(folder).iterdir()))
    before = peak()

    def hold(path):
        end = time.monotonic() + float(seconds)
        while peak() - before < int(least) and time.monotonic() < end:
            time.sleep(0.01)
        return np.zeros((40, 40), np.uint8)

    fastimg.load(paths, size=9, num_threads=1, read_threads=8, read_ahead=read_ahead, fallback=hold)
    print(peak() - before)


if __name__ == "__main__":
    main(*sys.argv[1:])
