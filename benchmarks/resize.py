# SPDX-License-Identifier: BSD-3-Clause
"""Decoding straight to a smaller size, against the other Python libraries that decode and resize.

Every contestant fills the caller's rows of one preallocated, touched (N, 3, H, W) uint8 array from files, each by
its best route. Five tables:

photos    to (3, 256, 256) on one thread. "fastimg is" says how many times as fast fastimg is as that row's
          contestant. "antialiased" is "no" where a pixel of the result is made of four pixels of the photo,
          however many it stands for. "PSNR" is the mean over the photos against the bilinear reference.
threads   to (3, 64, 64) on --threads threads: fastimg's and DALI's own, a ThreadPoolExecutor with one task a
          thread for the others.
large     one file of 12 megapixels to (3, 224, 224) on one thread: milliseconds, and the peak of memory above
          what the process held before. For the peak each contestant has a fresh process, which has imported
          what it needs and decoded a tiny file. The file is a mosaic of the photos in cells of 500 x 375,
          4:2:0, at quality 90; or --large. fastimg also with no reducing_gap, and with the smallest.
options   fastimg with float results and with a crop for each image (random_crops), beside OpenCV with the
          same crops; "takes" is the time in relation to that of fastimg's plain uint8.
quality   PSNR in dB of every contestant, mean and worst photo, against Pillow's full decode that is resized
          in floats, unrounded: by the filter that the contestant has, and by the bilinear one. For INTER_AREA its
          own is the exact area. Rounding alone leaves about 59 dB.

Before anything is timed, the pixels of every contestant are compared with the bilinear reference, and those who
are too far off are left out, with the reason. After every timed block its pixels are compared with the verified.

torchvision, SPDL (package spdl, and FFmpeg's libraries) and DALI (nvidia-dali-cuda120; no GPU is needed) are large, so
they do not come with the other peers: they take part where they are installed.
"""

from __future__ import annotations

import pathlib
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks import _common as common
from benchmarks._peers import available
from benchmarks._resize_large import LARGE_SIZE, large_files, peak_memory
from benchmarks._resize_peers import GAPS, KINDS, MAIN, OpenCVArea, Resizing
from benchmarks._resize_quality import checksums, inspect, psnr, reference, too_far

TABLES = ("photos", "threads", "large", "options", "quality")
BLOCK = 8  # photos in a row for one contestant: about 20 ms, short against most disturbances
THREADS_BLOCK = 32  # more, because each block starts threads
QUALITY_SIDES = (256, 224, 64)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def only(peers: Sequence[Resizing], kinds: Sequence[type[Resizing]]) -> list[Resizing]:
    names = {kind.name for kind in kinds}
    return [peer for peer in peers if peer.name in names]


def print_left_out(found: Mapping[str, Mapping[str, Any]]) -> None:
    for name, facts in found.items():
        if facts["reason"]:
            print(f"{name} is left out: {facts['reason']}")


def times(value: float) -> str:
    return f"{value:.2f} x"


def run_files(
    peers: Sequence[Resizing],
    paths: Sequence[str],
    size: tuple[int, int],
    num_threads: int,
    block: int,
    rounds: int,
    clock: Callable[[], float],
    desc: str,
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Verify and time; return `summarize`'s rows and `inspect`'s findings."""
    found = inspect(peers, paths, size, num_threads, block)
    out = np.ones((block, 3, *size), np.uint8)  # ones, not empty: this touches every page

    def job(peer: Resizing) -> Callable[[int], None]:
        def run(turn: int) -> None:
            some = paths[turn * block : (turn + 1) * block]
            peer.load(some, out[: len(some)], num_threads)

        return run

    def spoil(_: int) -> None:
        np.subtract(255, out, out=out)

    def check(name: str, turn: int) -> None:
        expected = found[name]["sums"][turn * block : (turn + 1) * block]
        if checksums(out[: len(expected)]) != expected:
            raise SystemExit(f"{name}: a timed result differs from the one that was verified")

    jobs = {peer.name: job(peer) for peer in peers if not found[peer.name]["reason"]}
    blocks = -(-len(paths) // block)
    seconds = common.interleave(jobs, blocks, rounds, clock, desc, before=spoil, after=check)
    rows = common.summarize(seconds, len(paths), "fastimg")
    for peer in peers:
        if peer.name in rows:
            values = found[peer.name]["bilinear"]
            rows[peer.name] |= {
                "antialiased": peer.antialiased,
                "psnr": [float(np.mean(values)), min(values)],
            }
    return rows, found


def rates(row: Mapping[str, Any]) -> list[str]:
    return [f"{row[key]:.0f}" for key in ("rate", "min", "max")]


def milliseconds(row: Mapping[str, Any]) -> list[str]:
    return [f"{1e3 / row[key]:.1f}" for key in ("rate", "max", "min")]


def row_end(row: Mapping[str, Any]) -> list[str]:
    """Return the cells "fastimg is", "antialiased" and "PSNR"."""
    ratio = times(row["subject_is_times"]) if "subject_is_times" in row else "-"
    return [ratio, "yes" if row["antialiased"] else "no", f"{row['psnr'][0]:.1f}"]


def headline(rows: Mapping[str, Mapping[str, Any]], words: str, among: Callable[[str], bool]) -> Any:
    """Print and return how fastimg compares with the fastest peer of those that `among` lets pass."""
    for name, row in rows.items():  # fastest first
        if not name.startswith("fastimg") and among(name) and "subject_is_times" in row:
            print(f"fastimg is {times(row['subject_is_times'])} {words}, {name}")
            return {"name": name, "fastimg_is_times": row["subject_is_times"]}
    return None


def bench_files(
    peers: Sequence[Resizing],
    paths: Sequence[str],
    side: int,
    num_threads: int,
    block: int,
    rounds: int,
    clock: Callable[[], float],
    desc: str,
) -> dict[str, Any]:
    """Verify, time, and print the table "photos" or "threads"; return its figures."""
    rows, found = run_files(peers, paths, (side, side), num_threads, block, rounds, clock, desc)
    threads = "one thread" if num_threads == 1 else f"{num_threads} threads"
    print(f"\n{desc}: files to (3, {side}, {side}), {threads}, {rounds} rounds\n")
    common.print_table(
        ["contestant", "images/s", "min", "max", "fastimg is", "antialiased", "PSNR"],
        [[name, *rates(row), *row_end(row)] for name, row in rows.items()],
    )
    print_left_out(found)
    return {
        "rows": rows,
        "fastest_antialiased": headline(
            rows, "the fastest antialiased peer", lambda name: rows[name]["antialiased"]
        ),
        "fastest_aliased": headline(rows, "the aliased one", lambda name: not rows[name]["antialiased"]),
    }


# A large file


def bench_large(
    peers: Sequence[Resizing],
    paths: Sequence[str],
    given: str | None,
    rounds: int,
    clock: Callable[[], float],
) -> dict[str, Any]:
    """Verify, time, and print the table "large"; return its figures."""
    with large_files(paths, given) as (large, tiny, words):
        rows, found = run_files(peers, [large], LARGE_SIZE, 1, 1, rounds, clock, "large")
        for name, row in tqdm(rows.items(), desc="memory"):
            row["peak"] = peak_memory(name, tiny, large, found[name]["sums"])
    height, width = LARGE_SIZE
    print(f"\nlarge: {words}, to (3, {height}, {width}), one thread, {rounds} rounds\n")
    common.print_table(
        ["contestant", "ms", "min", "max", "fastimg is", "antialiased", "PSNR", "peak, MB"],
        [[name, *milliseconds(row), *row_end(row), f"{row['peak'] / 1e6:.1f}"] for name, row in rows.items()],
    )
    print_left_out(found)
    among = headline(rows, "the fastest antialiased peer", lambda name: rows[name]["antialiased"])
    return {"file": words, "rows": rows, "fastest_antialiased": among}


# Options


def bench_options(paths: Sequence[str], side: int, rounds: int, clock: Callable[[], float]) -> dict[str, Any]:
    """Verify, time, and print the table "options"; return its figures."""
    import fastimg

    size = (side, side)
    boxes = np.asarray(fastimg.random_crops(paths, np.random.default_rng(0)))
    outs = {dtype: np.ones((BLOCK, 3, *size), dtype) for dtype in ("uint8", "float32", "float16")}
    opencv = [peer for peer in available([OpenCVArea])[0] if isinstance(peer, OpenCVArea)]

    def load(dtype: str, cropped: bool) -> Callable[[int], np.ndarray]:
        norm = {} if dtype == "uint8" else {"mean": MEAN, "std": STD}

        def run(block: int) -> np.ndarray:
            here = slice(block * BLOCK, (block + 1) * BLOCK)
            out = outs[dtype][: len(paths[here])]
            crop = {"crop": boxes[here]} if cropped else {}
            return fastimg.load(paths[here], out, size=size, dtype=dtype, num_threads=1, **norm, **crop)

        return run

    def crop_by_opencv(block: int) -> np.ndarray:
        here = slice(block * BLOCK, (block + 1) * BLOCK)
        out = outs["uint8"][: len(paths[here])]
        for path, box, row in zip(paths[here], boxes[here], out, strict=True):
            opencv[0].crop_into(path, box, row)
        return out

    plain, with_crops = load("uint8", False), "fastimg uint8, a crop for each image"
    jobs: dict[str, Callable[[int], np.ndarray]] = {"fastimg uint8": plain}
    jobs |= {f"fastimg {dtype}, normalised": load(dtype, False) for dtype in ("float32", "float16")}
    jobs |= {with_crops: load("uint8", True)}
    jobs |= {"fastimg float32, normalised, a crop for each image": load("float32", True)}
    if opencv:
        jobs["OpenCV INTER_AREA, a crop for each image"] = crop_by_opencv
    blocks = -(-len(paths) // BLOCK)
    check_options(jobs, paths, boxes, size, blocks)
    seconds = common.interleave(jobs, blocks, rounds, clock, "options")
    rows = common.summarize(seconds, len(paths), "fastimg uint8")
    print(f"\noptions: files to (3, {side}, {side}), one thread, {rounds} rounds\n")
    common.print_table(
        ["", "images/s", "min", "max", "takes"],
        [[name, *rates(rows[name]), times(rows[name]["subject_is_times"])] for name in jobs],
    )
    return rows


def check_options(
    jobs: Mapping[str, Callable[[int], np.ndarray]],
    paths: Sequence[str],
    boxes: np.ndarray,
    size: tuple[int, int],
    blocks: int,
) -> None:
    """Raise SystemExit unless every job of "options" gives the photos that it should."""
    values: dict[str, list[float]] = {name: [] for name in jobs}
    mean, std = (np.array(value, np.float32)[:, None, None] for value in (MEAN, STD))
    for block in tqdm(range(blocks), desc="pixels, options"):
        here = slice(block * BLOCK, (block + 1) * BLOCK)
        whole, cropped = [], []
        for path, (top, left, height, width) in zip(paths[here], boxes[here], strict=True):
            pixels = common.pillow_pixels(pathlib.Path(path).read_bytes())
            whole.append(reference(pixels, size, "bilinear"))
            cropped.append(reference(pixels[top : top + height, left : left + width], size, "bilinear"))
        for name, job in jobs.items():
            images = job(block).astype(np.float32)
            if "normalised" in name:
                images = (images * std + mean) * 255
            pairs = zip(images, cropped if "crop" in name else whole, strict=True)
            values[name] += [psnr(*pair) for pair in pairs]
    for name, some in values.items():
        if reason := too_far(some, antialiased=True):
            raise SystemExit(f"{name}: {reason}")


# Quality


def bench_quality(peers: Sequence[Resizing], paths: Sequence[str]) -> dict[str, Any]:
    """Print the table "quality", once a size; return its figures."""
    results: dict[str, Any] = {}
    for side in QUALITY_SIDES:
        found = inspect(peers, paths, (side, side), 1, BLOCK)
        rows = results[str(side)] = {
            name: {key: [float(np.mean(facts[key])), min(facts[key])] for key in ("own", "bilinear")}
            for name, facts in found.items()
            if facts["own"]
        }
        print(f"\nquality: PSNR in dB at {side} x {side}, mean and worst of {len(paths)} photos\n")
        filters = {peer.name: peer.resample for peer in peers}
        common.print_table(
            ["contestant", "filter", "by that", "worst", "by bilinear", "worst"],
            [
                [name, filters[name], *(f"{value:.1f}" for key in ("own", "bilinear") for value in row[key])]
                for name, row in rows.items()
            ],
        )
    return results


def main(argv: Sequence[str] | None = None) -> int:
    parser = common.new_parser(__doc__, "resize")
    parser.add_argument("--rounds", type=common.positive_int, default=5, help="default: 5")
    parser.add_argument("--limit", type=common.positive_int, metavar="N", help="use the first N photos only")
    parser.add_argument("--threads", type=common.positive_int, default=2, help="of that table (default: 2)")
    parser.add_argument("--large", metavar="F.jpg", help="a file of your own for that table")
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=TABLES)
    parser.add_argument(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="cpu, for what runs on one thread: this process's time on any core (default: wall)",
    )
    args = parser.parse_args(argv)
    clock = time.perf_counter if args.clock == "wall" else time.process_time

    peers, missing = available(KINDS)
    env = common.environment(peers, missing)
    common.print_environment(env)
    photos, corpus = common.read_corpus(args.images, args.limit)
    common.print_corpus(corpus)
    paths = [photo.path for photo in photos]
    del photos
    some = only(peers, MAIN)
    payload: dict[str, Any] = {"environment": env, "corpus": corpus, "clock": args.clock}
    if "photos" in args.tables:
        payload["photos"] = bench_files(some, paths, 256, 1, BLOCK, args.rounds, clock, "photos")
    if "threads" in args.tables:
        wall = time.perf_counter
        payload["threads"] = bench_files(
            some, paths, 64, args.threads, THREADS_BLOCK, args.rounds, wall, "threads"
        )
    if "large" in args.tables:
        everyone = only(peers, (*MAIN, *GAPS))
        payload["large"] = bench_large(everyone, paths, args.large, args.rounds, clock)
    if "options" in args.tables and "fastimg" in env["contestants"]:
        payload["options"] = bench_options(paths, 256, args.rounds, clock)
    if "quality" in args.tables:
        payload["quality"] = bench_quality(peers, paths)
    common.write_json(args.json, payload)
    return 0


if __name__ == "__main__":
    sys.exit(main())
