# SPDX-License-Identifier: BSD-3-Clause
"""What a file index knows of each file: byte count, time of change, and the size of its image."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

import fastimg._decode as _decode
from fastimg.errors import is_unreadable, make_error
from fastimg.fallback import Fallback, parse_fallback
from fastimg.on_error import Streak, fault_error, find_fault, parse_on_error, warn_caller, with_streak_note
from fastimg.options import ANY_HEADER
from fastimg.other_headers import read_others
from fastimg.progress import progress_bar
from fastimg.readers import DEFAULT
from fastimg.sources import pack_sources
from fastimg.threads import (
    WAKE_SECONDS,
    Progress,
    check_num_threads,
    check_progress,
    default_num_threads,
    run_batch,
)
from fastimg.torch_errors import locate
from fastimg.wording import counted

_CHUNK = 8192  # files whose headers are read in one batch
_TRIED = 16  # files that are asked for by one thread, to see how long one takes
_SLOW_SECONDS = 200e-6  # a file system that takes longer is asked in threads; on others they wait for the GIL
_LONGEST_NS = 2**63 - 1

#: How many threads look at files by default: all but a few of them wait for the storage.
THREADS = 32

_GONE = (FileNotFoundError, NotADirectoryError)


class Facts(NamedTuple):
    """What is known of n files.

    Attributes
    ----------
    nbytes : ndarray of int64, (n,)
        -1 where the file cannot be found.
    mtimes : ndarray of int64, (n,)
        In ns.
    sizes : ndarray of int32, (n, 2), or None
        Height and width of the upright image; 0 where the header cannot be read.
    gone : sequence of int
        The positions of files that are not there.
    """

    nbytes: npt.NDArray[np.int64]
    mtimes: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int32] | None
    gone: Sequence[int] = ()


class ScanOptions(NamedTuple):
    """How files are looked at.

    Attributes
    ----------
    sizes : bool
        Whether to read headers.
    fallback : Fallback or None
        What reads those of images that are not JPEG.
    num_threads, progress
        As for `FileIndex`.
    """

    sizes: bool
    fallback: Fallback | None
    num_threads: int | None
    progress: Progress

    @classmethod
    def parse(cls, sizes: Any, fallback: Any, num_threads: Any, progress: Any) -> ScanOptions:
        """Checks what users give."""
        if not isinstance(sizes, bool):
            raise TypeError(f"sizes must be True or False, found {sizes!r}")
        check_num_threads(num_threads)
        check_progress(progress)
        return cls(sizes, parse_fallback(fallback), num_threads, progress)


class Failures:
    """What becomes of files and folders that cannot be read.

    Parameters
    ----------
    on_error : "raise", "fill" or callable
        As for `fastimg.load`.
    """

    def __init__(self, on_error: Any) -> None:
        self._on_error = parse_on_error(on_error)
        self._count = 0
        self._first: Exception | None = None

    def add(self, error: Exception) -> None:
        if self._on_error == "raise":
            raise error
        if callable(self._on_error):
            self._on_error(error)
            return
        self._count += 1
        self._first = self._first or error

    def warn(self) -> None:
        """One warning for all, unless a callable was told."""
        if self._count:
            count = counted(self._count, "file or folder", "files or folders")
            warn_caller(f"{count} cannot be read; the first: {self._first}")


def scan(
    paths: Sequence[str],
    known: Facts | None,
    failures: Failures,
    options: ScanOptions,
    *,
    skip_gone: bool = False,
) -> Facts:
    """Find out about files.

    Parameters
    ----------
    paths : PackedPaths, (n,)
    known : Facts or None
        Of each, from an earlier scan: headers of files that have not changed since are read only if they failed then.
    failures : Failures
        Gets an error for each file that cannot be read, in their order.
    options : ScanOptions
    skip_gone : bool
        Whether a file that is gone is no error.

    Returns
    -------
    Facts

    Raises
    ------
    ImageError, OSError, MemoryError
        The first failure that is not tolerated.
    """
    count = len(paths)
    nbytes, mtimes = np.empty(count, np.int64), np.empty(count, np.int64)
    sizes = np.zeros((count, 2), np.int32) if options.sizes else None
    gone: list[int] = []
    streak = Streak()
    with _reporting(options.progress, count) as report:
        for first in range(0, count, _CHUNK):
            rows = slice(first, first + _CHUNK)
            chunk = paths[rows]
            # Before the header: a file that is replaced in between must look changed later.
            nbytes[rows], mtimes[rows], found = stat_files(chunk, options.num_threads)
            unreadable = streak.add((i for i in sorted(found) if is_unreadable(found[i])), len(chunk))
            if unreadable is not None:
                raise with_streak_note(_described(found[unreadable], chunk[unreadable], first + unreadable))
            gone += [first + i for i in sorted(found) if isinstance(found[i], _GONE)]
            errors = {
                first + i: _described(error, chunk[i], first + i)
                for i, error in found.items()
                if not (skip_gone and isinstance(error, _GONE))
            }
            if sizes is not None:
                wanted = nbytes[rows] >= 0
                if known is not None and known.sizes is not None:
                    same = (known.nbytes[rows] == nbytes[rows]) & (known.mtimes[rows] == mtimes[rows])
                    same &= (known.sizes[rows] > 0).all(axis=1)
                    sizes[rows][same] = known.sizes[rows][same]
                    wanted &= ~same
                positions = np.flatnonzero(wanted)
                sizes[rows][positions], failed = _read_sizes(chunk, positions, first, options, report)
                errors |= failed
            for i in sorted(errors):
                failures.add(errors[i])
            report(min(first + _CHUNK, count))
    return Facts(nbytes, mtimes, sizes, gone)


def stat_files(
    paths: Sequence[str], num_threads: int | None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], dict[int, OSError]]:
    """Ask for the byte counts and times of files, in threads if the file system is slow.

    Returns
    -------
    nbytes, mtimes : ndarray of int64, (n,)
        -1 and 0 where that fails.
    errors : dict of int to OSError
        Why, by position.
    """
    names = list(paths)
    nbytes, mtimes = [-1] * len(names), [0] * len(names)
    errors: dict[int, OSError] = {}
    claims = itertools.count()
    cancelled = False

    def work(limit: int) -> None:
        while not cancelled and (i := next(claims)) < limit:
            try:
                status = os.stat(names[i])
            except OSError as error:
                errors[i] = error
            else:
                nbytes[i] = status.st_size
                mtimes[i] = max(-_LONGEST_NS, min(status.st_mtime_ns, _LONGEST_NS))

    def cancel() -> None:
        nonlocal cancelled
        cancelled = True

    tried = min(_TRIED, len(names))
    start = time.perf_counter()
    work(tried)
    slow = time.perf_counter() - start > _SLOW_SECONDS * tried
    claims = itertools.count(tried)  # the last claim of `work` was beyond its limit
    count = min(num_threads or _default_threads(), len(names) - tried) if slow else 1
    if count > 1:
        group = _decode.ThreadGroup()
        try:
            group.start(lambda: work(len(names)), count)
            while not group.wait(WAKE_SECONDS):
                pass
        finally:
            group.stop(cancel)
    work(len(names))  # all of them on a fast file system, or if no thread could be started
    return np.array(nbytes, np.int64), np.array(mtimes, np.int64), errors


def _described(error: OSError, path: str, index: int) -> Exception:
    """The same error with the text that loading the file would give."""
    return locate(OSError(error.errno, f"image {index}: {error.strerror}", path), path, index)


def _read_sizes(
    paths: Sequence[str],
    positions: npt.NDArray[np.int64],
    first: int,
    options: ScanOptions,
    report: Callable[[int], object],
) -> tuple[npt.NDArray[np.int64], dict[int, Exception]]:
    """Read the headers of the files at `positions`; `first` is the index of the first path, for errors and reports.

    Returns
    -------
    sizes : ndarray of int64, (n, 2)
        0 where that fails.
    errors : dict of int to Exception
        Why, by index.
    """
    if not len(positions):
        return np.zeros((0, 2), np.int64), {}
    sources = pack_sources(paths)
    num_threads = options.num_threads or _default_threads()
    batch = _decode.Batch(sources, positions, ANY_HEADER, None, False, False)
    # These threads read, and there are as many as the caller allows.
    readers = DEFAULT._replace(threads=0).start(False)
    run_batch(batch, num_threads, readers, progress=lambda done, _: report(first + done))
    read_others(batch, sources, positions, options.fallback, 0, num_threads)
    errors: dict[int, Any] = {}
    failures = batch.failures()
    fault = find_fault(failures)
    if fault:  # the others would only fail like this one
        position = int(positions[fault.position])
        raise fault_error(fault, paths[position], first + position)
    for failure in failures:
        position = int(positions[failure.position])
        errors[first + position] = make_error(failure, paths[position], first + position)
    return np.maximum(batch.sizes(), 0), errors


def _default_threads() -> int:
    """More than CPUs, as threads wait for the storage, unless the user has set a number."""
    return default_num_threads() if os.environ.get("FASTIMG_NUM_THREADS") else THREADS


@contextlib.contextmanager
def _reporting(progress: Progress, total: int) -> Iterator[Callable[[int], object]]:
    """Gives a function that is told how many files are done."""
    if callable(progress):
        yield lambda done: progress(done, total)
    elif progress:
        with progress_bar(total=total, unit="file", smoothing=0.1) as bar:
            yield lambda done: bar.update(done - bar.n)
    else:
        yield lambda done: None


def find_known(paths: Sequence[str], old_paths: Sequence[str], old: Facts) -> Facts:
    """What is known of each path from what was known of others; of new ones, a byte count that no file has."""
    places = dict(zip(old_paths, range(len(old_paths)), strict=True))
    rows = np.array([places.get(path, -1) for path in paths], np.int64)
    return Facts(
        np.append(old.nbytes, -2)[rows],
        np.append(old.mtimes, 0)[rows],
        None if old.sizes is None else np.append(old.sizes, np.zeros((1, 2), np.int32), axis=0)[rows],
    )
