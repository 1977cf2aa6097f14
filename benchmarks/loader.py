# SPDX-License-Identifier: BSD-3-Clause
"""Batches for training from a folder of photos, against the loaders that others would use.

Every contestant gives shuffled batches (B, 3, S, S) of uint8 in the CPU's memory, as NumPy arrays or tensors, made by
--threads workers: threads, or processes in the case of PyTorch's DataLoader (fork, persistent, else as it
comes). The list of photos is repeated until there are --samples, less what does not fill a batch. A run is one epoch in
a fresh process; within a round the contestants take turns, in an order that is rotated. Two tables:

plain     every photo stretched to S x S.
crop      a part of every photo, drawn anew for each sample, to S x S, every second mirrored. fastimg and DALI draw the
          parts themselves, within the time. The others are given theirs, drawn beforehand by fastimg.random_crops
          from the same distribution, and the sizes of photos that this takes: that costs them nothing.

Each of them is printed in two parts. The first:

images/s     after the first batch: the median of the rounds, and the slowest and fastest.
fastimg is   how many times as fast fastimg is as that row's contestant: the median of the rounds' ratios.
CPU, ms      milliseconds of processor time an image, of all processes together, over the whole epoch. It tells more
             than the clock where other programs run as well.
fastimg takes  that of fastimg as a part of that of the row's contestant.
antialiased  "no" where a pixel of the result is made of four pixels of the photo, however many it stands for.
PSNR         mean over the photos against the bilinear reference, in dB; "-" for crops that cannot be known.

The second:

first batch  milliseconds from the creation of the loader to the first batch. The libraries have been imported before;
             worker processes start within.
fastimg is   how many times sooner fastimg has its own.
from start   seconds from the start of the process, imports included, to the first batch; and as before.
memory       MB of all processes of the contestant together, interpreter and libraries included: the sum of
             proportional set sizes, sampled every 50 ms, at its largest. Pages of files that other programs
             happen to have too count whole. Only where there is /proc, and in runs of their own, because
             sampling slows down what is sampled: one in each of the first two rounds.
fastimg takes  that memory of fastimg as a part of that of the row's contestant.
processes, threads  at the most. Threads that a library starts and does not use, NumPy's for one, count.

A loader that begins with several batches at once has some of the second one done when the first one comes. That is
counted in its favour: nobody's images/s waits for all workers to be in step.

Before anything is timed, a pass in order is compared with the bilinear reference, and those who are too far off are
left out, with the reason. Crops that DALI drew cannot be known; there the brightness of every colour has to be right.
The shapes, the dtype and the number of all timed batches are checked, and the pixels of those runs whose memory is
sampled.

The DataLoaders, SPDL (package spdl, and FFmpeg's libraries) and DALI (nvidia-dali-cuda120; no GPU is needed) are large,
so they do not come with the other peers: they take part where they are installed.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks import _common as common
from benchmarks._loader_peers import KINDS, SEED, Epoch, Loading
from benchmarks._loader_run import Job, run
from benchmarks._peers import Fastimg, available
from benchmarks._resize_quality import checksums, psnr, reference, too_far

TABLES = ("plain", "crop")
MEMORY_ROUNDS = 2
SUBJECT = "fastimg"


def new_epoch(photos: Sequence[common.Photo], args: Any, cropped: bool) -> Epoch:
    """Return an epoch of whole batches; its crops are the same for every run."""
    count = args.samples // args.batch_size * args.batch_size
    some = list(itertools.islice(itertools.cycle(photos), count))
    boxes = flips = None
    if cropped:
        import fastimg

        rng = np.random.default_rng(SEED)
        boxes = fastimg.random_crops([photo.shape[:2] for photo in some], rng)
        flips = rng.random(count) < 0.5
    return Epoch([photo.path for photo in some], boxes, flips, args.batch_size, args.size, args.threads, True)


# Pixels


def beginning(epoch: Epoch, count: int) -> Epoch:
    """Return the first samples, in order, as many as hold `count`, or all."""
    count = min(len(epoch.paths), -(-count // epoch.batch_size) * epoch.batch_size)
    boxes = None if epoch.boxes is None else epoch.boxes[:count]
    flips = None if epoch.flips is None else epoch.flips[:count]
    return replace(epoch, paths=epoch.paths[:count], boxes=boxes, flips=flips, shuffle=False)


def expected_images(pixels: Mapping[str, np.ndarray], epoch: Epoch, crops: Any) -> list[np.ndarray]:
    """Return the bilinear reference of every sample, (3, side, side) in floats."""
    whole = itertools.repeat((None, False))
    images = []
    for path, (box, flip) in zip(epoch.paths, zip(*crops, strict=True) if crops else whole, strict=False):
        part = pixels[path]
        if box is not None:
            top, left, height, width = box
            part = part[top : top + height, left : left + width]
        image = reference(part, (epoch.side, epoch.side), "bilinear")
        images.append(image[:, :, ::-1] if flip else image)
    return images


def wrong_brightness(images: np.ndarray, expected: Sequence[np.ndarray]) -> str | None:
    """Return what is wrong with the colours of other parts of the same photos, or None.

    Sample by sample the differences of two random parts are large and their mean is about 0, within 5 times the
    deviation that a mean of so many has. Red and blue that are swapped differ by 15 levels in most folders.
    """
    difference = images.mean(axis=(2, 3)) - np.array([image.mean(axis=(1, 2)) for image in expected])
    limit = 5 * difference.std(axis=0) / np.sqrt(len(images)) + 0.5  # levels; both are rounded
    if (abs(difference.mean(axis=0)) <= limit).all():
        return None
    return f"its colours differ by {difference.mean(axis=0).round(1)} levels; at most {limit.round(1)} are allowed"


def verify(kind: type[Loading], epoch: Epoch, pixels: Mapping[str, np.ndarray], given: Any) -> dict[str, Any]:
    """Return the contestant's facts: "reason" is why it is left out, or None.

    `given` are the references of the crops that the benchmark hands out.
    """
    try:
        facts = run(Job(kind.name, "verify", epoch))
    except RuntimeError as error:
        return {"reason": str(error)}
    images, crops = facts.pop("images"), facts.pop("crops", None)
    facts["reason"], facts["psnr"], facts["sums"] = None, None, checksums(images)
    if epoch.boxes is not None and crops is None:
        facts["reason"] = wrong_brightness(images, given)
        facts["sums"] = []
        return facts
    expected = expected_images(pixels, epoch, crops) if kind.own_crops and crops else given
    values = [psnr(*pair) for pair in zip(images, expected, strict=True)]
    facts["psnr"] = [float(np.mean(values)), min(values)]
    facts["reason"] = too_far(values, kind.antialiased)
    return facts


def inspect(
    kinds: Sequence[type[Loading]], epoch: Epoch, photos: Sequence[common.Photo], desc: str
) -> dict[str, dict[str, Any]]:
    """Return `verify`'s facts of every contestant."""
    few = beginning(epoch, len(photos))
    pixels = {photo.path: common.pillow_pixels(photo.data) for photo in photos}
    crops = None if few.boxes is None else (few.boxes, few.flips)
    given = expected_images(pixels, few, crops)
    return {kind.name: verify(kind, few, pixels, given) for kind in tqdm(kinds, desc=f"pixels, {desc}")}


# Runs


def run_rounds(
    names: Sequence[str], epoch: Epoch, rounds: int, found: Mapping[str, Mapping[str, Any]], desc: str
) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """Return {name: what its runs gave, one a round}, those that were timed and those whose memory was sampled."""
    timed: dict[str, list[Any]] = {name: [] for name in names}
    sampled: dict[str, list[Any]] = {name: [] for name in names}
    memory_rounds = min(rounds, MEMORY_ROUNDS)
    with tqdm(total=len(names) * (rounds + memory_rounds), desc=desc) as bar:
        for turn in range(rounds):
            shift = turn % len(names) if names else 0
            order = [*names[shift:], *names[:shift]]
            for name in order:
                timed[name].append(run(Job(name, "time", epoch)))
                bar.update()
            for name in order[: len(order) if turn < memory_rounds else 0]:
                sampled[name].append(run(Job(name, "memory", epoch)))
                if Counter(found[name]["sums"]) - Counter(sampled[name][-1].pop("sums")):
                    raise SystemExit(f"{name}: pixels differ from those that were verified")
                bar.update()
    return timed, sampled


def figures(
    runs: Sequence[Mapping[str, Any]], sampled: Sequence[Mapping[str, Any]], samples: int, batch_size: int
) -> dict[str, Any]:
    """Return a contestant's figures, one a round: images/s, seconds, bytes, numbers."""
    images = samples - batch_size
    row: dict[str, Any] = {
        "rate": [images / (one["end"] - one["first"]) for one in runs],
        "first": [one["first"] - one["begin"] for one in runs],
        "start": [one["first"] - one["started"] for one in runs],
        "processor": [one["processor"] / samples for one in runs],
    }
    for key in ("memory", "pss", "processes", "threads"):
        row[key] = [one[key] for one in sampled if key in one]
    return row


def median_ratio(of: Sequence[float], to: Sequence[float]) -> float:
    return float(np.median(np.divide(of, to)))


def compare(rows: Mapping[str, dict[str, Any]]) -> None:
    """Add to every row how fastimg compares, the median of the rounds' ratios."""
    ours = rows.get(SUBJECT)
    for row in rows.values() if ours else ():
        row["times"] = median_ratio(ours["rate"], row["rate"])
        row["works"] = median_ratio(ours["processor"], row["processor"])
        row["sooner"] = median_ratio(row["first"], ours["first"])
        row["start_sooner"] = median_ratio(row["start"], ours["start"])
        if ours["memory"] and row["memory"]:
            row["takes"] = median_ratio(ours["memory"], row["memory"])


# Output


def times(row: Mapping[str, Any], key: str) -> str:
    return f"{row[key]:.2f} x" if key in row else "-"


def median(row: Mapping[str, Any], key: str, form: str, scale: float = 1) -> str:
    return format(float(np.median(row[key])) * scale, form) if row[key] else "-"


def print_rows(rows: Mapping[str, Mapping[str, Any]], words: str) -> None:
    """Print both parts of a table, the fastest contestant first."""
    print(f"\n{words}: throughput\n")
    head = ["contestant", "images/s", "min", "max", "fastimg is", "CPU, ms", "fastimg takes"]
    common.print_table(
        [*head, "antialiased", "PSNR"],
        [
            [
                name,
                median(row, "rate", ".0f"),
                f"{min(row['rate']):.0f}",
                f"{max(row['rate']):.0f}",
                times(row, "times"),
                median(row, "processor", ".2f", 1e3),
                times(row, "works"),
                "yes" if row["antialiased"] else "no",
                f"{row['psnr'][0]:.1f}" if row["psnr"] else "-",
            ]
            for name, row in rows.items()
        ],
    )
    print(f"{words}: start and memory\n")
    head = ["contestant", "first batch, ms", "fastimg is", "from start, s", "fastimg is"]
    common.print_table(
        [*head, "memory, MB", "fastimg takes", "processes", "threads"],
        [
            [
                name,
                median(row, "first", ".0f", 1e3),
                times(row, "sooner"),
                median(row, "start", ".2f"),
                times(row, "start_sooner"),
                median(row, "memory", ".0f", 1e-6),
                times(row, "takes"),
                median(row, "processes", ".0f"),
                median(row, "threads", ".0f"),
            ]
            for name, row in rows.items()
        ],
    )


def headline(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
    """Print and return how fastimg compares with the best antialiased peer, for each figure the best at it."""
    peers = {name: row for name, row in rows.items() if row["antialiased"] and not name.startswith(SUBJECT)}
    if not peers or SUBJECT not in rows:
        return None
    best: dict[str, Any] = {}
    for key, words in (
        ("times", "fastimg is {} as fast as the fastest antialiased peer, {}"),
        ("sooner", "its first batch comes {} sooner than that of the quickest one, {}"),
        ("takes", "it takes {} the memory of the smallest one, {}"),
    ):
        among = {name: row[key] for name, row in peers.items() if key in row}
        if among:
            name = max(among, key=among.__getitem__) if key == "takes" else min(among, key=among.__getitem__)
            best[key] = {"name": name, "value": among[name]}
            print(words.format(f"{among[name]:.2f} x", name))
    return best


def contestants(
    kinds: Sequence[type[Loading]], found: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, str]]:
    """Print and return versions and routes."""
    facts = {
        kind.name: {key: found[kind.name][key] for key in ("version", "libjpeg")} | {"route": kind.route}
        for kind in kinds
    }
    for name, fact in facts.items():
        print(f"  {name} {fact['version']}, libjpeg-turbo {fact['libjpeg']}: {fact['route']}")
    return facts


def bench(
    table: str, kinds: Sequence[type[Loading]], photos: Sequence[common.Photo], args: Any
) -> dict[str, Any]:
    """Verify, time, and print a table; return its figures."""
    epoch = new_epoch(photos, args, table == "crop")
    found = inspect(kinds, epoch, photos, table)
    fit = [kind for kind in kinds if not found[kind.name]["reason"]]
    peers = contestants(fit, found)
    timed, sampled = run_rounds([kind.name for kind in fit], epoch, args.rounds, found, table)
    rows = {}
    for kind in fit:
        row = figures(timed[kind.name], sampled[kind.name], len(epoch.paths), epoch.batch_size)
        rows[kind.name] = row | {"antialiased": kind.antialiased, "psnr": found[kind.name]["psnr"]}
    compare(rows)
    rows = dict(sorted(rows.items(), key=lambda item: -float(np.median(item[1]["rate"]))))
    print_rows(
        rows,
        f"{table}: {len(epoch.paths)} samples in batches of {epoch.batch_size} to (3, {epoch.side}, {epoch.side}), "
        f"{epoch.num_threads} workers, {args.rounds} rounds",
    )
    best = headline(rows)
    for name, facts in found.items():
        if facts["reason"]:
            print(f"{name} is left out: {facts['reason']}")
    return {"contestants": peers, "rows": rows, "best_antialiased": best}


def main(argv: Sequence[str] | None = None) -> int:
    parser = common.new_parser(__doc__, "loader")
    parser.add_argument("--rounds", type=common.positive_int, default=5, help="default: 5")
    parser.add_argument("--samples", type=common.positive_int, default=2000, help="an epoch (default: 2000)")
    parser.add_argument("--batch-size", type=common.positive_int, default=64, metavar="B", help="default: 64")
    parser.add_argument("--size", type=common.positive_int, default=224, metavar="S", help="default: 224")
    parser.add_argument("--threads", type=common.positive_int, default=2, help="or workers (default: 2)")
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=TABLES)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="contestants whose names begin so")
    args = parser.parse_args(argv)
    if args.samples < 2 * args.batch_size:
        parser.error(f"--samples must fill two batches of {args.batch_size}, found {args.samples}")
    kinds = [kind for kind in KINDS if not args.only or kind.name.startswith(tuple(args.only))]
    if not kinds:
        parser.error(f"--only must name some of {', '.join(kind.name for kind in KINDS)}")

    env = common.environment(*available([Fastimg]))
    common.print_environment(env)
    photos, corpus = common.read_corpus(args.images, None)
    common.print_corpus(corpus)
    photos = [replace(photo, path=os.path.abspath(photo.path)) for photo in photos]
    payload: dict[str, Any] = {"environment": env, "corpus": corpus, "options": vars(args)}
    for table in args.tables:
        payload[table] = bench(table, kinds, photos, args)
    common.write_json(args.json, payload)
    return 0


if __name__ == "__main__":
    sys.exit(main())
