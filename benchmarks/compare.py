# SPDX-License-Identifier: BSD-3-Clause
"""Two builds of fastimg against one another, on one thread: "ratio" is how many times as fast as BEFORE AFTER is.

BEFORE and AFTER are folders with a package fastimg that can be imported: source trees that are built in place, virtual
environments, or what pip install --target makes. Both run in this Python.

  git worktree add ../before v0.2.0
  (cd ../before && python setup.py build_ext --inplace)
  python -m benchmarks.compare ../before . --images photos

Bytes in memory to a preallocated array, by fastimg.decode(data, out=).

photos       the photos as they are
q75          encoded again at quality 75, 4:2:0
progressive  encoded again at quality 85
12M          a mosaic of the photos in cells of 500 x 375, 4000 x 3000, 4:2:0, at quality 90
32x32        the photos shrunk to 32 x 32, at quality 90

Each build has a process of its own; they take turns block by block, on the same CPU where the system lets us choose it
(Linux), and are timed by CPU time. "quartiles" are those of the blocks' ratios. "differ" says of how many files the
pixels differ, which may be meant. Give the same build twice to see what ratios are where there is nothing to measure.
"""

import contextlib
import pathlib

import numpy as np
from PIL import Image

from benchmarks import _common as common
from benchmarks._pixels import mosaic, pillow_pixels, read_corpus
from benchmarks._process import Child
from benchmarks.stages import different, encode, measure

PER_SIDE = 8  # cells of the mosaic
SMALL, SMALLS, SMALL_BLOCK = (32, 32), 2048, 512  # images, with repetitions; a block is about 10 ms

RESULTS = {"(3, H, W)": {}, "(H, W, 3)": {"layout": "HWC"}}
RESULTS |= {f"(3, {side}, {side})": {"size": (side, side)} for side in (256, 224, 64)}


def photo_files(photos):
    return {photo.path: photo.data for photo in photos}


def encoded(photos, **options):
    return {photo.path: encode(pillow_pixels(photo.data), **options) for photo in photos}


def large_file(photos):
    sheet = mosaic([photo.path for photo in photos], PER_SIDE, PER_SIDE)
    return {"mosaic": encode(np.asarray(sheet), quality=90, subsampling="4:2:0")}


def small_files(photos):
    images = [Image.fromarray(pillow_pixels(photo.data)).resize(SMALL) for photo in photos]
    files = [encode(np.asarray(image), quality=90) for image in images]
    return {f"{i}": files[i % len(files)] for i in range(SMALLS)}


# name: (function that makes the files of the photos, its options, how many are a block, results)
CASES = {
    "photos": (photo_files, {}, common.PHOTOS, ("(3, H, W)", "(H, W, 3)", "(3, 256, 256)", "(3, 64, 64)")),
    "q75": (
        encoded,
        {"quality": 75, "subsampling": "4:2:0"},
        common.PHOTOS,
        ("(3, H, W)", "(H, W, 3)", "(3, 256, 256)"),
    ),
    "progressive": (
        encoded,
        {"quality": 85, "progressive": True},
        common.PHOTOS,
        ("(3, H, W)", "(3, 256, 256)"),
    ),
    "12M": (large_file, {}, 1, ("(3, H, W)", "(3, 224, 224)")),
    "32x32": (small_files, {}, SMALL_BLOCK, ("(3, H, W)",)),
}


def find_build(path):
    """Return the folder below which the package is, of a tree or a virtual environment; SystemExit if there is none."""
    root = pathlib.Path(path).absolute()
    for folder in (root, *root.glob("lib/python*/site-packages"), root / "Lib/site-packages"):
        if (folder / "fastimg/__init__.py").exists():
            return str(folder)
    raise SystemExit(f"{path}: no folder fastimg there that could be imported")


@contextlib.contextmanager
def builds(**paths):
    """Yield {name: a process with that build}, and what each says of itself."""
    with contextlib.ExitStack() as stack:
        pair, facts = {}, {}
        for name, path in paths.items():
            folder = find_build(path)
            pair[name] = stack.enter_context(Child("benchmarks._decoder:Decoder", folder))
            facts[name] = pair[name].ask("facts")
            found = facts[name].pop("folder")
            if not pathlib.Path(found).samefile(pathlib.Path(folder, "fastimg")):
                raise SystemExit(f"{path}: expected {folder}, imported {found}")
            print(f"{name}: {path}, " + ", ".join(f"{key} {value}" for key, value in facts[name].items()))
        yield pair, facts


def bench_builds(pair, photos, args):
    rows = {}
    for case in args.cases:
        make, options, block, results = CASES[case]
        files = make(photos, **options)
        for to in results:
            name = f"{case} to {to}"
            rows[name] = measure(pair, files, block, args.rounds, name, different, **RESULTS[to])
            rows[name]["differ"] = len(rows[name].pop("check"))
    title = f"builds: milliseconds per image, one thread, {args.rounds} rounds"
    columns = "images: {images} | before: {ms[before]:#.4g} | after: {ms[after]:#.4g} | ratio: {ratio:.3f}"
    columns += " | quartiles: {quartiles[0]:.3f} to {quartiles[1]:.3f} | differ: {differ}"
    return common.report(title, columns, rows, "case")


def main(argv=None):
    folder = "a folder with a built fastimg"
    own = {
        "before": {"help": folder},
        "after": {"help": folder},
        "rounds": {"default": 9},
        "cases": {"nargs": "+", "choices": list(CASES), "default": list(CASES), "help": "default: all"},
    }
    args = common.parse(argv, __doc__, "compare", "rounds", "limit", positional=("before", "after"), **own)
    _, payload = common.begin(args, ())
    with builds(after=args.after, before=args.before) as (pair, payload["versions"]):
        photos, payload["corpus"] = read_corpus(args.images, args.limit)
        return common.finish(args, payload, {"builds": bench_builds}, pair, photos)


if __name__ == "__main__":
    main()
