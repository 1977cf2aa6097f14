# SPDX-License-Identifier: BSD-3-Clause
"""Memory over time while a folder of images is loaded into one array, in three ways.

  np.vstack      a list of (1, 3, 256, 256) arrays from cv2.imread, stacked at the end
  preallocated   one array, and cv2.imread and a transpose for each of its rows
  fastimg.load   one array, filled by fastimg

Each way runs in a process of its own, which this one samples every 20 ms: its resident memory less the pages that
belong to files (shared libraries, page cache). Time 0 is when the loading begins. The process held its "base" just
before (interpreter, imports, list of paths), which includes the import of fastimg in all of them.

"above array" is the peak less the array's size. "of which load" is without the base: what the way of loading itself
costs on top of the array that it returns. "high water" is that again, from the system's record of the process's
largest resident size: it misses no peak between two samples, but includes pages of shared libraries. The arrays are
compared with Pillow's pixels after the last sample.
"""

import time

import numpy as np
from tqdm import tqdm

from benchmarks import _common as common
from benchmarks import _pixels as pixels
from benchmarks import _plots as plots
from benchmarks._process import Child, high_water
from fastimg.benchmarking.peers import DECODERS, find, read_file

SIDE = 256
INTERVAL = 0.02  # seconds between two samples
CHECKED = 50  # rows that are compared with Pillow's, spread over the array
KINDS = find(DECODERS, "fastimg", "OpenCV")

WAYS = {"np.vstack": "OpenCV", "preallocated": "OpenCV", "fastimg.load": "fastimg"}  # and who they use


class Way:
    """One way of loading, in a process of its own."""

    def __init__(self, name, paths):
        self._name, self._paths = name, paths
        self._peer = find(KINDS, WAYS[name])()

    def ready(self):
        """Nothing: the library has been imported when this is answered."""

    def _load(self):
        if self._name == "np.vstack":
            images = [self._peer.read(path).transpose(2, 0, 1)[np.newaxis] for path in self._paths]
            return np.vstack(images)
        array = np.empty((len(self._paths), 3, SIDE, SIDE), np.uint8)
        if self._name == "fastimg.load":
            self._peer.load(self._paths, array, None)
        else:
            for i, path in enumerate(self._paths):
                array[i] = self._peer.read(path).transpose(2, 0, 1)
        return array

    def load(self):
        """Return when loading began and ended, and the largest resident size so far."""
        begin = time.monotonic()  # one clock for all processes of the system
        self._array = self._load()
        return begin, time.monotonic(), high_water()

    def result(self, step):
        """Return the array's shape and dtype, and the checksums of every `step`-th row."""
        return f"{self._array.shape} {self._array.dtype}", pixels.checksums(self._array[::step])


def used(watched):
    """Return the resident bytes of a psutil.Process that are not pages of files; all of them on macOS.

    Not its USS: to tell that, the kernel walks every page with the process's memory map locked, and a process that
    allocates one image at a time was slowed to a sixth by being asked 50 times a second. These are counters that the
    kernel keeps anyway, good to about 100 kB per CPU.
    """
    info = watched.memory_info()
    return info.rss - getattr(info, "shared", 0)


def sample(name, paths):
    """Run one way in a process of its own and return its figures in MB and samples in bytes."""
    import psutil

    with Child("benchmarks.memory:Way", name, paths) as child:
        child.ask("ready")
        watched = psutil.Process(child.process.pid)
        base, base_resident = used(watched), watched.memory_info().rss
        child.send("load")
        samples = list(child.samples(INTERVAL, lambda: (time.monotonic(), used(watched))))
        begin, end, high = child.receive()
        samples.append((time.monotonic(), used(watched)))  # the array, complete
        step = max(1, len(paths) // CHECKED)
        found, sums = child.ask("result", step)
    if found != (expected := f"{(len(paths), 3, SIDE, SIDE)} uint8"):
        raise SystemExit(f"{name}: expected {expected}, got {found}")
    pixels.check_sums(sums, pixels.pillow_checksums(paths[::step]), name)
    array, peak = len(paths) * 3 * SIDE * SIDE, max(size for _, size in samples)
    figures = {"base": base, "peak": peak, "above array": peak - array, "of which load": peak - array - base}
    figures["high water"] = high - array - base_resident
    row = {key: value / 1e6 for key, value in figures.items()} | {"seconds": end - begin}
    return row | {"samples": [(moment - begin, size) for moment, size in samples]}


def bench_memory(peers, paths, args):
    for path in paths:
        read_file(path)  # into the page cache, so that no way pays for the disk
    usable = [peer.name for peer in peers]
    ways = [name for name, library in WAYS.items() if library in usable]
    rows = {name: sample(name, paths) for name in tqdm(ways, desc="ways")}
    array = args.count * 3 * SIDE * SIDE
    title = f"memory, in MB: {args.count} files of {SIDE} x {SIDE} into an array of {array / 1e6:.1f} MB"
    keys = ("base", "peak", "above array", "of which load", "high water", "seconds")
    common.report(title, " | ".join(f"{key}: {{{key}:.1f}}" for key in keys), rows, "way")
    if args.plot and rows:
        words = f"{args.count:,} files; {common.cpu_model()}, {common.usable_cpus()} CPUs"
        common.draw(args.plot, 8, 4.2, lambda axes: plots.memory(axes, {"ways": rows}, words))
    return rows


def main(argv=None):
    args = common.parse(argv, __doc__, "memory", "count", "work", "plot")
    peers, payload = common.begin(args, KINDS)
    with pixels.square_files(args.images, args.count, SIDE, args.work) as paths:
        return common.finish(args, payload, {"ways": bench_memory}, peers, paths)


if __name__ == "__main__":
    main()
