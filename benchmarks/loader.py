# SPDX-License-Identifier: BSD-3-Clause
"""Batches for training from a folder of photos, against the loaders that others would use.

Every contestant gives shuffled batches (B, 3, S, S) of uint8 in the CPU's memory, as NumPy arrays or tensors, made by
--threads workers: threads, or processes in the case of PyTorch's DataLoader (fork, persistent, defaults otherwise).
The photos are repeated until there are --samples, less what does not fill a batch. A run is one epoch in a fresh
process; the contestants take turns, in an order that rotates. Two tables, each in two parts:

plain     every photo stretched to S x S.
crop      a part of every photo, drawn anew for each sample, to S x S, every second mirrored. fastimg and DALI draw the
          parts themselves, within the time. The others are given theirs, drawn beforehand by fastimg.random_crops
          from the same distribution, and the sizes of photos that this takes: that costs them nothing.

images/s     after the first batch: the median of the rounds, and the slowest and fastest. What a loader has done of the
             second batch by then counts in its favour.
fastimg is   how many times as fast fastimg is as that row's contestant: the median of the rounds' ratios.
CPU, ms      milliseconds of processor time per image, of all processes together, over the whole epoch. It says more
             than the clock if other programs are running.
fastimg takes  fastimg's processor time, or memory, as a share of that of the row's contestant.
antialiased  "no" where a pixel of the result is made of four pixels of the photo, however many it stands for.
PSNR         mean over the photos against the bilinear reference, in dB; "-" for crops that cannot be known.

first batch  milliseconds from the creation of the loader to the first batch, and how many times sooner fastimg has its
             own. The libraries have been imported before; worker processes start within.
from start   the same in seconds from the start of the process, imports included.
memory       MB of all processes of the contestant together, interpreter and libraries included: the sum of
             proportional set sizes, sampled every 50 ms, at its largest. Pages of files that other programs happen to
             have too count in full. Only where there is /proc, and in at most two runs that are not timed, because
             sampling slows down what is sampled.
processes, threads  at most, including threads that a library starts and does not use.

Before anything is timed, a pass in order is compared with the bilinear reference, and those that are too far off are
left out, with the reason. Crops that DALI drew cannot be known; there the brightness of every colour has to be right.
The shape, dtype and number of all timed batches are checked, and the pixels of the runs whose memory is sampled.

The DataLoaders, SPDL (package spdl, and FFmpeg's libraries) and DALI (nvidia-dali-cuda120; no GPU is needed) are large,
so they do not come with the other peers: they take part where they are installed.
"""

import itertools
import os
from collections import Counter, defaultdict
from functools import partial

import numpy as np
from tqdm import tqdm

from benchmarks import _common as common
from benchmarks import _pixels as pixels
from benchmarks._loaders import LOADERS, SEED, Epoch
from benchmarks._process import Child, ChildError, session_usage
from fastimg.benchmarking.peers import DECODERS

MEMORY_ROUNDS = 2
MEMORY = {"memory MB", "pss MB", "processes", "threads"}
INTERVAL = 0.05  # seconds between two samples

THROUGHPUT = "CPU, ms: {CPU ms:.2f} | fastimg takes: {ours / CPU ms:.2f} x"
THROUGHPUT += " | antialiased: {antialiased} | PSNR: {psnr[0]:.1f}"
START = "first batch, ms: {first ms:.0f} | fastimg is: {first ms / ours:.2f} x | from start, s: {start s:.2f}"
START += " | fastimg is: {start s / ours:.2f} x | memory, MB: {memory MB:.0f}"
START += " | fastimg takes: {ours / memory MB:.2f} x | processes: {processes:.0f} | threads: {threads:.0f}"
BEST = [
    ("times", min, "fastimg is {:.2f} x as fast as the fastest antialiased peer, {}"),
    ("first ms / ours", min, "its first batch comes {:.2f} x sooner than that of the quickest one, {}"),
    ("ours / memory MB", max, "it takes {:.2f} x the memory of the smallest one, {}"),
]


def new_epoch(photos, args, cropped):
    """Return an epoch of whole batches; its crops are the same for every run."""
    count = args.samples // args.batch_size * args.batch_size
    some = list(itertools.islice(itertools.cycle(photos), count))
    boxes = flips = None
    if cropped:
        import fastimg

        rng = np.random.default_rng(SEED)
        boxes = fastimg.random_crops([photo.shape[:2] for photo in some], rng)
        flips = rng.random(count) < 0.5
    paths = [os.path.abspath(photo.path) for photo in some]
    return Epoch(paths, boxes, flips, args.batch_size, args.size, args.threads, True)


def run(what, name, epoch):
    """Return the answer of that function of `_loaders` from a fresh process, and the most memory seen there."""
    with Child("benchmarks._loaders") as child:
        child.send(what, name, epoch)
        seen = Counter()
        if what == "sums":
            for usage in child.samples(INTERVAL, lambda: session_usage(child.process.pid)):
                seen |= Counter(usage)  # the largest of each
        return {"started": child.started, **child.receive(), **seen}


def expected_images(originals, epoch, crops):
    """Return the bilinear reference of every sample, (3, side, side) in floats; `crops` are (boxes, flips)."""
    each = zip(*crops, strict=True) if crops else itertools.repeat((None, False))
    images = []
    for path, (box, flip) in zip(epoch.paths, each, strict=False):
        image = pixels.reference(originals[path], (epoch.side, epoch.side), box=box)
        images.append(image[:, :, ::-1] if flip else image)
    return images


def wrong_brightness(images, expected):
    """Return what is wrong with the colours of other parts of the same photos, or None.

    The differences of two random parts are large, but their mean is 0 within 5 times the deviation that a mean of so
    many has. Red and blue that are swapped differ by 15 levels in most folders.
    """
    differences = images.mean(axis=(2, 3)) - np.array([image.mean(axis=(1, 2)) for image in expected])
    found = differences.mean(axis=0)
    limit = 5 * differences.std(axis=0) / np.sqrt(len(images)) + 0.5  # levels; both are rounded
    if (abs(found) <= limit).all():
        return None
    return f"its colours differ by {found.round(1)} levels; expected at most {limit.round(1)}"


def verify(kind, epoch, originals):
    """Return the contestant's facts: "reason" is why it is left out, or None."""
    try:
        facts = run("images", kind.name, epoch)
    except ChildError as error:
        return {"reason": str(error)}
    images, crops = facts.pop("images"), facts.pop("crops")
    antialiased = kind.traits.get("antialiased", True)
    facts["antialiased"] = "yes" if antialiased else "no"
    if epoch.boxes is not None and crops is None:
        others = expected_images(originals, epoch, (epoch.boxes, epoch.flips))
        return facts | {"sums": [], "reason": wrong_brightness(images, others)}
    values = pixels.psnrs(images, expected_images(originals, epoch, crops))
    facts |= {"sums": pixels.checksums(images), "psnr": pixels.mean_and_worst(values)}
    return facts | {"reason": pixels.too_far(values, antialiased)}


def measure(found, epoch, rounds, desc):
    """Add the figures of all that are not left out: medians of the rounds, and of the rounds' ratios."""
    names = [name for name in found if not found[name]["reason"]]
    count, each = len(epoch.paths), {name: defaultdict(list) for name in names}

    def timed(name):
        one, figures = run("run", name, epoch), each[name]
        figures["first ms"].append(1e3 * one["first"])
        figures["start s"].append(one["at"] - one["started"])
        figures["CPU ms"].append(1e3 * one["processor"] / count)
        return one["seconds"]

    def sampled(name):
        one = run("sums", name, epoch)
        if Counter(found[name]["sums"]) - Counter(one["sums"]):
            raise SystemExit(f"{name}: pixels differ from those that were verified")
        for key in MEMORY & one.keys():
            each[name][key].append(one[key])
        return 0

    jobs, others = ({name: lambda _, n=name, job=job: job(n) for name in names} for job in (timed, sampled))
    seconds = common.interleave(jobs, 1, rounds, desc)
    common.interleave(others, 1, min(rounds, MEMORY_ROUNDS), f"{desc}, memory")
    ours = each.get("fastimg", {})
    for name in names:
        found[name] |= {key: np.median(values) for key, values in each[name].items()} | {"rounds": each[name]}
        for key in each[name].keys() & ours.keys():
            found[name][f"{key} / ours"] = common.ratio(each[name][key], ours[key])
            found[name][f"ours / {key}"] = common.ratio(ours[key], each[name][key])
    return common.compare(seconds, count - epoch.batch_size, found)


def bench(table, kinds, photos, args):
    epoch = new_epoch(photos, args, table == "crop")
    # Verified are the first samples, in order, as many whole batches as hold every photo.
    first = slice(-(-len(photos) // epoch.batch_size) * epoch.batch_size)
    boxes, flips = (None if one is None else one[first] for one in (epoch.boxes, epoch.flips))
    few = epoch._replace(paths=epoch.paths[first], boxes=boxes, flips=flips, shuffle=False)
    originals = {os.path.abspath(photo.path): pixels.pillow_pixels(photo.data) for photo in photos}
    found = {kind.name: verify(kind, few, originals) for kind in tqdm(kinds, desc=f"pixels, {table}")}
    common.print_contestants({name: facts for name, facts in found.items() if not facts["reason"]})
    rows = measure(found, epoch, args.rounds, table)
    title = f"{table}: {len(epoch.paths)} samples in batches of {epoch.batch_size} to (3, {epoch.side}, {epoch.side})"
    title += f", {epoch.num_threads} workers, {args.rounds} rounds"
    fit = {name: row for name, row in rows.items() if not row["reason"]}
    common.report(f"{title}: throughput", f"{common.RATES} | {common.TIMES} | {THROUGHPUT}", fit)
    common.report(f"{title}: start and memory", START, rows)
    peers = {name: row for name, row in fit.items() if not name.startswith("fastimg")}
    for key, best, words in BEST:
        among = [
            (row[key], name) for name, row in peers.items() if row["antialiased"] == "yes" and key in row
        ]
        if among:
            print(words.format(*best(among)))
    return rows


TABLES = {"plain": partial(bench, "plain"), "crop": partial(bench, "crop")}


def main(argv=None):
    number = {"type": common.positive_int}
    own = {
        "samples": number | {"default": 2000, "help": "in an epoch (default: 2000)"},
        "batch_size": number | {"default": 64, "metavar": "B", "help": "default: 64"},
        "size": number | {"default": 224, "metavar": "S", "help": "default: 224"},
        "threads": number | {"default": 2, "help": "or workers (default: 2)"},
        "only": {"nargs": "+", "metavar": "NAME", "help": "contestants whose names begin so"},
    }
    args = common.parse(argv, __doc__, "loader", "rounds", tables=TABLES, **own)
    if args.samples < 2 * args.batch_size:
        raise SystemExit(f"--samples must fill two batches of {args.batch_size}, found {args.samples}")
    kinds = [kind for kind in LOADERS if not args.only or kind.name.startswith(tuple(args.only))]
    if not kinds:
        raise SystemExit(f"--only must name some of {', '.join(kind.name for kind in LOADERS)}")
    _, payload = common.begin(args, DECODERS[:1])
    photos, payload["corpus"] = pixels.read_corpus(args.images, None)
    return common.finish(args, payload, TABLES, kinds, photos)


if __name__ == "__main__":
    main()
