# SPDX-License-Identifier: BSD-3-Clause
"""Decoding speed on one thread, against the other Python libraries that decode JPEG.

Three tables:

photos    bytes in memory to contiguous (3, H, W) uint8 in a preallocated buffer. "fastimg is" says how many
          times as fast fastimg is as that row's contestant. Two lines below the table compare with the
          fastest peer (a library and, where it only gives (H, W, 3), a NumPy transpose), and with the
          fastest of all routes, those included that need OpenCV as a second dependency for cv2.split.
small     a 32 x 32 JPEG, which is nothing but overhead: the plain call decode(bytes) that gives a fresh array
          in the layout that each library prefers, and the call that fills a (3, 32, 32) buffer.
one       fastimg.load of one image against fastimg.decode of it: 1.00 is a batch of one that costs nothing.

Before anything is timed, every contestant decodes every image, and its pixels are compared with Pillow's.
"exact" is equality; a worst difference up to 2 levels is shown and timed; anything else is left out, with the
reason.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks import _common as common
from benchmarks._common import Photo
from benchmarks._peers import Peer, available

TOLERATED = 2  # levels; a different inverse DCT is off by 1 or 2, cheap upsampling or wrong colours by dozens
BLOCK = 8  # photos in a row for one contestant: about 20 ms, short against most disturbances
SMALL = 32  # pixels on a side: 4 MCUs, so that what is timed is the call
SMALL_CALLS = 1000  # a block: 10 to 200 ms
SMALL_BLOCKS = 5


def views(photos: Sequence[Photo], layout: str) -> list[np.ndarray]:
    """Return for each photo its `out`: a view of one buffer that is allocated, and touched, once."""
    buffer = np.zeros(max(np.prod(photo.shape) for photo in photos), np.uint8)
    outs = []
    for photo in photos:
        height, width, _ = photo.shape
        shape = (3, height, width) if layout == "CHW" else (height, width, 3)
        outs.append(buffer[: height * width * 3].reshape(shape))
    return outs


def worst_difference(got: np.ndarray, expected: np.ndarray) -> int:
    """Return the largest absolute difference; ValueError if the shapes or dtypes differ."""
    if got.shape != expected.shape or got.dtype != expected.dtype:
        raise ValueError(f"expected {expected.shape} {expected.dtype}, got {got.shape} {got.dtype}")
    if np.array_equal(got, expected):
        return 0
    return int(np.abs(got.astype(np.int16) - expected).max())


def check(
    fill: Callable[[bytes, np.ndarray], object],
    photos: Sequence[Photo],
    outs: Sequence[np.ndarray],
    layout: str,
) -> tuple[int, str | None]:
    """Return (worst difference from Pillow over all photos, reason to leave the contestant out or None)."""
    worst = 0
    for photo, out in zip(photos, outs, strict=True):
        pixels = common.pillow_pixels(photo.data)
        expected = pixels.transpose(2, 0, 1) if layout == "CHW" else pixels
        np.subtract(255, expected, out=out)  # differs from the right answer everywhere: 255 - x is never x
        try:
            fill(photo.data, out)
            worst = max(worst, worst_difference(out, expected))
        except Exception as error:  # whatever a peer raises, the others go on
            return worst, f"{type(error).__name__} on {photo.path}: {error}"
        if worst > TOLERATED:
            return worst, f"{photo.path} differs by {worst} levels"
    return worst, None


def fill_method(peer: Peer, layout: str) -> Callable[[bytes, np.ndarray], None]:
    return peer.into_chw if layout == "CHW" else peer.into_hwc


def bench_photos(
    peers: Sequence[Peer], photos: Sequence[Photo], layout: str, rounds: int, clock: Callable[[], float]
) -> dict[str, Any]:
    """Verify, time, and print the table "photos"; return its figures."""
    outs = views(photos, layout)
    left_out, worst, jobs = {}, {}, {}

    def job(peer: Peer) -> Callable[[int], None]:
        fill = fill_method(peer, layout)

        def run(block: int) -> None:
            for i in range(block * BLOCK, min(len(photos), (block + 1) * BLOCK)):
                fill(photos[i].data, outs[i])

        return run

    for peer in peers:
        worst[peer.name], reason = check(fill_method(peer, layout), photos, outs, layout)
        if reason:
            left_out[peer.name] = reason
        else:
            jobs[peer.name] = job(peer)
    seconds = common.interleave(jobs, -(-len(photos) // BLOCK), rounds, clock, "photos")
    rows = common.summarize(seconds, len(photos), "fastimg")
    shape = "(3, H, W)" if layout == "CHW" else "(H, W, 3)"
    print(f"\nphotos: bytes to contiguous {shape} in a preallocated buffer, one thread, {rounds} rounds\n")
    common.print_table(
        ["contestant", "images/s", "min", "max", "fastimg is", "pixels"],
        [
            [name, *figures(row), f"off by {worst[name]}" if worst[name] else "exact"]
            for name, row in rows.items()
        ],
    )
    for name, reason in left_out.items():
        print(f"{name} is left out: {reason}")
    exact = [peer for peer in peers if peer.name in rows and not worst[peer.name] and peer.name != "fastimg"]
    return {
        "rows": rows,
        "worst_difference": worst,
        "left_out": left_out,
        "fastest_peer": headline(rows, [peer for peer in exact if peer.baseline], "the fastest peer"),
        "fastest_route": headline(rows, exact, "the fastest of all other routes"),
    }


def times(row: dict[str, Any], key: str = "subject_is_times") -> str:
    return f"{row[key]:.2f} x" if key in row else "-"


def figures(row: dict[str, Any]) -> list[str]:
    """Return the four cells of a row: median, min and max rate, and the ratio to fastimg."""
    return [*(f"{row[key]:.0f}" for key in ("rate", "min", "max")), times(row)]


def headline(rows: dict[str, dict[str, Any]], among: Sequence[Peer], words: str) -> dict[str, Any] | None:
    """Print and return how fastimg compares with the fastest of `among`."""
    names = [peer.name for peer in among]
    first = next((name for name in rows if name in names), None)  # rows are sorted, fastest first
    if first is None or "fastimg" not in rows:
        return None
    print(f"fastimg is {times(rows[first])} {words}, {first}")
    return {"name": first, "fastimg_is_times": rows[first]["subject_is_times"]}


def small_photo(photo: Photo) -> Photo:
    """Return `photo` shrunk to 32 x 32 and encoded with Pillow's defaults."""
    from PIL import Image

    stream = io.BytesIO()
    Image.open(io.BytesIO(photo.data)).convert("RGB").resize((SMALL, SMALL)).save(stream, "JPEG")
    return Photo("<32 x 32>", stream.getvalue(), (SMALL, SMALL, 3))


def bench_small(
    peers: Sequence[Peer], photo: Photo, rounds: int, clock: Callable[[], float]
) -> dict[str, Any]:
    """Verify, time, and print the table "small"; return its figures."""
    out = views([photo], "CHW")[0]
    data, expected = photo.data, common.pillow_pixels(photo.data)
    plain_jobs, fill_jobs, left_out = {}, {}, {}
    for peer in peers:
        if "split" not in peer.name:  # the plain call is that of the library without it
            try:
                got = peer.decode(data)
                # A plain call may give either layout: fastimg and torchvision put the channels first.
                wanted = expected.transpose(2, 0, 1) if got.shape[0] == 3 else expected
                worst, reason = worst_difference(got, wanted), None
            except Exception as error:
                worst, reason = 0, f"{type(error).__name__}: {error}"
            if reason or worst > TOLERATED:
                left_out[peer.name] = reason or f"differs by {worst} levels"
                continue
            plain_jobs[peer.name] = repeat(peer.decode, data)
        worst, reason = check(peer.into_chw, [photo], [out], "CHW")
        if reason:
            left_out[peer.name] = reason
        else:
            fill_jobs[peer.name] = repeat(peer.into_chw, data, out)
    amount = SMALL_CALLS * SMALL_BLOCKS
    seconds = common.interleave(plain_jobs, SMALL_BLOCKS, rounds, clock, "small, plain call")
    plain = common.summarize(seconds, amount, "fastimg")
    seconds = common.interleave(fill_jobs, SMALL_BLOCKS, rounds, clock, "small, buffer")
    fill = common.summarize(seconds, amount, "fastimg")
    print(f"\nsmall: a {SMALL} x {SMALL} JPEG of {len(data)} bytes, calls/s, one thread, {rounds} rounds\n")
    head = ["contestant"]
    for call in ("plain call", "to (3, 32, 32)"):
        head += [call, "min", "max", "fastimg is"]
    cells = []
    for name in [*plain, *(name for name in fill if name not in plain)]:
        line = [name]
        for rows in (plain, fill):
            line += figures(rows[name]) if name in rows else ["-"] * 4
        cells.append(line)
    common.print_table(head, cells)
    for name, reason in left_out.items():
        print(f"{name} is left out: {reason}")
    others = [peer for peer in peers if peer.name != "fastimg"]
    return {
        "file_bytes": len(data),
        "plain": plain,
        "to_chw": fill,
        "left_out": left_out,
        "fastest_plain": headline(plain, others, "the fastest peer's plain call"),
        "fastest_to_chw": headline(fill, others, "the fastest other route to (3, 32, 32)"),
    }


def repeat(call: Callable[..., object], *arguments: object) -> Callable[[int], None]:
    def run(block: int) -> None:
        for _ in range(SMALL_CALLS):
            call(*arguments)

    return run


def bench_one(
    photos: Sequence[Photo], small: Photo, rounds: int, clock: Callable[[], float]
) -> dict[str, Any]:
    """Verify, time, and print the table "one"; return its figures."""
    import fastimg

    results = {}
    many = [small] * (SMALL_CALLS * SMALL_BLOCKS // 5)
    for title, some, from_path in (
        ("photos, bytes", photos, False),
        ("photos, files", photos, True),
        (f"{SMALL} x {SMALL}, bytes", many, False),
    ):
        outs = views(some, "CHW")
        batches = [out[None] for out in outs]
        sources = [photo.path if from_path else photo.data for photo in some]
        lists = [[source] for source in sources]

        def decode(i: int, sources=sources, outs=outs) -> None:  # type: ignore[no-untyped-def]
            fastimg.decode(sources[i], outs[i])

        def load(i: int, lists=lists, batches=batches) -> None:  # type: ignore[no-untyped-def]
            fastimg.load(lists[i], batches[i])

        for i in range(0, len(some), max(1, len(some) // 10)):
            load(i)
            got = outs[i].copy()
            np.subtract(255, got, out=outs[i])
            decode(i)
            if not np.array_equal(got, outs[i]):
                raise SystemExit(f"fastimg.load and fastimg.decode differ on {some[i].path}")
        # A block is one image: the two calls of a pair are then a few milliseconds apart.
        seconds = common.interleave({"decode": decode, "load": load}, len(some), rounds, clock, title)
        results[title] = common.summarize(seconds, len(some), "decode")
    print(f"\none: fastimg.load of one image against fastimg.decode of it, {rounds} rounds\n")
    cells = []
    for title, rows in results.items():
        each = {name: 1e6 / rows[name]["rate"] for name in ("decode", "load")}
        cells.append([title, *(f"{value:.1f}" for value in each.values()), times(rows["load"])])
    common.print_table(["source", "decode, us", "load, us", "load takes"], cells)
    return results


def plot(rows: dict[str, dict[str, Any]], layout: str, cpu: str, path: str) -> None:
    """Draw the table "photos" as bars, with the span of the rounds as whiskers."""
    figure, axes = common.new_figure(8, 0.45 * len(rows) + 1.3)
    names = list(rows)[::-1]
    rates = [rows[name]["rate"] for name in names]
    low = [rows[name]["rate"] - rows[name]["min"] for name in names]
    high = [rows[name]["max"] - rows[name]["rate"] for name in names]
    colors = ["tab:orange" if name == "fastimg" else "tab:gray" for name in names]
    axes.barh(names, rates, xerr=[low, high], color=colors, ecolor="black", capsize=3, height=0.7)
    for i, rate in enumerate(rates):
        axes.text(rate * 0.02, i, f"{rate:.0f}", va="center", color="white", fontweight="bold")
    shape = "(3, H, W)" if layout == "CHW" else "(H, W, 3)"
    axes.set_xlabel(f"images a second, one thread, JPEG bytes to contiguous {shape}\n{cpu}")
    common.save_figure(figure, path)


def main(argv: Sequence[str] | None = None) -> int:
    parser = common.new_parser(__doc__, "decode")
    parser.add_argument("--plot", metavar="F.png", help="draw the table photos as a bar chart")
    parser.add_argument("--rounds", type=common.positive_int, default=5, help="default: 5")
    parser.add_argument("--limit", type=common.positive_int, metavar="N", help="use the first N photos only")
    parser.add_argument("--layout", choices=("CHW", "HWC"), default="CHW", help="of photos (default: CHW)")
    parser.add_argument(
        "--tables", nargs="+", choices=("photos", "small", "one"), default=("photos", "small", "one")
    )
    parser.add_argument(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="cpu counts this process's time on any core: steadier on a busy machine (default: wall)",
    )
    args = parser.parse_args(argv)
    clock = time.perf_counter if args.clock == "wall" else time.process_time

    peers, missing = available()
    if args.layout == "HWC":
        peers = [peer for peer in peers if "split" not in peer.name]  # nothing is left to split
    env = common.environment(peers, missing)
    common.print_environment(env)
    photos, corpus = common.read_corpus(args.images, args.limit)
    common.print_corpus(corpus)

    payload: dict[str, Any] = {"environment": env, "corpus": corpus}
    payload |= {"layout": args.layout, "clock": args.clock}
    if "photos" in args.tables:
        payload["photos"] = bench_photos(peers, photos, args.layout, args.rounds, clock)
        if args.plot:
            plot(payload["photos"]["rows"], args.layout, env["cpu"], args.plot)
    if "small" in args.tables:
        payload["small"] = bench_small(peers, small_photo(photos[0]), args.rounds, clock)
    if "one" in args.tables and "fastimg" in env["contestants"]:
        payload["one"] = bench_one(photos, small_photo(photos[0]), args.rounds, clock)
    common.write_json(args.json, payload)
    return 0


if __name__ == "__main__":
    sys.exit(main())
