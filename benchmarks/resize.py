# SPDX-License-Identifier: BSD-3-Clause
"""Decoding straight to a smaller size, against the other Python libraries that decode and resize.

Every contestant fills the caller's rows of one preallocated, touched (N, 3, H, W) uint8 array from files. Five tables:

photos    to (3, 256, 256) on one thread. "fastimg is" says how many times as fast fastimg is as that row's contestant.
          "antialiased" is "no" where a pixel of the result is made of four pixels of the photo, however many it stands
          for. "PSNR" is the mean over the photos against the bilinear reference.
threads   to (3, 64, 64) on --threads threads: fastimg's and DALI's own, a ThreadPoolExecutor with one task per thread
          for the others.
large     one file of 12 megapixels to (3, 224, 224) on one thread: milliseconds, and the peak of memory above what the
          process held before. For the peak each contestant has a fresh process, which has imported what it needs and
          decoded a tiny file. The file is a mosaic of the photos in cells of 500 x 375, 4:2:0, at quality 90; or
          --large. fastimg also with no reducing_gap, and with the smallest.
options   fastimg with float results and with a crop for each image (random_crops), beside OpenCV with the same crops;
          "takes" is the time in relation to that of fastimg's plain uint8.
quality   PSNR in dB of every contestant, mean and worst photo, against Pillow's full decode that is resized in floats,
          unrounded: by the filter that the contestant has (for INTER_AREA the exact area), and by the bilinear one.
          Rounding alone leaves about 59 dB.

Before anything is timed, the pixels of every contestant are compared with the bilinear reference, and those that are
too far off are left out, with the reason. After every timed block its pixels are compared with the verified ones.

torchvision, SPDL (package spdl, and FFmpeg's libraries) and DALI (nvidia-dali-cuda120; no GPU is needed) are large, so
they do not come with the other peers: they take part where they are installed.
"""

import os
import time
from functools import partial

import numpy as np
from PIL import Image
from tqdm import tqdm

from benchmarks import _common as common
from benchmarks import _pixels as pixels
from benchmarks._process import Child, memory_growth
from fastimg.benchmarking.peers import available, find, first_line
from fastimg.benchmarking.resizers import GAPS, MAIN, RESIZERS, option_kinds, to_uint8

THREADS_BLOCK = 32  # more photos in a block, because each block starts threads
QUALITY_SIDES = (256, 224, 64)
CELLS = 8  # of the mosaic, per side: 4000 x 3000 in all
LARGE_SIZE = (224, 224)
HEADLINES = [("the fastest antialiased peer", lambda _, row: row["antialiased"] == "yes")]
HEADLINES += [("the aliased one", lambda _, row: row["antialiased"] == "no")]
QUALITY = f"{common.TIMES} | antialiased: {{antialiased}} | PSNR: {{bilinear[0]:.1f}}"


def inspect(peers, paths, size, num_threads, block):
    """Return what every contestant makes of the photos.

    "own" and "bilinear" are the PSNR, mean and worst, against the reference of the contestant's own filter and of the
    bilinear one; "sums" checksums of the pixels; "reason" says why it has to be left out, or is None.
    """
    found = {}
    for peer in peers:
        found[peer.name] = {"own": [], "bilinear": [], "sums": [], "reason": None, "filter": peer.resample}
        found[peer.name]["antialiased"] = "yes" if peer.antialiased else "no"
    for part in tqdm(common.slices(len(paths), block), desc=f"pixels, {size[0]} x {size[1]}"):
        originals = {path: pixels.pillow_pixels(path) for path in paths[part]}
        references = {}
        for peer in peers:
            facts, boxes = found[peer.name], peer.boxes or {}
            if facts["reason"]:
                continue
            keys = [(name, bool(boxes)) for name in (peer.resample, "bilinear")]
            for key in keys:
                if key not in references:
                    each = [(image, size, key[0], boxes.get(path)) for path, image in originals.items()]
                    references[key] = [pixels.reference(*one) for one in each]
            # Nothing that was left there passes for a result.
            out = (255 - np.rint(references[keys[1]])).astype(peer.dtype)
            try:
                peer.load(paths[part], out, num_threads)
            except Exception as error:  # whatever a peer raises, the others go on
                facts["reason"] = first_line(error)
                continue
            facts["sums"] += pixels.checksums(out)
            for word, key in zip(("own", "bilinear"), keys, strict=True):
                facts[word] += pixels.psnrs(to_uint8(peer, out), references[key])
    for peer in peers:
        facts = found[peer.name]
        facts["reason"] = facts["reason"] or pixels.too_far(facts["bilinear"], peer.antialiased)
        facts |= {word: pixels.mean_and_worst(facts[word]) for word in ("own", "bilinear") if facts[word]}
    return found


def measure(peers, paths, size, args, desc, block=common.PHOTOS, num_threads=1, subject="fastimg"):
    """Verify and time; return `inspect`'s figures and the speed."""
    found = inspect(peers, paths, size, num_threads, block)
    clock = common.CLOCKS[args.clock] if num_threads == 1 else time.perf_counter
    seconds = pixels.time_peers(peers, found, paths, size, block, num_threads, args.rounds, clock)
    return common.compare(seconds, len(paths), found, subject)


def bench_files(table, side, block, peers, paths, args):
    num_threads = args.threads if table == "threads" else 1
    some = [peer for peer in peers if peer.group is MAIN]
    rows = measure(some, paths, (side, side), args, table, block, num_threads)
    threads = "one thread" if num_threads == 1 else f"{num_threads} threads"
    title = f"{table}: files to (3, {side}, {side}), {threads}, {args.rounds} rounds"
    return common.report(title, f"{common.RATES} | {QUALITY}", rows, headlines=HEADLINES)


def peak(name, tiny, large):
    """Return the peak while `large` is decoded, in bytes above what was held before, and a checksum."""
    peer = find(RESIZERS, name)()
    out = np.ones((1, 3, *LARGE_SIZE), np.uint8)
    peer.read_into(tiny, out[0])
    return memory_growth(lambda: peer.read_into(large, out[0])), pixels.checksums(out)


def bench_large(peers, paths, args):
    some = [peer for peer in peers if peer.group in (MAIN, GAPS)]
    sheet, words = pixels.mosaic(paths, CELLS, CELLS), args.large or "a mosaic of the photos"
    with pixels.folder() as folder:
        large, tiny = args.large or os.path.join(folder, "mosaic.jpg"), os.path.join(folder, "tiny.jpg")
        sheet.crop((0, 0, 64, 48)).save(tiny, quality=90, subsampling="4:2:0")
        if not args.large:
            sheet.save(large, quality=90, subsampling="4:2:0")
        with Image.open(large) as image:
            words += f", {image.width} x {image.height}, {os.path.getsize(large)} bytes"
        rows = measure(some, [large], LARGE_SIZE, args, "large", 1)
        for name in tqdm([name for name in rows if not rows[name]["reason"]], desc="memory"):
            with Child("benchmarks.resize") as child:
                most, sums = child.ask("peak", name, tiny, large)
            pixels.check_sums(sums, rows[name]["sums"], f"{name} in a process of its own")
            ms = {f"{key} ms": 1e3 / rows[name][key] for key in ("rate", "max", "min")}
            rows[name] |= {"peak MB": most / 1e6} | ms
    title = f"large: {words}, to {(3, *LARGE_SIZE)}, one thread, {args.rounds} rounds"
    columns = "ms: {rate ms:.1f} | min: {max ms:.1f} | max: {min ms:.1f}"
    columns += f" | {QUALITY} | peak, MB: {{peak MB:.1f}}"
    return common.report(title, columns, rows, headlines=HEADLINES)


def bench_options(peers, paths, args):
    import fastimg

    boxes = fastimg.random_crops(paths, np.random.default_rng(0))
    some, _ = available(option_kinds(dict(zip(paths, boxes, strict=True))))
    rows = measure(some, paths, (256, 256), args, "options", subject="fastimg uint8")
    rows = {peer.name: rows[peer.name] for peer in some}  # in that order
    title = f"options: files to (3, 256, 256), one thread, {args.rounds} rounds"
    return common.report(title, f"{common.RATES} | takes: {{times:.2f}} x", rows, "")


def bench_quality(peers, paths, args):
    columns = "filter: {filter} | by that: {own[0]:.1f} | worst: {own[1]:.1f}"
    columns += " | by bilinear: {bilinear[0]:.1f} | worst: {bilinear[1]:.1f}"
    rows = {side: inspect(peers, paths, (side, side), 1, common.PHOTOS) for side in QUALITY_SIDES}
    for side in rows:
        words = f"PSNR in dB at {side} x {side}, mean and worst of {len(paths)} photos"
        common.report(f"quality: {words}", columns, rows[side])
    return rows


TABLES = {"photos": partial(bench_files, "photos", 256, common.PHOTOS)}
TABLES |= {"threads": partial(bench_files, "threads", 64, THREADS_BLOCK), "large": bench_large}
TABLES |= {"options": bench_options, "quality": bench_quality}


def main(argv=None):
    threads = {"type": common.positive_int, "default": 2, "help": "of that table (default: 2)"}
    large = {"metavar": "F.jpg", "help": "a file of your own for that table"}
    shared, own = ("rounds", "limit", "clock"), {"threads": threads, "large": large}
    args = common.parse(argv, __doc__, "resize", *shared, tables=TABLES, **own)
    peers, payload = common.begin(args, RESIZERS)
    photos, payload["corpus"] = pixels.read_corpus(args.images, args.limit)
    return common.finish(args, payload, TABLES, peers, [photo.path for photo in photos])


if __name__ == "__main__":
    main()
