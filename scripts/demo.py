# SPDX-License-Identifier: BSD-3-Clause
"""Loads a folder of JPEG files, prints figures, saves a contact sheet. Called by demo.sh."""

import argparse
import math
import os
import resource
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import fastimg
from fastimg.benchmarking import own_files
from fastimg.cli.bench import print_decoders

ARRAY_NBYTES = 1 << 30  # a demo should fit: no more than this is loaded at once
TIMED_IMAGES = 128  # a small group is loaded repeatedly, so that a clock can see it
SIZE = 256
COMPARE_SECONDS = 10
ROUNDS = 3  # the best counts
BATCH = 32
TILES = 48
NEXT = {
    f"fastimg load {{folder}} -o train.npy --size {SIZE} --labels": "one array; classes by folder",
    "fastimg check {folder}": "which files are broken, and why",
    "fastimg bench {folder}": "threads, sizes, storage: what to set",
}
TILE = 160  # pixels


def peak_nbytes():
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def cpu_count():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def mb(nbytes):
    return f"{nbytes / 1e6:,.1f} MB"


def rates(images, seconds, jpeg_nbytes, pixel_nbytes):
    return (
        f"{images:,} images in {seconds:.2f} s: {images / seconds:,.0f} images/s, "
        f"{jpeg_nbytes / 1e6 / seconds:,.0f} MB/s of JPEG, {pixel_nbytes / 1e6 / seconds:,.0f} MB/s of pixels"
    )


def read_headers(paths):
    """The files by shape: {shape: [(path, size of the file)]}, and the errors of those that have none."""
    groups, errors = defaultdict(list), []
    for path in paths:
        try:
            header = fastimg.read_header(path)
        except (fastimg.JpegError, OSError) as error:
            errors.append(error)
        else:
            groups[header.shape].append((path, header.nbytes))
    return groups, errors


def load_into_one(files, shape, failures, call, **options):
    """As many of the files as fit, into one array of images of `shape`. Returns (paths, array)."""
    fitting = max(1, ARRAY_NBYTES // math.prod(shape))
    files = files[:fitting]
    paths = [path for path, _ in files]
    times = min(math.ceil(TIMED_IMAGES / len(paths)), fitting // len(paths))
    data = np.empty((times * len(paths), *shape), np.uint8)
    data.fill(0)  # now it is in memory, and what load adds shows
    before = peak_nbytes()
    seconds = math.inf
    for _ in range(ROUNDS):
        start = time.perf_counter()
        fastimg.load(paths * times, data, on_error=failures.append, **options)
        seconds = min(seconds, time.perf_counter() - start)
    added = peak_nbytes() - before

    again = f", {times} times" if times > 1 else ""
    print(f"{call}, {len(paths)} files{again}, into one array")
    print(f"    {data.shape} uint8, {mb(data.nbytes)}; {mb(added)} of memory more while it ran")
    print("   ", rates(len(data), seconds, times * sum(nbytes for _, nbytes in files), data.nbytes))
    print()
    return paths, data[: len(paths)]


def compare(paths):
    """The same files by other libraries that are installed, on one thread."""
    print("The same photos by all libraries that are installed here:", flush=True)
    corpus = own_files.look_at(paths, TIMED_IMAGES, SIZE)
    plan = own_files.Plan(SIZE, [1], COMPARE_SECONDS, False, False)
    print_decoders(own_files.Bench(corpus, plan).decoders())
    print()


def load_rest(files, failures, tiles):
    """The files of other sizes, a batch at a time. The first few become tiles."""
    accessor = fastimg.NonUniformImageFileAccessor([path for path, _ in files], on_error=failures.append)
    nbytes, seconds = 0, 0.0
    for first in range(0, len(accessor), BATCH):
        start = time.perf_counter()
        images = accessor[first : first + BATCH]
        seconds += time.perf_counter() - start
        nbytes += sum(image.nbytes for image in images)
        for (path, _), image in zip(files[first:], images, strict=False):
            if image.size and len(tiles) < TILES:
                tiles.append((path, thumbnail(image)))
    print(f"fastimg.NonUniformImageFileAccessor, {len(files)} files of other sizes, {BATCH} at a time:")
    print("   ", rates(len(files), seconds, sum(size for _, size in files), nbytes))
    print()


def thumbnail(image):
    """A (3, H, W) uint8 array as a small Pillow image."""
    small = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
    small.thumbnail((TILE, TILE), reducing_gap=2.0)
    return small


def contact_sheet(tiles):
    columns = min(8, math.ceil(math.sqrt(len(tiles))))
    rows = math.ceil(len(tiles) / columns)
    cell_width, cell_height = TILE + 12, TILE + 28
    sheet = Image.new("RGB", (columns * cell_width, rows * cell_height), "white")
    draw = ImageDraw.Draw(sheet)
    for index, (path, small) in enumerate(tiles):
        left, top = index % columns * cell_width, index // columns * cell_height
        sheet.paste(small, (left + (cell_width - small.width) // 2, top + 6 + (TILE - small.height) // 2))
        name = Path(path).name.encode("ascii", "replace").decode()
        draw.text((left + 6, top + TILE + 10), name if len(name) <= 26 else name[:23] + "...", fill="black")
    return sheet


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--output", default="contact-sheet.png")
    arguments = parser.parse_args()

    paths = fastimg.find_images(arguments.folder)
    if not paths:
        sys.exit(f"no .jpg or .jpeg files below {arguments.folder}")
    groups, failures = read_headers(paths)
    if not groups:
        sys.exit(f"none of the files below {arguments.folder} is a JPEG that fastimg reads: {failures[0]}")

    info = fastimg.build_info()
    print(f"fastimg {info['version']}, libjpeg-turbo {info['libjpeg_turbo']}, kernels {info['kernels']}")
    print(f"Python {sys.version.split()[0]}, NumPy {np.__version__}, {cpu_count()} CPUs")
    total = sum(nbytes for files in groups.values() for _, nbytes in files)
    print(f"{len(paths):,} photos below {arguments.folder}, {mb(total)}; width x height:")
    by_count = sorted(groups.items(), key=lambda item: -len(item[1]))
    for (_, height, width), files in by_count[:8]:
        print(f"    {len(files):>6,} of {width} x {height}")
    if len(by_count) > 8:
        print(f"    {sum(len(files) for _, files in by_count[8:]):>6,} of {len(by_count) - 8} other sizes")
    print()

    (shape, files), *others = by_count
    names, data = load_into_one(files, shape, failures, "fastimg.load(paths) of one size")
    rest = [file for _, group in others for file in group]
    share = TILES if not rest else max(TILES // 2, TILES - len(rest))
    tiles = [(path, thumbnail(image)) for path, image in zip(names[:share], data, strict=False)]
    del data
    if rest:
        load_rest(rest, failures, tiles)
    everything = [file for _, group in by_count for file in group]
    load_into_one(everything, (3, SIZE, SIZE), failures, f"fastimg.load(paths, size={SIZE})", size=SIZE)
    compare([path for path, _ in everything])

    bad = list({str(error): error for error in failures}.values())
    if bad:
        print(f"{len(bad)} failures, the first: {bad[0]}\n")
    output = Path(arguments.output).resolve()
    contact_sheet(tiles).save(output)
    print(f"contact sheet: {output}\n")
    print(f"What next, with {Path(sys.executable).parent}/ before the command:")
    for command, what in NEXT.items():
        print(f"    {command.format(folder=arguments.folder)}\n        {what}")
    print("docs/start.md shows the same from Python, and training.")


if __name__ == "__main__":
    main()
