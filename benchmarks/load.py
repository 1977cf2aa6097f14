# SPDX-License-Identifier: BSD-3-Clause
"""Loading files into one array: how it scales with threads, and what it leaves to the interpreter.

The files are 256 x 256 crops of the photos, made at the start (kept with --work). The destination is one
(count, 3, 256, 256) uint8 array that is touched once and then reused, because the page faults of fresh memory would
drown the differences. All pixels are compared with Pillow's before the timing, some of them again after each load.

scaling   images/s for 1 to n threads. The peers are a plain loop (1 thread) and a ThreadPoolExecutor with one task per
          thread. "scaling" is the row's speed over the same contestant's with the fewest threads; "fastimg is" how
          many times as fast fastimg is with as many threads. The last rows show what the machine allows at this time:
          zlib.compress, which shares nothing. If they do not scale, nothing can.
gil       how fast a pure-Python loop in the main thread runs: (a) alone, (b) while another process does the load, (c)
          while a background thread of this process does the same load. Both take CPU time and memory bandwidth; only
          (c) shares the loop's GIL. So c/b is the share of its speed that the loop keeps: 1.00 means that the load
          never stood in its way. "loop has a core" says whether a CPU was left over for the loop; without one, b and c
          also depend on the scheduler, and scatter more. "load keeps" is the load's own speed in (c) over (b): a load
          that returns to the interpreter for each image waits 5 ms each time for the loop to give way, and leaves the
          loop its speed only because it hardly runs. Both shares have to be near 1. Peers load a part of the files.
"""

import os
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from statistics import median

import numpy as np

from benchmarks import _common as common
from benchmarks import _pixels as pixels
from benchmarks._process import Child
from fastimg.benchmarking.peers import DECODERS, available, find

SIDE = 256
KINDS = find(DECODERS, "fastimg", "simplejpeg", "OpenCV", "Pillow")
GIL_KINDS = find(DECODERS, "fastimg", "OpenCV")  # fastimg, and the loop that most people have
SPOILED = 97  # every so manieth image is spoiled before a timed load: too few to warm or cool a cache
BLOCKS = 5  # parts of the files that the contestants take turns with; 2000 files are a second or so
PEER_SHARE = 20  # peers load one 20th of the files beside the loop: at 5 ms each, all would take a minute
SPIN = 20_000  # iterations between two looks at what the loop waits for: a few milliseconds
ALONE = 0.1  # seconds of the loop alone
CEILING = "(zlib.compress)"
NOISE = np.random.default_rng(0).integers(0, 16, 1 << 20, np.uint8).tobytes()


def ceiling(paths, _, num_threads):
    """Work that scales as well as the machine allows: plain C without the GIL, files, or shared memory."""
    units = max(num_threads, len(paths) // 50) // num_threads  # about as long as the loads

    def work(_):
        for _ in range(units):
            zlib.compress(NOISE, 1)

    with ThreadPoolExecutor(num_threads) as pool:
        list(pool.map(work, range(num_threads)))


def bench_scaling(peers, paths, parts, args):
    cpus = common.usable_cpus()
    threads = args.threads or [n for n in range(1, cpus + 1) if n <= 8 or n & (n - 1) == 0 or n == cpus]
    out, expected = np.ones((len(paths), 3, SIDE, SIDE), np.uint8), pixels.pillow_checksums(paths)
    for peer in peers:
        out[:] = 0
        peer.load(paths, out, max(threads))
        pixels.check_sums(pixels.checksums(out), expected, peer.name)
    outs, nothing = [out[part] for part in parts], [out[:0]] * len(parts)
    loads = {}
    for peer in peers:
        loads |= {(peer.name, n): (partial(peer.load, num_threads=n), outs, expected) for n in threads}
    loads |= {(CEILING, n): (partial(ceiling, num_threads=n), nothing, []) for n in threads}
    seconds = pixels.time_loads(loads, paths, parts, args.rounds, time.perf_counter, SPOILED)
    found, rows = common.compare(seconds, len(paths), {key: {} for key in loads}), {}
    for name, n in loads:
        mine, ours = seconds[name, n], seconds.get(("fastimg", n))
        row = {"label": name, "threads": n, "scaling": common.ratio(seconds[name, threads[0]], mine)}
        if name != CEILING:  # whose rates mean nothing
            row |= found[name, n] | ({} if ours is None else {"times": common.ratio(mine, ours)})
        rows[f"{name}, {n}"] = row
    title = f"scaling: {len(paths)} files of {SIDE} x {SIDE} into {out.shape} uint8, {args.rounds} rounds"
    columns = f"threads: {{threads}} | {common.RATES} | scaling: {{scaling:.2f}} x | {common.TIMES}"
    return common.report(title, columns, rows)


def spin(done):
    """Return the iterations per second, in millions, of a pure-Python loop that runs until done()."""
    turns = x = 0
    start = time.perf_counter()
    while not turns or not done():
        for _ in range(SPIN):
            x = (x * 1103515245 + 12345) & 0x7FFFFFFF
        turns += 1
    return turns * SPIN / (time.perf_counter() - start) / 1e6


class Loads:
    """What runs beside the loop: a contestant's loads into an array of this process's own."""

    def __init__(self, paths):
        self._paths, self._out = paths, np.ones((len(paths), 3, SIDE, SIDE), np.uint8)
        self._peers = {peer.name: peer for peer in available(GIL_KINDS)[0]}
        for peer in self._peers.values():
            peer.load(paths[:64], self._out[:64], 1)  # whatever is set up once is set up now

    def load(self, part, name, num_threads):
        """Return how many images per second are loaded."""
        paths, out = self._paths[part], self._out[part]
        begin = time.perf_counter()
        self._peers[name].load(paths, out, num_threads)
        return len(paths) / (time.perf_counter() - begin)

    def sums(self, part):
        """Return the checksums of the images that are compared, and spoil these for the next time."""
        some = self._out[part][::SPOILED]
        sums = pixels.checksums(some)
        np.subtract(255, some, out=some)
        return sums


def bench_gil(peers, paths, parts, args):
    cpus = common.usable_cpus()
    threads = sorted({max(1, cpus - 1), cpus})  # a core left to the loop, and none
    everyone = [(peer.name, n) for peer in available(GIL_KINDS)[0] for n in threads]
    expected = [pixels.pillow_checksums(paths[part][::SPOILED]) for part in parts]
    samples = {key: [] for key in everyone}
    here = Loads(paths)

    def in_process(part, *load):
        other.send("load", part, *load)
        return spin(other.ready), other.receive(), other.ask("sums", part)

    def in_thread(part, *load):
        future = background.submit(here.load, part, *load)
        return spin(future.done), future.result(), here.sums(part)

    def beside(name, n):
        def run(turn):
            first, end, now = parts[turn].start, parts[turn].stop, time.perf_counter()
            part = slice(first, end if name == "fastimg" else first + -(-(end - first) // PEER_SHARE))
            sample = {"a": spin(lambda: time.perf_counter() > now + ALONE)}
            for way, load in [("b", in_process), ("c", in_thread)][:: 1 if len(samples[name, n]) % 2 else -1]:
                sample[way], sample[f"load {way}"], sums = load(part, name, n)
                pixels.check_sums(sums, expected[turn][: len(sums)], f"{name}, {way}")
            samples[name, n].append(sample)
            return time.perf_counter() - now

        return run

    with Child("benchmarks.load:Loads", paths) as other, ThreadPoolExecutor(1) as background:
        common.interleave({key: beside(*key) for key in everyone}, len(parts), args.rounds, "gil")
    rows = {}
    for (name, n), mine in samples.items():
        row = {"label": name, "threads": n, "core": "yes" if n < cpus else "no", "rounds": mine}
        row |= {key: median(sample[key] for sample in mine) for key in mine[0]}
        row["kept"] = np.quantile([sample["c"] / sample["b"] for sample in mine], [0.5, 0.25, 0.75]).tolist()
        row["load keeps"] = median(sample["load c"] / sample["load b"] for sample in mine)
        rows[f"{name}, {n}"] = row
    title = f"gil: a Python loop, in millions of iterations per second, beside a load of {len(paths)} files"
    columns = (
        "threads: {threads} | loop has a core: {core} | a alone: {a:.2f} | b process: {b:.2f} | c thread: {c:.2f} | "
        "c/b: {kept[0]:.3f} | 25 %: {kept[1]:.3f} | 75 %: {kept[2]:.3f} | "
        "images/s in c: {load c:.0f} | load keeps: {load keeps:.3f}"
    )
    return common.report(title, columns, rows)


TABLES = {"scaling": bench_scaling, "gil": bench_gil}


def main(argv=None):
    words = "of scaling (default: 1 to the usable CPUs, and beyond 8 the powers of two and all of them)"
    threads = {"type": common.positive_int, "nargs": "+", "help": words}
    args = common.parse(argv, __doc__, "load", "count", "work", "rounds", tables=TABLES, threads=threads)
    peers, payload = common.begin(args, KINDS)
    with pixels.square_files(args.images, args.count, SIDE, args.work) as paths:
        nbytes = sum(map(os.path.getsize, paths))
        payload["corpus"] = {"images": len(paths), "bytes": nbytes}
        print(f"Corpus: {len(paths)} files of {SIDE} x {SIDE}, {nbytes / len(paths) / 1e3:.0f} kB each")
        parts = common.slices(len(paths), -(-len(paths) // BLOCKS))
        return common.finish(args, payload, TABLES, peers, paths, parts)


if __name__ == "__main__":
    main()
