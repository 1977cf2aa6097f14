# SPDX-License-Identifier: BSD-3-Clause
"""Print by how many kB a process grows as several threads decode a file: see test_parts_memory.

python -m support.parts_memory_probe FILE THREADS TIMES
"""

import sys

import fastimg


def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))


def main():
    with open(sys.argv[1], "rb") as file:
        data = file.read()
    threads, times = map(int, sys.argv[2:])
    out = fastimg.decode(data)
    fastimg.decode(data, out)
    before = peak()
    for _ in range(times):
        fastimg.decode(data, out, num_threads=threads)
    print(peak() - before)


if __name__ == "__main__":
    main()
