# SPDX-License-Identifier: BSD-3-Clause
"""A large file made of the photos, and how much memory it takes to shrink it, in a fresh process."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import pathlib
import tempfile
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection

import numpy as np

from benchmarks._resize_peers import KINDS
from benchmarks._resize_quality import checksums
from benchmarks.memory import high_water

CELLS, CELL = 8, (500, 375)  # of the mosaic, a side; width and height: 4000 x 3000 in all
LARGE_SIZE = (224, 224)


@contextlib.contextmanager
def large_files(paths: Sequence[str], large: str | None) -> Iterator[tuple[str, str, str]]:
    """Yield the paths of the large file and of a tiny one, and what the large one is, in words."""
    from PIL import Image, ImageOps

    with tempfile.TemporaryDirectory(prefix="fastimg-bench-") as folder:
        tiny, mosaic = (os.path.join(folder, name) for name in ("tiny.jpg", "mosaic.jpg"))
        width, height = CELL
        sheet = Image.new("RGB", (CELLS * width, CELLS * height))
        for i in range(CELLS * CELLS):
            with Image.open(paths[i % len(paths)]) as photo:
                cell = ImageOps.fit(photo.convert("RGB"), CELL)
            sheet.paste(cell, (i % CELLS * width, i // CELLS * height))
            if i == 0:
                cell.resize((64, 48)).save(tiny, quality=90, subsampling="4:2:0")
        if large is None:
            sheet.save(mosaic, quality=90, subsampling="4:2:0")
        path = large or mosaic
        with Image.open(path) as image:
            words = f"{'a mosaic of the photos' if large is None else large}, {image.width} x {image.height}"
        yield path, tiny, f"{words}, {os.path.getsize(path)} bytes"


def child(pipe: Connection, name: str, tiny: str, large: str) -> None:
    """Send the peak of memory while `large` is decoded, in bytes above what was held before, and a checksum."""
    import psutil

    peer = next(kind for kind in KINDS if kind.name == name)()
    out = np.ones((1, 3, *LARGE_SIZE), np.uint8)
    peer.read_into(tiny, out[0])
    gc.collect()
    with contextlib.suppress(OSError):  # importing may have taken more than is held now; Linux only
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    base = psutil.Process().memory_info().rss
    peer.read_into(large, out[0])
    pipe.send((max(0, high_water() - base), checksums(out)))


def peak_memory(name: str, tiny: str, large: str, expected: list[int]) -> int:
    """Return `child`'s answer, from a fresh process."""
    context = multiprocessing.get_context("spawn")  # a forked child would begin with this process's pages
    ours, theirs = context.Pipe()
    process = context.Process(target=child, args=(theirs, name, tiny, large), daemon=True)
    process.start()
    theirs.close()  # so that recv raises EOFError, instead of waiting, if the child dies
    peak, sums = ours.recv()
    process.join()
    if sums != expected:
        raise SystemExit(f"{name}: the pixels in a process of its own differ")
    return peak
