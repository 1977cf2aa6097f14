# SPDX-License-Identifier: BSD-3-Clause
"""One large image on several threads: fastimg.decode(out=, num_threads=) against itself on one thread.

The files are mosaics of the photos in cells of 500 x 375, 4:2:0, at quality 90, of 12 and of 50 megapixels, without
restart markers and with one after each row of MCUs. They are decoded to their own size, from bytes, and to
(3, 224, 224), from files, as the other libraries' ways to that size begin with a file.

"ratio" is how many times as fast as one thread so many are, by wall time: the median of the rounds, in which all
contestants take turns. "machine" is that of zlib.compress, whose threads share nothing: where other programs need the
cores, neither can be large. "CPU" is the CPU time of all threads in relation to that of one: what is done twice is in
it. "bytes/pixel" is how much higher the peak of memory is than with one thread, per pixel of the file, when that is
decoded --rounds times in a process of its own.

"peer" is the fastest of the other libraries to the same array, antialiased if it is smaller than the image. It has one
thread, since none of them decodes a baseline file on several.

Before anything is timed, the pixels of all contestants are compared with Pillow's, and those of several threads with
those of one. Other libraries that are too far off are left out, with the reason.
"""

import math
import os
import time
from functools import partial

import numpy as np
from PIL import Image

from benchmarks import _common as common
from benchmarks import _pixels as pixels
from benchmarks._process import Child, memory_growth
from benchmarks.decode import TOLERATED
from benchmarks.load import CEILING, ceiling
from fastimg.benchmarking.peers import DECODERS, first_line, read_file
from fastimg.benchmarking.resizers import MAIN

SIZES = {"12": (8, 8), "50": (19, 14)}  # megapixels: columns and rows of cells
RESTARTS = {"": 0, ", restart markers": 1}  # rows of MCUs in an interval
RESULTS = {"exact": None, "(3, 224, 224)": (224, 224)}
NOISE_UNITS = 50  # what `ceiling` takes for one piece of its work
COLUMNS = (
    "to: {to} | threads: {threads} | ms: {ms:.1f} | ratio: {ratio:.2f} | "
    "quartiles: {quartiles[0]:.2f} to {quartiles[1]:.2f} | machine: {machine:.2f} | CPU: {cpu:.3f} | "
    "bytes/pixel: {state:.2f} | peer, ms: {peer ms:.1f} | fastimg is: {of peer:.2f} x | of: {peer}"
)


def decode_call(path, out, size, num_threads):
    """Return the call that has fastimg fill `out` (3, H, W), from a file's bytes if that is the image's own size."""
    import fastimg

    if size:
        return partial(fastimg.decode, path, out, num_threads=num_threads, size=size)
    return partial(fastimg.decode, read_file(path), out, num_threads=num_threads)


def growth(tiny, path, shape, size, num_threads, times):
    """Return by how many bytes a process grows while `path` is decoded that many times, and a checksum."""
    out = np.ones(shape, np.uint8)
    decode_call(tiny, out[:, :1, :1], (1, 1), 1)()
    decode = decode_call(path, out, size, num_threads)
    return memory_growth(lambda: [decode() for _ in range(times)]), pixels.checksums([out])


def wrong(got, expected, size):
    """Return what is wrong with the pixels of a contestant, or None."""
    if size:
        return pixels.too_far(pixels.psnrs([got.astype(np.float32)], [expected]), True)
    worst = int((np.maximum(got, expected) - np.minimum(got, expected)).max())
    return f"differs by {worst} levels" if worst > TOLERATED else None


def expect(path, size):
    """Return Pillow's (3, H, W)."""
    with Image.open(path) as image:
        image = image.convert("RGB")
        if size:
            image = image.resize(size[::-1], Image.Resampling.BILINEAR)
        return np.asarray(image).transpose(2, 0, 1)


def verify(calls, out, path, size):
    """Return the calls whose pixels are right; SystemExit if fastimg's are not, or not the same on all threads."""
    expected, fit, sums = expect(path, size), {}, []
    for name, call in calls.items():
        np.subtract(255, expected, out=out)  # old content cannot pass for new: 255 - x is never x
        try:
            call()
            reason = wrong(out, expected, size)
        except Exception as error:  # whatever a peer raises, the others go on
            reason = first_line(error)
        if isinstance(name, int):
            sums += pixels.checksums([out])
            if reason or sums[-1] != sums[0]:
                raise SystemExit(f"fastimg on {name} threads: {reason or 'other pixels than on one'}")
        if reason:
            print(f"{name} is left out: {reason}")
        else:
            fit[name] = call
    return fit, sums[:1]


def timed(calls, rounds, desc):
    """Return the seconds of each call, (rounds,), and the CPU seconds of all its threads."""
    cpu = {name: [] for name in calls}

    def job(name, call):
        def run(_):
            start, cpu_start = time.perf_counter(), time.process_time()
            call()
            took = time.perf_counter() - start
            cpu[name].append(time.process_time() - cpu_start)
            return took

        return run

    jobs = {name: job(name, call) for name, call in calls.items()}
    seconds = common.interleave(jobs, 1, rounds, desc)
    return {name: values[:, 0] for name, values in seconds.items()}, cpu


def measure(peers, path, tiny, size, args, desc):
    """Verify and time one file to one size; return {threads: figures}."""
    with Image.open(path) as image:
        width, height = image.size
    out = np.ones((3, *(size or (height, width))), np.uint8)
    calls = {count: decode_call(path, out, size, count) for count in args.threads}
    for peer in peers:
        if peer.name == "fastimg":
            continue
        if size and peer.group is MAIN and peer.antialiased:
            calls[peer.name] = partial(peer.read_into, path, out)
        elif not size and peer.group is DECODERS:
            calls[peer.name] = partial(peer.into_chw, read_file(path), out)
    calls, sums = verify(calls, out, path, size)
    work = range(NOISE_UNITS * math.lcm(*args.threads))
    calls |= {(CEILING, count): partial(ceiling, work, None, count) for count in args.threads}
    seconds, cpu = timed(calls, args.rounds, desc)
    others = {name: float(np.median(values)) for name, values in seconds.items() if isinstance(name, str)}
    peer = min(others, key=others.get, default=None)
    rows, one, first = {}, args.threads[0], None
    for count in args.threads:
        with Child("benchmarks.parts") as child:
            peak, got = child.ask("growth", tiny, path, out.shape, size, count, args.rounds)
        pixels.check_sums(got, sums, f"{count} threads in a process of their own")
        first = peak if first is None else first
        ratios = seconds[one] / seconds[count]
        row = {"threads": count, "ms": 1e3 * float(np.median(seconds[count]))}
        row |= {"ratio": float(np.median(ratios)), "quartiles": np.quantile(ratios, [0.25, 0.75]).tolist()}
        row["machine"] = common.ratio(seconds[CEILING, one], seconds[CEILING, count])
        row |= {"cpu": common.ratio(cpu[count], cpu[one]), "state": (peak - first) / (width * height)}
        row |= {"peak MB": peak / 1e6, "rounds": seconds[count].tolist(), "cpu rounds": cpu[count]}
        if peer:
            row |= {"peer": peer, "peer ms": 1e3 * others[peer]}
            row["of peer"] = common.ratio(seconds[peer], seconds[count])
        rows[count] = row
    return rows


def bench_parts(peers, paths, args):
    rows = {}
    with pixels.folder() as folder:
        large, tiny = os.path.join(folder, "large.jpg"), os.path.join(folder, "tiny.jpg")
        for megapixels in args.sizes:
            sheet = pixels.mosaic(paths, *SIZES[megapixels])
            sheet.crop((0, 0, 64, 48)).save(tiny)
            for restarts, mcu_rows in RESTARTS.items():
                sheet.save(large, quality=90, subsampling="4:2:0", restart_marker_rows=mcu_rows)
                for to, size in RESULTS.items():
                    file = f"{megapixels} Mpx{restarts}"
                    for count, row in measure(peers, large, tiny, size, args, f"{file}, {to}").items():
                        rows[f"{file}, {to}, {count}"] = row | {"label": file, "to": to}
    title = f"parts: one image on several threads, {args.rounds} rounds"
    return common.report(title, COLUMNS, rows, "file")


def main(argv=None):
    counts = sorted({1, 2, common.usable_cpus()})
    words = f"the first is what others are compared with (default: {' '.join(map(str, counts))})"
    threads = {"type": common.positive_int, "nargs": "+", "default": counts, "metavar": "N", "help": words}
    sizes = {"nargs": "+", "choices": list(SIZES), "default": list(SIZES), "help": "megapixels"}
    args = common.parse(argv, __doc__, "parts", "rounds", threads=threads, sizes=sizes)
    peers, payload = common.begin(args, [*DECODERS, *MAIN[1:]])
    paths = pixels.find_photos(args.images)
    return common.finish(args, payload, {"parts": bench_parts}, peers, paths)


if __name__ == "__main__":
    main()
