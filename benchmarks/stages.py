# SPDX-License-Identifier: BSD-3-Clause
"""fastimg's own Huffman stage against libjpeg-turbo's ("stock", FASTIMG_ENTROPY=stock), on one thread.

Bytes in memory to contiguous (3, H, W) uint8 in a preallocated buffer, (1, H, W) for grey files, by
fastimg.decode(data, out=). With our Huffman stage come our inverse DCT to full size, and colours straight to
planes; without it all of these are libjpeg-turbo's. "ratio" is what they are worth to a whole decode, and 1.00
would be nothing. Three tables:

photos    the photos as they are, to their own size and to (3, 256, 256).
classes   generated files of four sizes, three qualities, 4:4:4, 4:2:0 and grey, with restart markers after every
          row of MCUs and without. They are made of parts of the photos, so that they compress as photos do.
kinds     the photos re-encoded at quality 85; with optimised tables; progressive; and damaged: where bits are
          wrong our stage gives up and libjpeg-turbo's begins again, and where the end is missing ours does not
          begin. The pixels of damaged files are those of strict=False.

Each stage has a process of its own, that lives as long as the run; they take turns block by block, on the same CPU
where the system lets us choose it (Linux), and each times itself: in CPU time, since nothing is waited for and a
busy machine disturbs that less. "quartiles" are those of the blocks' ratios: a quarter lies below the first, a
quarter above the second. --null shows what ratios are where there is nothing to measure. Before anything is timed,
both have to get the same pixels from every file.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import _common as common
from benchmarks._common import Photo
from benchmarks._peers import Fastimg, available
from benchmarks._stage_files import AXES, KINDS, Class, Classes, choose, kind_task, write_pictures
from benchmarks._stage_run import Contestant, Task, contestants, measure

TABLES = ("photos", "classes", "kinds")
BLOCK = 8  # photos in a row for one contestant: about 20 ms, short against most disturbances
SIDE = 256


def bench_photos(pair: Mapping[str, Contestant], photos: Sequence[Photo], rounds: int) -> dict[str, Any]:
    """Verify, time, and print the table "photos"; return its figures."""
    names, files = [photo.path for photo in photos], [photo.data for photo in photos]
    shapes = [(3, photo.shape[0], photo.shape[1]) for photo in photos]
    small = [(3, SIDE, SIDE)] * len(photos)
    tasks = {
        "(3, H, W)": Task(names, files, shapes, BLOCK),
        f"(3, {SIDE}, {SIDE})": Task(names, files, small, BLOCK, {"size": (SIDE, SIDE)}),
    }
    rows = {name: measure(pair, task, rounds, name) for name, task in tasks.items()}
    print(f"\nphotos: images/s, {len(photos)} files, one thread, {rounds} rounds\n")
    common.print_table(
        ["to", *pair, "ratio", "quartiles"],
        [
            [name, *(f"{1e3 / ms:.0f}" for ms in row["ms"].values()), *ratios(row)]
            for name, row in rows.items()
        ],
    )
    return rows


def bench_classes(
    pair: Mapping[str, Contestant], photos: Sequence[Photo], wanted: Sequence[Class], rounds: int
) -> dict[str, Any]:
    """Verify, time, and print the table "classes"; return its figures."""
    made = Classes(photos)
    rows = {one.name: measure(pair, made.task(one), rounds, one.name) for one in wanted}
    print(f"\nclasses: milliseconds an image, one thread, {rounds} rounds\n")
    print_milliseconds("class", pair, rows)
    worst = min(rows, key=lambda name: float(rows[name]["ratio"]))
    print(f"the worst of {len(rows)} is {worst}: {rows[worst]['ratio']:.3f}")
    return {"rows": rows, "worst": worst}


def bench_kinds(pair: Mapping[str, Contestant], photos: Sequence[Photo], rounds: int) -> dict[str, Any]:
    """Verify, time, and print the table "kinds"; return its figures."""
    rows = {kind: measure(pair, kind_task(photos, kind, BLOCK), rounds, kind) for kind in KINDS}
    print(
        f"\nkinds: milliseconds an image, {len(photos)} photos at quality 85, one thread, {rounds} rounds\n"
    )
    print_milliseconds("kind", pair, rows)
    return rows


def ratios(row: Mapping[str, Any]) -> list[str]:
    return [f"{row['ratio']:.3f}", "{:.3f} to {:.3f}".format(*row["quartiles"])]


def print_milliseconds(
    subject: str, pair: Mapping[str, Contestant], rows: Mapping[str, Mapping[str, Any]]
) -> None:
    common.print_table(
        [subject, "bytes/pixel", *pair, "ratio", "quartiles"],
        [
            [name, f"{row['bytes_a_pixel']:.3f}", *(f"{ms:#.4g}" for ms in row["ms"].values()), *ratios(row)]
            for name, row in rows.items()
        ],
    )


def main(argv: Sequence[str] | None = None) -> int:
    words = [word for axis in AXES for word in axis]
    parser = common.new_parser(__doc__, "stages", images_required=False)
    parser.add_argument("--rounds", type=common.positive_int, default=7, help="default: 7")
    parser.add_argument("--limit", type=common.positive_int, metavar="N", help="use the first N photos only")
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=TABLES)
    parser.add_argument(
        "--classes",
        nargs="+",
        choices=words,
        metavar="WORD",
        default=[],
        help=f"only the classes that have one of these for what they tell: {', '.join(words)}",
    )
    parser.add_argument("--null", action="store_true", help="time libjpeg-turbo's stage against itself")
    args = parser.parse_args(argv)

    env = common.environment(*available([Fastimg]))
    common.print_environment(env)
    stages = {"stock, again": "stock"} if args.null else {"fastimg": "fastimg"}
    with contextlib.ExitStack() as stack:
        pair = stack.enter_context(contestants({**stages, "stock": "stock"}))
        folder = args.images
        if folder is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="fastimg-bench-"))
            write_pictures(folder)
        photos, corpus = common.read_corpus(folder, args.limit)
        common.print_corpus(corpus)
        payload: dict[str, Any] = {"environment": env, "corpus": corpus, "options": vars(args)}
        payload["stages"] = {name: one.stage for name, one in pair.items()}
        if "photos" in args.tables:
            payload["photos"] = bench_photos(pair, photos, args.rounds)
        if "classes" in args.tables:
            payload["classes"] = bench_classes(pair, photos, choose(args.classes), args.rounds)
        if "kinds" in args.tables:
            payload["kinds"] = bench_kinds(pair, photos, args.rounds)
    common.write_json(args.json, payload)
    return 0


if __name__ == "__main__":
    sys.exit(main())
