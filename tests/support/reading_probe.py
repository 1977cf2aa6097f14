# SPDX-License-Identifier: BSD-3-Clause
"""Prints by how many kB memory in use grows while a folder of images is loaded with a bound on reading ahead."""

import pathlib
import sys

import fastimg


def peak():
    status = pathlib.Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


if __name__ == "__main__":
    folder, read_ahead = sys.argv[1:]
    paths = sorted(map(str, pathlib.Path(folder).iterdir()))
    before = peak()
    fastimg.load(paths, size=9, num_threads=1, read_threads=8, read_ahead=read_ahead)
    print(peak() - before)
