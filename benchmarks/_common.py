# SPDX-License-Identifier: BSD-3-Clause
"""What the benchmarks share: the environment, the corpus, interleaved timing, tables, and JSON.

How to read any of the tables: every contestant does the same job in every round, in blocks that take turns,
with the order rotated from block to block; so a machine that slows down for a while slows all of them
down. A rate is the median of the rounds; "min" and "max" are the slowest and the fastest of them. A ratio is
the median, over all blocks of all rounds, of two contestants' times for the same block in the same round, that
is, within a second or so of each other. Ratios carry from machine to machine; absolute figures do not.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks._peers import Peer

SUFFIXES = {".jpg", ".jpeg", ".jpe", ".jfif"}


# Environment


def cpu_model() -> str:
    """Return the name of the processor as the system tells it."""
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.lower().startswith(("model name", "hardware")):
                return line.split(":", 1)[1].strip()
    if sys.platform == "darwin":
        ask = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip()
    return platform.processor() or platform.machine()


def usable_cpus() -> int:
    """Return how many CPUs this process may run on (affinity; a cgroup quota is not looked at)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def environment(peers: Iterable[Peer], missing: Mapping[str, str]) -> dict[str, Any]:
    """Return, as plain data, everything that a figure depends on besides the corpus."""
    peers = list(peers)
    build: dict[str, Any] = {}
    if any(peer.name == "fastimg" for peer in peers):
        import fastimg

        build = dict(fastimg.build_info())
    load = os.getloadavg()[0]  # before the run: a busy machine shows here, and in the spread of the rounds
    return {
        "cpu": cpu_model(),
        "usable_cpus": usable_cpus(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "load_average": round(load, 2),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "fastimg_build": build,
        "contestants": {
            peer.name: {"version": peer.version, "libjpeg_turbo": peer.libjpeg, "route": peer.route}
            for peer in peers
        },
        "missing": dict(missing),
    }


def print_environment(env: Mapping[str, Any]) -> None:
    """Print `environment`'s answer, a line a contestant."""
    print(f"{env['cpu']}, {env['usable_cpus']} usable CPUs, {env['system']}, load {env['load_average']}")
    print(f"Python {env['python']}, NumPy {env['numpy']}")
    if env["fastimg_build"]:
        print("fastimg build: " + ", ".join(f"{key} {value}" for key, value in env["fastimg_build"].items()))
    for name, facts in env["contestants"].items():
        print(f"  {name} {facts['version']}, libjpeg-turbo {facts['libjpeg_turbo']}: {facts['route']}")
    for name, reason in env["missing"].items():
        print(f"  {name} is left out ({reason})")
    print()


# Corpus


@dataclass(frozen=True)
class Photo:
    """One file of the corpus: its bytes, and the shape (H, W, 3) of its pixels."""

    path: str
    data: bytes
    shape: tuple[int, int, int]


def find_photos(root: str) -> list[str]:
    """Return the JPEG files below `root`, sorted; our own search, so that peers run without fastimg."""
    found = sorted(
        str(path)
        for path in pathlib.Path(root).rglob("*")
        if path.suffix.lower() in SUFFIXES and path.is_file()
    )
    if not found:
        raise SystemExit(f"no JPEG files below {root!r}")
    return found


def pillow_pixels(data: bytes) -> np.ndarray:
    """Return Pillow's (H, W, 3) uint8 RGB: the oracle of every check here."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def read_corpus(root: str, limit: int | None) -> tuple[list[Photo], dict[str, Any]]:
    """Return the photos that all contestants can be compared on, and facts about them as plain data.

    Files that not everyone reads alike (four components, an EXIF orientation to apply, damage) are counted
    and left out: this measures speed, the tests measure behaviour.
    """
    from PIL import Image

    photos: list[Photo] = []
    left_out: Counter[str] = Counter()
    for path in find_photos(root)[:limit]:
        data = pathlib.Path(path).read_bytes()
        try:
            with Image.open(io.BytesIO(data)) as image:
                if image.format != "JPEG" or image.mode not in ("RGB", "L"):
                    left_out[f"{image.format} {image.mode}"] += 1
                elif image.getexif().get(0x0112, 1) != 1:  # EXIF tag Orientation
                    left_out["turned by EXIF"] += 1
                else:
                    image.load()
                    photos.append(Photo(path, data, (image.height, image.width, 3)))
        except OSError:
            left_out["not readable by Pillow"] += 1
    if not photos:
        raise SystemExit(f"no usable photos below {root!r}: {dict(left_out)}")
    sizes = Counter(f"{photo.shape[1]} x {photo.shape[0]}" for photo in photos)
    nbytes = sum(len(photo.data) for photo in photos)
    pixels = sum(photo.shape[0] * photo.shape[1] for photo in photos)
    facts = {
        "images": len(photos),
        "bytes": nbytes,
        "bytes_an_image": nbytes // len(photos),
        "pixels": pixels,
        "bits_a_pixel": round(8 * nbytes / pixels, 2),
        "sizes": dict(sizes.most_common(5)),
        "left_out": dict(left_out),
    }
    return photos, facts


def print_corpus(facts: Mapping[str, Any]) -> None:
    """Print `read_corpus`'s facts on a line or two."""
    common = ", ".join(f"{size} ({count})" for size, count in facts["sizes"].items())
    print(
        f"Corpus: {facts['images']} photos, {facts['bytes'] / 1e6:.1f} MB, "
        f"{facts['bytes_an_image'] / 1e3:.0f} kB and {facts['pixels'] / facts['images'] / 1e6:.2f} "
        f"megapixels each, {facts['bits_a_pixel']} bits a pixel; most are {common}"
    )
    if facts["left_out"]:
        print(f"Left out: {facts['left_out']}")
    print()


@contextlib.contextmanager
def square_files(root: str, count: int, side: int, work: str | None) -> Iterator[list[str]]:
    """Yield the paths of `count` JPEG files of `side` x `side` that are made from the photos below `root`.

    They are made once in the folder `work` and kept there, or in a temporary folder that is removed. File i
    is a crop at a place that depends on i alone (of the photo itself if it is large enough), at quality 90.
    """
    from PIL import Image

    sources = find_photos(root)[:500]
    with contextlib.ExitStack() as stack:
        base = work or stack.enter_context(tempfile.TemporaryDirectory(prefix="fastimg-bench-"))
        # The name holds what the content depends on, so that a kept folder is never used for something else.
        key = zlib.crc32("\n".join(map(os.path.basename, sources)).encode())
        folder = pathlib.Path(base, f"squares-{side}-{key:08x}")
        folder.mkdir(parents=True, exist_ok=True)
        paths = [str(folder / f"{i:06}.jpg") for i in range(count)]

        def make(source: int) -> int:
            wanted = [i for i in range(source, count, len(sources)) if not os.path.exists(paths[i])]
            if not wanted:
                return 0
            image = Image.open(sources[source]).convert("RGB")
            if min(image.size) < side:
                image = image.resize([max(side, length) for length in image.size])
            for i in wanted:
                rng = np.random.default_rng(i)
                left = int(rng.integers(image.width - side + 1))
                top = int(rng.integers(image.height - side + 1))
                image.crop((left, top, left + side, top + side)).save(paths[i] + ".part", "JPEG", quality=90)
                os.replace(paths[i] + ".part", paths[i])  # an interrupted run leaves no half file to trust
            return len(wanted)

        # As many threads as CPUs: Pillow lets go of the GIL while it encodes.
        with ThreadPoolExecutor(usable_cpus()) as pool, tqdm(total=count, desc="making files") as bar:
            made = 0
            for done in pool.map(make, range(len(sources))):
                made += done
                bar.update(done)
            bar.update(count - made)
        yield paths


# Timing


def interleave(
    jobs: Mapping[str, Callable[[int], object]],
    blocks: int,
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
    desc: str = "timing",
    before: Callable[[int], object] | None = None,
    after: Callable[[str, int], object] | None = None,
) -> dict[str, np.ndarray]:
    """Return {name: seconds (rounds, blocks)}; jobs[name](block) is called for every block in every round.

    The jobs take turns block by block, in an order that is rotated each time, so that a disturbance of any
    length falls on all of them, and none always follows the same state of the caches. before(block) and
    after(name, block) are called around each job and are not timed.
    """
    names = list(jobs)
    seconds = {name: np.zeros((rounds, blocks)) for name in names}
    gc.collect()
    gc.disable()  # as timeit does: a collection would land on whoever is running
    try:
        with tqdm(total=rounds * blocks * len(names), desc=desc) as bar:
            for turn in range(rounds * blocks):
                shift = turn % len(names)
                for name in names[shift:] + names[:shift]:
                    if before:
                        before(turn % blocks)
                    start = clock()
                    jobs[name](turn % blocks)
                    seconds[name][turn // blocks, turn % blocks] = clock() - start
                    if after:
                        after(name, turn % blocks)
                    bar.update()
    finally:
        gc.enable()
    return seconds


def ratio(of: np.ndarray, to: np.ndarray) -> float:
    """Return the median of `of` / `to`, both seconds (rounds, blocks)."""
    return float(np.median(of / to))


def summarize(seconds: Mapping[str, np.ndarray], amount: float, subject: str) -> dict[str, dict[str, Any]]:
    """Return {name: rate, min, max, times that `subject` is as fast}, fastest first.

    The order is that of the ratios, which a noisy machine disturbs less, or of the rates without a subject.
    Rates are `amount` a second, where `amount` is what a round does; `seconds` is that of `interleave`.
    """
    rows: dict[str, dict[str, Any]] = {}
    for name, values in seconds.items():
        totals = values.sum(axis=1)  # (rounds,)
        rows[name] = {
            "rate": float(amount / np.median(totals)),
            "min": float(amount / totals.max()),
            "max": float(amount / totals.min()),
            "round_seconds": totals.tolist(),
        }
        if subject in seconds:
            rows[name]["subject_is_times"] = ratio(values, seconds[subject])
    return dict(sorted(rows.items(), key=lambda item: item[1].get("subject_is_times", -item[1]["rate"])))


# Output


def print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a Markdown table; the first column is aligned left, all others right."""
    rows = [list(row) for row in rows]
    widths = [max(len(row[i]) for row in [list(head), *rows]) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        first, *rest = (
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(cells, widths, strict=True))
        )
        return "| " + " | ".join([first, *rest]) + " |"

    print(line(head))
    print("| " + " | ".join("-" * w if i == 0 else "-" * (w - 1) + ":" for i, w in enumerate(widths)) + " |")
    for row in rows:
        print(line(row))
    print(flush=True)


def write_json(path: str | None, payload: Mapping[str, Any]) -> None:
    """Write `payload` to `path`, if one was given."""
    if path:
        pathlib.Path(path).write_text(json.dumps(payload, indent=1) + "\n")
        print(f"wrote {path}")


def new_figure(width: float, height: float) -> tuple[Any, Any]:
    """Return matplotlib's (figure, axes), drawn without a display, with text that is legible in a README."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})
    return pyplot.subplots(figsize=(width, height), dpi=110, layout="constrained")


def save_figure(figure: Any, path: str) -> None:
    figure.savefig(path)
    print(f"wrote {path}")


def positive_int(text: str) -> int:
    """Parse an argparse value that has to be 1 or more."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {value}")
    return value


def new_parser(doc: str, prog: str, *, images_required: bool = True) -> argparse.ArgumentParser:
    """Return a parser whose --help is the program's docstring, which says how to read its output."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{prog}",
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    words = "a folder of photos (JPEG, any depth)"
    if not images_required:
        words += " (default: generated pictures)"
    parser.add_argument("--images", required=images_required, metavar="DIR", help=words)
    parser.add_argument("--json", metavar="F", help="write every figure and every round to this file")
    return parser
