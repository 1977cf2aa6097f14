# SPDX-License-Identifier: BSD-3-Clause
"""How many threads to use, and running a batch in them; none outlives the call that started it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import fastimg._decode as _decode
from fastimg.progress import progress_bar

Progress: TypeAlias = "bool | Callable[[int, int], object]"

#: The caller works alone this long: a batch that is done by then would not pay for starting threads.
ALONE_NS = 1_000_000

#: How many threads decode one image together: each takes some two megabytes.
MAX_TOGETHER = 64

#: How often a thread that decodes alone looks for Ctrl-C, and how often a waiting one reports progress.
SLICE_NS = 50_000_000
WAKE_SECONDS = 0.05


@lru_cache(maxsize=1)
def _cgroup_cpus() -> float:
    """A container's CPU quota (cgroup v2, then v1); infinite without one."""
    for quota_file, period_file in (
        ("/sys/fs/cgroup/cpu.max", None),
        ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us"),
    ):
        try:
            words = Path(quota_file).read_text().split()
            if period_file:
                words.append(Path(period_file).read_text())
            quota, period = float(words[0]), float(words[1])
        except (OSError, ValueError, IndexError):
            continue
        if quota > 0 and period > 0:
            return quota / period
    return float("inf")


def is_daemonic() -> bool:
    """Whether this is a worker process, as of a data loader."""
    process = sys.modules.get("multiprocessing.process")
    return bool(process and process.current_process().daemon)


def default_num_threads() -> int:
    """The number of threads used when none is given.

    Returns
    -------
    int
        FASTIMG_NUM_THREADS if set; 1 in a daemonic process (a worker of a data loader, whose siblings use the other
        CPUs); else the CPUs this process may use, by affinity and cgroup quota.

    Raises
    ------
    ValueError
        If FASTIMG_NUM_THREADS is not an integer of at least 1.
    """
    wanted = os.environ.get("FASTIMG_NUM_THREADS")
    if wanted:
        if not wanted.isascii() or not wanted.isdigit() or int(wanted) < 1:
            raise ValueError(f"FASTIMG_NUM_THREADS must be an integer of at least 1, found {wanted!r}")
        return int(wanted)
    if is_daemonic():
        return 1
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cpus, round(_cgroup_cpus()) if _cgroup_cpus() < cpus else cpus))


def check_num_threads(num_threads: Any) -> None:
    """Refuses all but None and integers of at least 1."""
    if num_threads is None:
        return
    if isinstance(num_threads, bool) or not hasattr(num_threads, "__index__"):
        raise TypeError(f"num_threads must be None or an integer, found {num_threads!r}")
    if num_threads < 1:
        raise ValueError(f"num_threads must be at least 1, found {num_threads}")


def resolve_num_threads(num_threads: int | None) -> int:
    """The number of threads that this stands for, for one image."""
    check_num_threads(num_threads)
    return min(default_num_threads() if num_threads is None else num_threads.__index__(), MAX_TOGETHER)


def check_progress(progress: Any) -> None:
    """Refuses all but bools and callables."""
    if not isinstance(progress, bool) and not callable(progress):
        raise TypeError(f"progress must be True, False or a callable (done, total), found {progress!r}")


class Cancellation:
    """Lets one thread stop, for good, what others decode."""

    def __init__(self) -> None:
        self.cancelled = False
        self._batches: set[_decode.Batch] = set()
        self._lock = threading.RLock()  # a handler of signals may cancel what it interrupts

    def add(self, batch: _decode.Batch) -> None:
        """Call it before each run of `batch`."""
        with self._lock:
            self._batches.add(batch)
            if self.cancelled:
                batch.cancel()

    def discard(self, batch: _decode.Batch) -> None:
        """Call it after `batch` has run."""
        with self._lock:
            self._batches.discard(batch)

    def is_current(self) -> bool:
        """Whether this thread is in a reader or a fallback of the caller's, for one of the batches that run."""
        with self._lock:
            return any(batch.is_current() for batch in self._batches)

    def cancel(self) -> None:
        """Drops all images; those under way end at the next row of MCUs."""
        with self._lock:
            self.cancelled = True
            for batch in self._batches:
                batch.cancel()


def _run(
    batch: _decode.Batch,
    num_threads: int | None,
    readers: _decode.Readers,
    shared: bool,
    report: Callable[[], None],
) -> None:
    decoders = _decode.ThreadGroup()
    # What is in memory needs no readers, and must not wait for any.
    reads = batch.reads
    threads = 1 if batch.only_headers and len(batch) == 1 else num_threads or default_num_threads()
    most = min(threads, MAX_TOGETHER)
    team = _decode.Team(most - 1, decoders, lambda: batch.run(0)) if threads > 1 else None
    batch.join(team)
    batch.decoders = min(threads, len(batch))
    try:
        if reads:
            if not readers.has(batch):
                readers.add(batch)
            readers.grow()
            if batch.by_caller and readers.refused:
                raise RuntimeError("can't start new thread")
        batch.run(ALONE_NS)
        if reads:
            readers.grow()
        if not batch.finished:
            count = min(batch.decoders, len(batch) - batch.done)
            if team and count > 1:
                team.start(count)
        while not decoders.wait(0 if reads and not batch.finished else WAKE_SECONDS):
            if reads:
                batch.wait(WAKE_SECONDS)
                readers.grow()
            report()
        while not batch.finished:
            done = batch.done
            batch.run(SLICE_NS)
            if decoders.is_orphaned and batch.done == done:
                raise RuntimeError(
                    "a handler of signals has forked while other threads decoded: their images are missing"
                )
            if reads:
                readers.grow()
            report()
    finally:
        readers.finish(batch, decoders, not shared)
        batch.join(None)


def run_batch(
    batch: _decode.Batch,
    num_threads: int | None,
    readers: _decode.Readers,
    *,
    shared: bool = False,
    progress: Progress = False,
) -> None:
    """Runs a batch to the end.

    Parameters
    ----------
    batch : Batch
        With at least one job.
    num_threads : int or None
        None: `default_num_threads`.
    readers : Readers
        What reads the sources, perhaps for some time already.
    shared : bool
        Whether the readers are used on; else their threads end with the call.
    progress : bool or callable
        True: a tqdm bar. A callable gets (done, total) from time to time, and at the end.

    Raises
    ------
    KeyboardInterrupt
        Within 50 ms after Ctrl-C, or when the reads and the caller's functions that are under way have ended; the
        threads have ended.
    """
    total = len(batch)
    if progress is False:
        _run(batch, num_threads, readers, shared, lambda: None)
    elif progress is True:
        with progress_bar(total=total, unit="img", smoothing=0.1) as bar:
            _run(batch, num_threads, readers, shared, lambda: _advance(bar, batch.done))
            _advance(bar, batch.done)
    else:
        _run(batch, num_threads, readers, shared, lambda: _report(progress, batch.done, total))
        progress(batch.done, total)


def _advance(bar: Any, done: int) -> None:
    bar.update(done - bar.n)


def _report(progress: Callable[[int, int], object], done: int, total: int) -> None:
    if done < total:  # the caller makes the last report
        progress(done, total)
