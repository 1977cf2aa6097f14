# SPDX-License-Identifier: BSD-3-Clause
"""Memory over time while a folder of images is loaded into one array, in three ways.

  np.vstack      a list of (1, 3, 256, 256) arrays from cv2.imread, stacked at the end
  preallocated   one array, and cv2.imread and a transpose for each of its rows
  fastimg.load   one array, filled by fastimg

Each way runs in a process of its own, which this one samples every 20 ms. What is sampled is resident
memory less the pages that belong to files: no shared library, and no page cache. Time 0 is when the loading
begins. The process held its "base" just before (interpreter, imports, list of paths).

"above array" is the peak less the array's size: everything. "of which load" is without the base: what the way
of loading itself costs on top of the array that it returns. "high water" is that again, taken from the
system's record of the process's largest resident size: no peak between two samples escapes it, but pages of
shared libraries count in it also. The three arrays are compared with Pillow's pixels after the last sample.
"""

from __future__ import annotations

import multiprocessing
import pathlib
import re
import resource
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks import _common as common
from benchmarks._peers import Fastimg, OpenCV, Peer, available

SIDE = 256
INTERVAL = 0.02  # seconds between two samples
CHECKED = 50  # rows that are compared with Pillow's, spread over the array


def with_vstack(opencv: OpenCV, paths: list[str]) -> np.ndarray:
    images = [opencv.read(path).transpose(2, 0, 1)[np.newaxis] for path in paths]
    return np.vstack(images)


def with_array(opencv: OpenCV, paths: list[str]) -> np.ndarray:
    array = np.empty((len(paths), 3, SIDE, SIDE), np.uint8)
    for i, path in enumerate(paths):
        array[i] = opencv.read(path).transpose(2, 0, 1)
    return array


def with_fastimg(_: Fastimg, paths: list[str]) -> np.ndarray:
    import fastimg

    array = np.empty((len(paths), 3, SIDE, SIDE), np.uint8)
    fastimg.load(paths, array)
    return array


# name: (function, the library that it uses, label)
WAYS: dict[str, tuple[Callable[[Any, list[str]], np.ndarray], type[Peer], str]] = {
    "np.vstack": (with_vstack, OpenCV, "list of cv2.imread, then np.vstack"),
    "preallocated": (with_array, OpenCV, "preallocated array, cv2.imread, transpose"),
    "fastimg.load": (with_fastimg, Fastimg, "preallocated array, fastimg.load"),
}


def high_water() -> int:
    """Return the largest resident size of this process so far, in bytes."""
    status = pathlib.Path("/proc/self/status")
    if status.exists():  # ru_maxrss would be no less than the parent's size at the fork, even after an exec
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        return int(found[1]) * 1024 if found else 0
    value = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return value if sys.platform == "darwin" else value * 1024  # all but macOS count in KiB


def child(pipe: Connection, name: str, paths: list[str]) -> None:
    """Load when told to, and send what the parent needs to know at each step."""
    function, kind, _ = WAYS[name]
    library = kind()  # imported before the base is taken
    pipe.send("ready")
    pipe.recv()
    begin = time.monotonic()  # one clock for all processes of the system
    array = function(library, paths)
    end = time.monotonic()
    pipe.send((begin, end, high_water()))
    pipe.recv()  # the parent has its last sample; from here on memory does not count
    rows = range(0, len(paths), max(1, len(paths) // CHECKED))
    pipe.send((array.shape, str(array.dtype), [zlib.crc32(np.ascontiguousarray(array[i])) for i in rows]))


def used(watched: Any) -> int:
    """Return the resident bytes of a psutil.Process that are not pages of files; all of them on macOS.

    Not its USS: the kernel walks every page to tell that, with the process's memory map locked, and a process
    that allocates one image at a time was slowed to a sixth by being asked 50 times a second. These are
    counters that the kernel keeps anyway, good to about 100 kB a CPU.
    """
    info = watched.memory_info()
    return info.rss - getattr(info, "shared", 0)


def sample(name: str, paths: list[str]) -> dict[str, Any]:
    """Run one way in a process of its own and return its figures and samples (memory in bytes)."""
    import psutil

    context = multiprocessing.get_context("spawn")  # a forked child would begin with this process's pages
    ours, theirs = context.Pipe()
    process = context.Process(target=child, args=(theirs, name, paths), daemon=True)
    process.start()
    theirs.close()  # so that recv raises EOFError, instead of waiting, if the child dies
    ours.recv()
    watched = psutil.Process(process.pid)
    base, base_resident = used(watched), watched.memory_info().rss
    ours.send("go")
    samples = []
    due = time.monotonic()
    while not ours.poll(max(0.0, due - time.monotonic())):
        size = used(watched)
        samples.append((time.monotonic(), size))
        due = max(due + INTERVAL, time.monotonic())
    begin, end, high = ours.recv()
    samples.append((time.monotonic(), used(watched)))  # the array, complete
    ours.send("check")
    shape, dtype, sums = ours.recv()
    process.join()

    if shape != (len(paths), 3, SIDE, SIDE) or dtype != "uint8":
        raise SystemExit(f"{name}: expected {(len(paths), 3, SIDE, SIDE)} uint8, got {shape} {dtype}")
    for i, got in zip(range(0, len(paths), max(1, len(paths) // CHECKED)), sums, strict=True):
        with open(paths[i], "rb") as file:
            pixels = common.pillow_pixels(file.read())
        if zlib.crc32(np.ascontiguousarray(pixels.transpose(2, 0, 1))) != got:
            raise SystemExit(f"{name}: row {i} ({paths[i]}) differs from Pillow's pixels")
    array = len(paths) * 3 * SIDE * SIDE
    peak = max(size for _, size in samples)
    return {
        "array": array,
        "base": base,
        "peak": peak,
        "above_array": peak - array,
        "of_which_load": peak - array - base,
        "high_water": high - array - base_resident,
        "seconds": end - begin,
        "samples": [(moment - begin, size) for moment, size in samples],
    }


def plot(results: dict[str, dict[str, Any]], array: int, count: int, cpu: str, path: str) -> None:
    """Draw a line for each way, and the array's size as a dashed line."""
    figure, axes = common.new_figure(8, 4.4)
    colors = {"np.vstack": "tab:red", "preallocated": "tab:blue", "fastimg.load": "tab:orange"}
    for name, row in results.items():
        times, sizes = zip(*row["samples"], strict=True)
        label = f"{WAYS[name][2]}: {row['seconds']:.1f} s"
        axes.plot(times, [size / 2**30 for size in sizes], color=colors[name], linewidth=2, label=label)
        axes.plot(times[-1], sizes[-1] / 2**30, "o", color=colors[name], markersize=5)
    size = f"{array / 2**30:.2f} GiB" if array >= 2**29 else f"{array / 2**20:.0f} MiB"
    label = f"the array itself, {size}"
    axes.axhline(array / 2**30, color="black", linestyle="--", linewidth=1, label=label)
    axes.set_xlabel(f"seconds\n{cpu}, {common.usable_cpus()} CPUs")
    axes.set_ylabel("memory of the process, GiB")
    axes.set_title(f"{count:,} JPEG files of {SIDE} x {SIDE} into one array", fontsize=12)
    axes.set_xlim(left=0)
    axes.set_ylim(0, max(row["peak"] for row in results.values()) / 2**30 * 1.5)  # room for the legend
    axes.grid(alpha=0.3)
    axes.legend(loc="upper right", framealpha=0.9, fontsize=10)
    common.save_figure(figure, path)


def main(argv: Sequence[str] | None = None) -> int:
    parser = common.new_parser(__doc__, "memory")
    parser.add_argument("--plot", metavar="F.png", help="draw memory over time")
    parser.add_argument("--count", type=common.positive_int, default=10_000, help="files (default: 10000)")
    parser.add_argument("--work", metavar="DIR", help="keep the files here (default: a temporary folder)")
    args = parser.parse_args(argv)

    peers, missing = available([Fastimg, OpenCV])
    env = common.environment(peers, missing)
    common.print_environment(env)
    results = {}
    with common.square_files(args.images, args.count, SIDE, args.work) as paths:
        for path in paths:
            with open(path, "rb") as file:  # into the page cache, so that no way pays for the disk
                file.read()
        for name, (_, kind, _) in tqdm(WAYS.items(), desc="ways"):
            if kind.name in env["contestants"]:
                results[name] = sample(name, paths)
    array = args.count * 3 * SIDE * SIDE
    print(f"\nmemory, in MB: {args.count} files of {SIDE} x {SIDE} into an array of {array / 1e6:.1f} MB\n")
    keys = ("base", "peak", "above_array", "of_which_load", "high_water")
    head = ["way", "base", "peak", "above array", "of which load", "high water", "seconds"]
    common.print_table(
        head,
        [
            [name, *(f"{row[key] / 1e6:.1f}" for key in keys), f"{row['seconds']:.1f}"]
            for name, row in results.items()
        ],
    )
    if args.plot and results:
        plot(results, array, args.count, env["cpu"], args.plot)
    common.write_json(args.json, {"environment": env, "count": args.count, "array": array, "ways": results})
    return 0


if __name__ == "__main__":
    sys.exit(main())
