# SPDX-License-Identifier: BSD-3-Clause
"""Eight random crops of each photo, as DINO takes them: two of 224 x 224 and six of 96 x 96, from files, on one thread.

"takes" is the time in relation to that of one crop of 224 x 224 of the same photos: the median over all blocks of all
rounds. "Pillow" decodes each photo once and resizes its eight boxes; "eight calls" are `fastimg.load` for each view.

Before anything is timed, the views are compared with those of the eight calls: they may differ where a call would have
reduced the photo further, by no more than 40 dB. After every timed block its pixels are compared with those of the
first time. Pillow's are only compared with themselves: its 8-bit passes round once more.
"""

import time

import numpy as np

import fastimg
from benchmarks import _common as common
from benchmarks import _pixels as pixels

SIDES = (224, 224, 96, 96, 96, 96, 96, 96)
SCALES = {224: (0.4, 1.0), 96: (0.05, 0.4)}
LEAST_DB = 40
COLUMNS = f"{common.RATES} | takes: {{takes:.2f}} x"
ONE = "fastimg, one crop of 224"


def draw_views(paths):
    """Return the options of each view for `fastimg.load`."""
    rng = np.random.default_rng(0)
    return [{"size": side, "crop": fastimg.random_crops(paths, rng, SCALES[side])} for side in SIDES]


def part_of(views, part):
    return [view | {"crop": view["crop"][part]} for view in views]


def one_crop(paths, views):
    return [fastimg.load(paths, num_threads=1, **views[0])]


def eight_views(paths, views):
    return fastimg.load(paths, views=views, num_threads=1)


def eight_calls(paths, views):
    return [fastimg.load(paths, num_threads=1, **view) for view in views]


def pillow_views(paths, views):
    from PIL import Image

    outs = [np.empty((len(paths), 3, view["size"], view["size"]), np.uint8) for view in views]
    for i, path in enumerate(paths):
        with Image.open(path) as file:
            image = file.convert("RGB")
        for out, view in zip(outs, views, strict=True):
            top, left, height, width = view["crop"][i].tolist()
            side = view["size"]
            small = image.resize((side, side), Image.BILINEAR, (left, top, left + width, top + height))
            out[i] = np.asarray(small).transpose(2, 0, 1)
    return outs


WAYS = {
    ONE: one_crop,
    "fastimg, eight views": eight_views,
    "fastimg, eight calls": eight_calls,
    "Pillow, one decode": pillow_views,
}


def verify(paths, views):
    """Exit if the views are not what calls of their own give."""
    for number, (one, other) in enumerate(
        zip(eight_views(paths, views), eight_calls(paths, views), strict=True)
    ):
        worst = min(pixels.psnrs(one.astype(np.float32), other))
        if worst < LEAST_DB:
            raise SystemExit(f"view {number} is {worst:.1f} dB from a call of its own, expected {LEAST_DB}")


def bench_views(paths, views, args):
    """Time all ways; return their figures."""
    parts = common.slices(len(paths), common.PHOTOS)
    clock = common.CLOCKS[args.clock]
    sums = {}

    def job(name, way):
        def run(block):
            chosen, own = paths[parts[block]], part_of(views, parts[block])
            start = clock()
            found = way(chosen, own)
            took = clock() - start
            got = [each for view in found for each in pixels.checksums(view)]
            pixels.check_sums(got, sums.setdefault((name, block), got), name)
            return took

        return run

    jobs = {name: job(name, way) for name, way in WAYS.items()}
    seconds = common.interleave(jobs, len(parts), args.rounds, "views")
    rows = common.compare(seconds, len(paths), {name: {} for name in WAYS}, ONE)
    for name, row in rows.items():
        row["takes"] = common.ratio(seconds[name], seconds[ONE])
    title = f"views: {', '.join(map(str, SIDES))} of each photo, one thread, {args.rounds} rounds"
    return common.report(title, COLUMNS, rows, "way")


def main(argv=None):
    args = common.parse(argv, __doc__, "views", "rounds", "limit", "clock")
    _, payload = common.begin(args, ())
    photos, payload["corpus"] = pixels.read_corpus(args.images, args.limit)
    paths = [photo.path for photo in photos]
    views = draw_views(paths)
    start = time.perf_counter()
    verify(paths, views)
    print(f"verified in {time.perf_counter() - start:.1f} s")
    return common.finish(args, payload, {"views": lambda args: bench_views(paths, views, args)})


if __name__ == "__main__":
    main()
