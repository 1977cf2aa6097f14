# SPDX-License-Identifier: BSD-3-Clause
"""Loading files into one array: how it scales with threads, and what it leaves to the interpreter.

The files are 256 x 256 crops of the photos, made at the start (kept with --work). The destination is one
(count, 3, 256, 256) uint8 array that is touched once and then reused, because the page faults of fresh memory
would drown the differences. Every contestant's array is compared with Pillow's pixels, all rows of it before
the timing; for every timed load some rows are spoiled first and compared again.

scaling   images/s for 1 to n threads. The peers are a plain loop (1 thread) and a ThreadPoolExecutor with one
          task a thread. "scaling" is that row's speed over the same contestant's on the fewest threads;
          "fastimg is" how many times as fast fastimg is on as many threads. The last rows show what the machine
          allows at this time: zlib.compress, which shares nothing. If they do not scale, nothing can.
gil       how fast a pure-Python loop in the main thread runs: (a) alone, (b) while another process does the
          load, (c) while a background thread of this process does the same load. Both take the CPU's time
          and memory; only (c) shares the loop's GIL. So c/b is the share of its speed that the loop keeps:
          1.00 means that the load never stood in its way. "loop has a core" says whether a CPU was left over
          for the loop; without one, b and c also hold what the scheduler happens to decide, and scatter more.
          "load keeps" is the load's own speed in (c) over (b): a load that goes back to the interpreter for
          each image waits there for the loop to give way, 5 ms a time, and leaves the loop its speed only
          because it hardly runs. Both shares have to be near 1. Such peers load a part of the files only.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks import _common as common
from benchmarks._peers import Fastimg, OpenCV, Peer, Pillow, SimpleJpeg, available

SIDE = 256
KINDS = {kind.name: kind for kind in (Fastimg, SimpleJpeg, OpenCV, Pillow)}
GIL_KINDS = ("fastimg", "OpenCV")  # ours, and the loop that most people have
SPOILED = 97  # every so manieth row is spoiled before a timed round: too few to warm or cool a cache
BLOCKS = 5  # parts of the files that the contestants take turns with; 2000 files are a second or so
PEER_SHARE = 20  # peers load one 20th of the files beside the loop: at 5 ms each, all would take a minute
SPIN = 20_000  # iterations between two looks at the flag: about a millisecond


def part(paths: Sequence[str], block: int) -> slice:
    """Return the rows of one of `BLOCKS` parts."""
    return slice(len(paths) * block // BLOCKS, len(paths) * (block + 1) // BLOCKS)


def checksums(out: np.ndarray, step: int = 1) -> list[int]:
    """Return the CRC-32 of every `step`-th row of `out` (N, 3, H, W)."""
    return [zlib.crc32(np.ascontiguousarray(row)) for row in out[::step]]


def expected_checksums(paths: Sequence[str]) -> list[int]:
    """Return `checksums` of what Pillow makes of the files."""
    sums = []
    for path in tqdm(paths, desc="reference"):
        with open(path, "rb") as file:
            pixels = common.pillow_pixels(file.read())
        sums.append(zlib.crc32(np.ascontiguousarray(pixels.transpose(2, 0, 1))))
    return sums


def spoil(out: np.ndarray) -> None:
    """Change every pixel of every `SPOILED`-th row, so that old content cannot pass for new."""
    np.subtract(255, out[::SPOILED], out=out[::SPOILED])


def verify(got: Sequence[int], expected: Sequence[int], who: str) -> None:
    """Raise SystemExit if checksums differ: what was timed was not the job."""
    wrong = sum(a != b for a, b in zip(got, expected, strict=True))
    if wrong:
        raise SystemExit(f"{who}: {wrong} of {len(expected)} rows that were compared differ from Pillow's")


# Scaling


class Ceiling:
    """Work that scales as well as the machine lets it: plain C without the GIL, files, or shared memory."""

    name = "(zlib.compress)"

    def __init__(self) -> None:
        self._data = np.random.default_rng(0).integers(0, 16, 1 << 20, np.uint8).tobytes()

    def load(self, paths: Sequence[str], _: np.ndarray, num_threads: int) -> None:
        units = max(num_threads, len(paths) // 50) // num_threads  # about as long as the loads

        def work(_: int) -> None:
            for _ in range(units):
                zlib.compress(self._data, 1)

        with ThreadPoolExecutor(num_threads) as pool:
            list(pool.map(work, range(num_threads)))


def bench_scaling(
    peers: Sequence[Peer],
    paths: Sequence[str],
    out: np.ndarray,
    expected: Sequence[int],
    threads: Sequence[int],
    rounds: int,
) -> dict[str, Any]:
    """Verify, time, and print the table "scaling"; return {contestant: {threads: figures}}."""
    for peer in peers:
        out[:] = 0
        peer.load(paths, out, max(threads))
        verify(checksums(out), expected, peer.name)
    ceiling = Ceiling()
    everyone = {f"{peer.name}, {n}": (peer, n) for peer in (*peers, ceiling) for n in threads}

    def job(peer: Peer | Ceiling, n: int) -> Callable[[int], None]:
        return lambda block: peer.load(paths[part(paths, block)], out[part(paths, block)], n)

    def check(name: str, block: int) -> None:
        here = part(paths, block)
        if name.startswith(ceiling.name):
            spoil(out[here])  # a second time: 255 - (255 - x) is x again
            return
        verify(checksums(out[here], SPOILED), expected[here][::SPOILED], name)

    seconds = common.interleave(
        {name: job(*who) for name, who in everyone.items()},
        BLOCKS,
        rounds,
        desc="scaling",
        before=lambda block: spoil(out[part(paths, block)]),
        after=check,
    )
    rows = common.summarize(seconds, len(paths), "fastimg")
    results: dict[str, Any] = {}
    cells = []
    for name, (peer, n) in everyone.items():
        row = rows[name]
        row["scaling"] = common.ratio(seconds[f"{peer.name}, {threads[0]}"], seconds[name])
        if peer is not ceiling and f"fastimg, {n}" in seconds:
            row["fastimg_is_times"] = common.ratio(seconds[name], seconds[f"fastimg, {n}"])
        results.setdefault(peer.name, {})[n] = row
        times = f"{row['fastimg_is_times']:.2f} x" if "fastimg_is_times" in row else "-"
        speeds = ["-" if peer is ceiling else f"{row[key]:.0f}" for key in ("rate", "min", "max")]
        cells.append([peer.name, str(n), *speeds, f"{row['scaling']:.2f} x", times])
    print(f"\nscaling: {len(paths)} files of {SIDE} x {SIDE} into {out.shape} uint8, {rounds} rounds\n")
    head = ["contestant", "threads", "images/s", "min", "max", "scaling", "fastimg is"]
    common.print_table(head, cells)
    return results


# GIL contention


def spin(done: Any) -> float:
    """Return the iterations a second of a pure-Python loop that runs until `done.value` is not 0."""
    turns = x = 0
    start = time.perf_counter()
    while not turns or not done.value:
        for _ in range(SPIN):
            x = (x * 1103515245 + 12345) & 0x7FFFFFFF
        turns += 1
    return turns * SPIN / (time.perf_counter() - start)


def other_process(
    pipe: Connection, started: Any, done: Any, paths: list[str], shape: tuple[int, ...]
) -> None:
    """Load into an array of this process's own whenever `pipe` says who and with how many threads."""
    peers = {peer.name: peer for peer in available([KINDS[name] for name in GIL_KINDS])[0]}
    out = np.ones(shape, np.uint8)
    for peer in peers.values():
        peer.load(paths[:64], out[:64], 1)  # whatever is set up once is set up now
    pipe.send("ready")
    while (job := pipe.recv()) is not None:
        name, threads, first, end = job
        mine = out[first:end]
        spoil(mine)
        started.value = 1
        began = time.perf_counter()
        peers[name].load(paths[first:end], mine, threads)
        elapsed = time.perf_counter() - began
        done.value = 1
        pipe.send((elapsed, checksums(mine, SPOILED)))


def bench_gil(
    peers: Sequence[Peer], paths: list[str], out: np.ndarray, threads: Sequence[int], rounds: int
) -> dict[str, Any]:
    """Time, and print the table "gil"; return {contestant: {threads: figures}}."""
    context = multiprocessing.get_context("spawn")  # a fork would share pages, and locks, with this process
    expected = [expected_checksums(paths[part(paths, block)][::SPOILED]) for block in range(BLOCKS)]
    started, done = context.RawValue("b", 0), context.RawValue("b", 0)
    ours, theirs = context.Pipe()
    child = context.Process(target=other_process, args=(theirs, started, done, paths, out.shape), daemon=True)
    child.start()
    theirs.close()  # so that recv raises EOFError, instead of waiting, if the other process dies
    ours.recv()

    def rows_of(peer: Peer, block: int) -> tuple[int, int]:
        first, end = part(paths, block).start, part(paths, block).stop
        return (first, end) if peer.name == "fastimg" else (first, first + -(-(end - first) // PEER_SHARE))

    def alone() -> float:
        done.value = 0
        timer = threading.Timer(0.5, setattr, (done, "value", 1))
        timer.start()
        return spin(done)

    def beside_process(peer: Peer, n: int, block: int) -> tuple[float, float]:
        started.value = done.value = 0
        ours.send((peer.name, n, *rows_of(peer, block)))
        while not started.value:
            time.sleep(0.001)
        speed = spin(done)
        elapsed, sums = ours.recv()
        verify(sums, expected[block][: len(sums)], f"{peer.name} in another process")
        return speed, elapsed

    def beside_thread(peer: Peer, n: int, block: int) -> tuple[float, float]:
        first, end = rows_of(peer, block)
        mine, some = out[first:end], paths[first:end]
        spoil(mine)
        done.value = 0
        elapsed = 0.0

        def work() -> None:
            nonlocal elapsed
            try:
                began = time.perf_counter()
                peer.load(some, mine, n)
                elapsed = time.perf_counter() - began
            finally:
                done.value = 1

        thread = threading.Thread(target=work)
        thread.start()
        speed = spin(done)
        thread.join()
        sums = checksums(mine, SPOILED)
        verify(sums, expected[block][: len(sums)], f"{peer.name} in a background thread")
        return speed, elapsed

    everyone = [(peer, n) for peer in peers for n in threads]
    alone_speeds: list[float] = []
    samples: dict[tuple[str, int], list[dict[str, float]]] = {(peer.name, n): [] for peer, n in everyone}
    with tqdm(total=rounds * BLOCKS * len(everyone), desc="gil") as bar:
        for turn in range(rounds * BLOCKS):
            block = turn % BLOCKS
            alone_speeds.append(alone())
            shift = turn % len(everyone)
            for peer, n in everyone[shift:] + everyone[:shift]:
                # Which of the two comes first changes from turn to turn.
                pair: Sequence[tuple[str, Callable[[Peer, int, int], tuple[float, float]]]]
                pair = (("b", beside_process), ("c", beside_thread))
                sample = {"a": alone_speeds[-1]}
                for key, measure in pair if turn % 2 else pair[::-1]:
                    sample[key], elapsed = measure(peer, n, block)
                    first, end = rows_of(peer, block)
                    sample[f"load_{key}"] = (end - first) / elapsed
                samples[peer.name, n].append(sample)
                bar.update()
    ours.send(None)
    child.join()

    results: dict[str, Any] = {}
    cells = []
    for (name, n), rows in samples.items():
        middle = {key: median(row[key] for row in rows) for key in rows[0]}
        kept = [row["c"] / row["b"] for row in rows]
        core = "yes" if n < common.usable_cpus() else "no"
        load_kept = median(row["load_c"] / row["load_b"] for row in rows)
        figures = {
            **middle,
            "load c/b": load_kept,
            "c/b": median(kept),
            "c/b quartiles": [float(np.quantile(kept, q)) for q in (0.25, 0.75)],
            "rounds": rows,
        }
        results.setdefault(name, {})[n] = {**figures, "loop_has_a_core": core == "yes"}
        cells.append(
            [name, str(n), core]
            + [f"{middle[key] / 1e6:.2f}" for key in "abc"]
            + [f"{value:.3f}" for value in (median(kept), *figures["c/b quartiles"])]
            + [f"{middle['load_c']:.0f}", f"{load_kept:.3f}"]
        )
    print(f"\ngil: a Python loop, in millions of iterations a second, beside a load of {len(paths)} files\n")
    head = ["contestant", "threads", "loop has a core", "a alone", "b process", "c thread"]
    common.print_table([*head, "c/b", "25 %", "75 %", "images/s in c", "load keeps"], cells)
    return results


def main(argv: Sequence[str] | None = None) -> int:
    parser = common.new_parser(__doc__, "load")
    parser.add_argument("--count", type=common.positive_int, default=10_000, help="files (default: 10000)")
    parser.add_argument("--work", metavar="DIR", help="keep the files here (default: a temporary folder)")
    parser.add_argument("--rounds", type=common.positive_int, default=5, help="default: 5")
    parser.add_argument(
        "--threads",
        type=common.positive_int,
        nargs="+",
        help="default: 1 to the usable CPUs, and beyond 8 the powers of two and all of them",
    )
    parser.add_argument("--tables", nargs="+", choices=("scaling", "gil"), default=("scaling", "gil"))
    args = parser.parse_args(argv)
    cpus = common.usable_cpus()
    few = {n for n in range(1, cpus + 1) if n <= 8 or n & (n - 1) == 0 or n == cpus}
    threads = args.threads or sorted(few)

    peers, missing = available(list(KINDS.values()))
    env = common.environment(peers, missing)
    common.print_environment(env)
    with common.square_files(args.images, args.count, SIDE, args.work) as paths:
        nbytes = sum(os.path.getsize(path) for path in paths)
        print(f"Corpus: {len(paths)} files of {SIDE} x {SIDE}, {nbytes / len(paths) / 1e3:.0f} kB each\n")
        out = np.ones((len(paths), 3, SIDE, SIDE), np.uint8)  # ones, not empty: this touches every page
        payload: dict[str, Any] = {"environment": env, "corpus": {"images": len(paths), "bytes": nbytes}}
        if "scaling" in args.tables:
            expected = expected_checksums(paths)
            payload["scaling"] = bench_scaling(peers, paths, out, expected, threads, args.rounds)
        if "gil" in args.tables:
            some = [peer for peer in peers if peer.name in GIL_KINDS]
            # A core left to the loop, and none.
            payload["gil"] = bench_gil(some, paths, out, sorted({max(1, cpus - 1), cpus}), args.rounds)
    common.write_json(args.json, payload)
    return 0


if __name__ == "__main__":
    sys.exit(main())
