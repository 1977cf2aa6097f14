# SPDX-License-Identifier: BSD-3-Clause
"""Calls of all kinds whose results do not depend on what other threads do: see ``tests/stress.py``."""

import contextlib
import gzip
import itertools
import pathlib
import threading
import zipfile
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

import fastimg
import fastimg._decode as _decode
from fastimg.data_source import ArrayDataSource
from fastimg.options import make_options
from fastimg.sources import SourceList
from support import archive_files, jpegs
from support.reader_objects import Alone, Memory

#: Every option of `decode`, in every word that it takes.
OPTIONS: list[dict[str, Any]] = [
    {},
    {"mode": "BGR", "orient": False},
    {"mode": "L", "layout": "HWC"},
    {"layout": "HWC", "flip": True},
    {"crop": (3, 2, 11, 9)},
    {"size": 16},
    {"size": (40, 12), "fit": "cover", "resample": "bicubic"},
    {"size": (14, 33), "fit": "contain", "pad_value": (1, 2, 3), "resample": "box"},
    {"size": 9, "resample": "hamming", "reducing_gap": None},
    {"size": 50, "resample": "lanczos", "reducing_gap": 1.5},
    {"resize_shorter": 12, "center_crop": (10, 8)},
    {"resize_longer": 20, "dtype": "float16"},
    {"dtype": "float32", "mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.4)},
    {"strict": False},
    {"strict": False, "size": 16},
    {"max_pixels": 500},
    {"max_scans": 5},
]

VIEWS = [{"size": 16, "crop": (0, 0, 20, 20)}, {"size": (8, 9), "flip": True, "dtype": "float32"}]


class Call(NamedTuple):
    """One call; `images` is how many it decodes, and `exact` whether all its results are the same."""

    name: str
    images: int
    run: Callable[[], Any]
    exact: bool = True


class Wrong(AssertionError):
    """A result that differs from the one without other threads."""


def good_files() -> list[bytes]:
    kinds = list(jpegs.SUBSAMPLINGS)
    files = [jpegs.jpeg(24, 31, kind, seed=i, progressive=i % 2 == 1) for i, kind in enumerate(kinds)]
    files += [jpegs.oriented(jpegs.jpeg(31, 24, seed=i), i) for i in (6, 8)]
    files += [
        jpegs.pillow(jpegs.pixels(24, 31, 4)),
        jpegs.turbo(jpegs.pixels(24, 31, 1)),
        jpegs.restarts(24, 31),
    ]
    return [*files, jpegs.arithmetic(jpegs.pixels(24, 31)), jpegs.jpeg(150, 220, progressive=True)]


def bad_files() -> list[bytes]:
    good = jpegs.jpeg(24, 31)
    files = [jpegs.truncated(good), jpegs.bad_codes(24, 31), jpegs.lost_sync(jpegs.restarts(24, 31))]
    return [
        *files,
        jpegs.many_scans(40)[:-60],
        b"no picture" * 9,
        jpegs.reframed(good, height=65500, width=65500),
    ]


def fingerprint(value: Any) -> Any:
    """Of any result; equal for equal ones."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, zlib.crc32(np.ascontiguousarray(value))
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return tuple(map(fingerprint, value))
    return repr(value)


def outcome(call: Call) -> Any:
    """The fingerprint of what a call returns or raises."""
    try:
        return fingerprint(call.run())
    except Wrong:
        raise
    except Exception as error:
        return type(error).__name__, str(error), getattr(error, "index", None)


class Work:
    """Calls over files of a folder, which share accessors, sources and readers.

    Parameters
    ----------
    folder : path
        Empty.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self.good, self.bad = good_files(), bad_files()
        self.paths: list[Any] = []
        for i, data in enumerate(self.good + self.bad):
            self.paths.append(str(folder / f"{i:02d}.jpg"))
            pathlib.Path(self.paths[-1]).write_bytes(data)
        self.other = folder / "picture.png"
        Image.fromarray(jpegs.pixels(24, 31)).save(self.other)
        self.archives = self._write_archives(folder)
        self.count = len(self.good)
        self.images = fastimg.load(self.good, size=(16, 20))
        self._seconds = itertools.cycle([0, 0.0001, 0.0005, 0.002])
        self.stream = SharedIterator(self)
        self.calls = [
            *self._decodes(), *self._loads(), *self._headers(), *self._fallbacks(), *self._accessors(),
            *self._iterators(), *self._interrupted(),
        ]  # fmt: skip

    def _write_archives(self, folder: pathlib.Path) -> dict[str, Any]:
        files = {f"{i:02d}.jpg": data for i, data in enumerate(self.good)}
        plain = folder / "plain.tar"
        archive_files.make_tar(plain, files)
        pathlib.Path(f"{plain}.gz").write_bytes(gzip.compress(plain.read_bytes()))
        paths = {"tar": str(plain), "tar.gz": f"{plain}.gz"}
        for name, method in (("zip", zipfile.ZIP_STORED), ("deflated.zip", zipfile.ZIP_DEFLATED)):
            paths[name] = archive_files.make_zip(folder / name, files, method)
        return {name: fastimg.archive_members(path) for name, path in paths.items()}

    # ---- one image

    def _decodes(self) -> list[Call]:
        sources = [*self.good, *self.bad, *self.paths, fastimg.FileRange(self.paths[0], 0, len(self.good[0]))]
        return [
            Call("decode", 1, lambda s=source, o=options: fastimg.decode(s, **o))
            for source in sources
            for options in OPTIONS
        ] + [Call("decode, out", 1, self._into_strides)] * 20

    def _into_strides(self) -> Any:
        whole = np.full((3, 20, 40), 7, np.uint8)
        fastimg.decode(self.paths[1], whole[:, 2:18, 3:19], size=16)
        return whole

    def _headers(self) -> list[Call]:
        calls = [
            Call("header", 1, lambda s=source: fastimg.read_header(s)) for source in self.good + self.bad
        ]
        mixed = [*self.paths[: self.count], str(self.other)]
        return [
            *calls,
            Call("headers", len(mixed), lambda: fastimg.read_headers(mixed, fallback="pillow")),
            Call("headers", self.count, lambda: fastimg.read_headers(self.good)),
            Call("headers", self.count, lambda: fastimg.read_headers(self.paths)),
        ]

    # ---- many

    def _loads(self) -> list[Call]:
        good, everything = self.paths[: self.count], self.paths
        calls = []
        for threads, reads in itertools.product((None, 1, 3), (None, 0, 2)):
            how = {"num_threads": threads, "read_threads": reads}
            calls += [
                Call("load", len(good), lambda h=how: fastimg.load(good, size=(16, 20), **h)),
                Call("load, raise", len(good), lambda h=how: fastimg.load(everything, size=16, **h)),
                Call("load, mask", len(everything), lambda h=how: self._fill(h)),
                Call("load, views", len(good), lambda h=how: fastimg.load(good, views=VIEWS, **h)),
                Call("load, reader", len(good), lambda h=how: fastimg.load(Memory(self.good), size=9, **h)),
                Call("load, alone", len(good), lambda h=how: fastimg.load(self.alone, size=9, **h)),
                Call("load, callable", len(everything), lambda h=how: self._told(h)),
            ]
        self.alone = Alone(self.good)
        for name, members in self.archives.items():
            calls.append(Call(f"load, {name}", self.count, lambda m=members: fastimg.load(m, size=11)))
            calls.append(Call(f"load, {name}", 1, lambda m=members: fastimg.decode(m[5])))
        return calls

    def _fill(self, how: dict[str, Any]) -> Any:
        return fastimg.load(self.paths, size=16, on_error="fill", return_mask=True, **how)

    def _told(self, how: dict[str, Any]) -> Any:
        errors: list[Exception] = []
        images = fastimg.load(self.paths, size=16, on_error=errors.append, **how)
        return images, [str(error) for error in errors]

    # ---- other formats

    def _fallbacks(self) -> list[Call]:
        other, mixed = str(self.other), [*self.paths[:3], str(self.other), *self.paths[3:6]]

        def function(source: Any) -> Any:
            return fastimg.decode(self.good[0], layout="HWC")  # a decode inside a decode

        def nested(source: Any) -> Any:
            return fastimg.load(self.paths[: self.count], size=12, layout="HWC", num_threads=2)[4]

        def broken(source: Any) -> Any:
            raise KeyError("broken")

        calls = [Call("fallback, pillow", 1, lambda: fastimg.decode(other, fallback="pillow"))] * 6
        for fallback in ("pillow", function, nested, broken):
            calls += [
                Call("fallback", len(mixed), lambda f=fallback: fastimg.load(mixed, size=16, fallback=f)),
                Call("fallback", 1, lambda f=fallback: fastimg.decode(other, size=16, fallback=f)),
            ]
        return calls

    # ---- accessors, which all threads share

    def _accessors(self) -> list[Call]:
        good = self.paths[: self.count]
        plain = fastimg.ImageFileAccessor(good, size=(16, 20))
        floats = fastimg.ImageFileAccessor(self.good, size=8, dtype="float32", num_threads=2)
        streamed = fastimg.ImageFileAccessor(self.archives["tar.gz"], size=8, read_threads=2)
        mixed = fastimg.NonUniformImageFileAccessor(good)
        crops = fastimg.ImageFileAccessor(good).random_resized_crop(16, seed=3)
        views = fastimg.ImageFileAccessor(good).random_views([{"size": 16, "scale": (0.3, 1)}] * 2)
        filled = fastimg.ImageFileAccessor(self.paths, size=8, on_error="fill")
        calls = []
        for index in (3, slice(2, 9), [5, 0, 5], np.arange(self.count) % 3 == 1):
            images = np.arange(self.count)[index].size
            for name, accessor in (
                ("plain", plain),
                ("floats", floats),
                ("mixed", mixed),
                ("stream", streamed),
            ):
                calls.append(Call(f"accessor, {name}", images, lambda a=accessor, i=index: a[i]))
            for epoch in (0, 1, 7):
                for name, accessor in (("crops", crops), ("views", views)):
                    run = lambda a=accessor, i=index, e=epoch: a.with_epoch(e)[i]  # noqa: E731
                    calls.append(Call(f"accessor, {name}", images, run))
        calls.append(Call("accessor, filled", len(self.paths), lambda: filled[:]))
        calls.append(Call("accessor, boxes", self.count, lambda: crops.with_epoch(2).boxes(slice(None))))
        return calls

    # ---- iterators

    def _iterators(self) -> list[Call]:
        accessor = fastimg.ImageFileAccessor(self.paths[: self.count], size=8)
        crops = fastimg.ImageFileAccessor(self.good).random_resized_crop(8)
        source = ArrayDataSource([accessor, crops, np.arange(self.count)], seed=5)
        some_bad = ArrayDataSource([fastimg.ImageFileAccessor(self.paths, size=8, on_error="fill")])

        def drain(epoch: int, **options: Any) -> Any:
            return list(source.batch_iterator(4, shuffle=True, epoch=epoch, **options))

        def abandon(prefetch: int) -> Any:
            with source.batch_iterator(2, epoch=1, prefetch=prefetch) as batches:
                return next(batches)

        def drop(prefetch: int) -> Any:
            return list(some_bad.batch_iterator(5, on_error="drop", prefetch=prefetch, include_mask=True))

        calls = []
        for prefetch in range(4):
            for epoch in (0, 3, 8):
                calls.append(Call("epoch", 2 * self.count, lambda p=prefetch, e=epoch: drain(e, prefetch=p)))
            calls.append(Call("epoch, abandoned", 4, lambda p=prefetch: abandon(p)))
            calls.append(Call("epoch, drop", len(self.paths), lambda p=prefetch: drop(p)))
        calls += [Call("shared iterator", 3, self.stream.take, exact=False)] * 12
        calls += [Call("shared iterator, closed", 0, self.stream.close, exact=False)] * 2
        return calls

    # ---- what is stopped

    def _interrupted(self) -> list[Call]:
        return [
            *[Call("cancelled", 60, self._cancel, exact=False)] * 4,
            *[Call("progress raises", 10, self._raise_in_progress)] * 2,
            *[Call("reader raises", 8, self._raise_in_reader)] * 2,
        ]

    def _cancel(self) -> None:
        data = [self.good[-1]] * 60
        out = np.empty((60, 3, 16, 16), np.uint8)
        batch = _decode.Batch(SourceList(data), None, make_options(size=16), None, False, True)
        batch.set_output(out, out.shape)
        threads = [threading.Thread(target=batch.run, args=(0,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        threading.Event().wait(next(self._seconds))
        batch.cancel()
        for thread in threads:
            thread.join()
        if batch.failures() or not batch.finished:
            raise Wrong("a cancelled batch has failed, or has not ended")

    def _raise_in_progress(self) -> Any:
        def progress(done: int, total: int) -> None:
            raise ZeroDivisionError("progress")

        return fastimg.load(self.good, size=9, progress=progress)

    def _raise_in_reader(self) -> Any:
        class Broken(Memory):
            def read(self, i: int) -> bytes:
                if i == 7:
                    raise ZeroDivisionError("reader")
                return super().read(i)

        return fastimg.load(Broken(self.good), size=9, read_threads=3)


class SharedIterator:
    """An endless iterator that all threads take batches of, and that some close meanwhile.

    Parameters
    ----------
    work : Work
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._options = itertools.cycle([{"prefetch": p} for p in (1, 0, 2, 3)])
        self._begin()

    def _begin(self) -> None:
        accessor = fastimg.ImageFileAccessor(self._work.paths[: self._work.count], size=(16, 20))
        source = ArrayDataSource([accessor], repeats=-1, include_indices=True)
        self._batches = source.batch_iterator(3, shuffle=True, **next(self._options))

    def take(self) -> None:
        """Compares one batch."""
        batches = self._batches
        with contextlib.suppress(StopIteration):  # closed by another thread
            indices, images = next(batches)
            if not np.array_equal(images, self._work.images[indices]):
                raise Wrong(f"a batch of a shared iterator is not of images {indices}")

    def close(self) -> None:
        """Ends the iterator, and begins another one; threads may be waiting for it."""
        with self._lock:
            old = self._batches
            self._begin()
        old.close()
