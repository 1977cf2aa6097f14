# SPDX-License-Identifier: BSD-3-Clause
"""A run of ``fastimg load``, which may end at any moment and be taken up by the next."""

import contextlib
import math
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from types import FrameType, TracebackType
from typing import Any, Self

import numpy as np

import fastimg
import fastimg.cli.output as output
import fastimg.npy_files as npy_files
from fastimg.batch_decode import BatchDecode
from fastimg.cli.compact import drop_rows
from fastimg.cli.journal import Journal, Plan, Record, identity_of
from fastimg.cli.words import complain
from fastimg.crops import parse_crop
from fastimg.fallback import parse_fallback
from fastimg.on_error import ErrorLog, Streak, with_streak_note
from fastimg.options import make_options, parse_options
from fastimg.progress import progress_bar
from fastimg.readers import READ_AHEAD, parse_reading
from fastimg.sources import SourceList
from fastimg.threads import default_num_threads
from fastimg.wording import counted, verb

#: How often finished rows are written to the disk: at most so much work is lost, besides the rows under way.
CHECKPOINT_SECONDS = 2.0

#: How many rows are decoded at first before the clock is looked at.
FIRST_ROWS = 64

_MAGIC = b"\x93NUMPY"


class Run(output.FileSet):
    """The files of one run, under a lock; a context manager.

    Parameters
    ----------
    outputs : sequence of str
        The names of all files that `load` may write, the array's first.
    plan : Plan
        What the array will hold.
    resume : bool
        Whether to take up an earlier run, and to leave finished rows for a later one if this one does not end well.

    Attributes
    ----------
    taken_up : ndarray of bool, (N,)
        The rows that an earlier run finished.
    """

    def __init__(self, outputs: Sequence[str], plan: Plan, resume: bool) -> None:
        super().__init__()
        self.npy, *self._others = outputs
        self.plan = plan
        self.resume = resume
        self.taken_up = np.zeros(len(plan.sources), np.bool_)
        self._finished = self.taken_up.copy()
        self._unwritten = self.taken_up.copy()  # finished, but not in the journal
        self._owns_state = False  # whether the journal and the partial array are this run's
        self._published = False
        self._moved = False  # rows are not where they were loaded
        self._signals = _Signals()

    def __enter__(self) -> Self:
        self._journal = Journal(self.npy)
        self._signals.catch()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._signals.ignore()
        try:
            kept = error is not None and self._keep()
            if error is not None:
                self._unmap(error)
            super().__exit__(kind, error, trace)
            if kept:
                self._journal.close()
            else:
                self._journal.remove()
        finally:
            self._signals.restore()

    def _unmap(self, error: BaseException) -> None:
        """Let go of the array after an error, which has the calls that used it: Windows removes no mapped file."""
        self.__dict__.pop("array", None)
        each: BaseException | None = error
        while each is not None:
            for frame, _line in traceback.walk_tb(each.__traceback__):
                with contextlib.suppress(RuntimeError):  # it has not ended
                    frame.clear()
                    _ = frame.f_locals  # before CPython 3.13, forgets what locals() gave
            each = each.__context__

    def open(
        self,
        row_shape: Callable[[], tuple[int, ...]],
        announce: Callable[[tuple[int, ...], np.dtype[Any], int | None], object] = lambda *_: None,
    ) -> np.memmap[Any, np.dtype[Any]]:
        """Make the array, or take up that of an earlier run.

        Parameters
        ----------
        row_shape : callable () -> tuple of int
            Gives the shape of one image; not called if it is known from an earlier run.
        announce : callable (shape, dtype, free), optional
            Told the array's shape and dtype, and the number of bytes that are free, before its space is reserved.

        Returns
        -------
        numpy.memmap
            The rows that are not `taken_up` hold anything until they are loaded.

        Raises
        ------
        ValueError
            The earlier run was another one, or a file in the way was not written by `load`.
        OSError, ImageError
            A file cannot be written or locked, the disk is full, or no image has a usable header.
        """
        # .npy files have no bfloat16: its bits go into them.
        self._storage = make_options(dtype=self.plan.options["dtype"]).storage
        record = self._journal.read(self.plan) if self.resume else None
        if record is None or not self._find_partial(record):
            self.array = self._create(row_shape, announce)
        else:
            announce(record.shape, self._storage, npy_files.free_space(self.npy))
            self.array = self._take_up(record)
        for path in self._others:
            output.remove(output.partial_name(path))
        return self.array

    def _find_partial(self, record: Record) -> bool:
        """Return whether the array of an earlier run is there; one that had got its final name loses it again."""
        partial = output.partial_name(self.npy)
        if os.path.lexists(partial):
            return True
        if not record.identity or not os.path.lexists(self.npy) or identity_of(self.npy) != record.identity:
            return False
        os.rename(self.npy, partial)  # the run was killed before it had removed its journal
        return True

    def _take_up(self, record: Record) -> np.memmap[Any, np.dtype[Any]]:
        file = self.take_up(self.npy)
        array = npy_files.open_array(file, record.shape, self._storage, output.partial_name(self.npy))
        self._owns_state = True
        self.taken_up = record.finished
        self._finished = record.finished.copy()
        return array

    def _create(
        self, row_shape: Callable[[], tuple[int, ...]], announce: Callable[..., object]
    ) -> np.memmap[Any, np.dtype[Any]]:
        shape = (len(self.plan.sources), *row_shape())
        if self.resume:
            self._check_sizes()
        _check_replaceable(output.partial_name(self.npy))
        self._owns_state = True
        self._journal.clear()  # before the array that it speaks of is gone
        file = self.create(self.npy)
        free = npy_files.free_space(self.npy)
        npy_files.reject_too_large(math.prod(shape) * self._storage.itemsize, free, self.npy)
        announce(shape, self._storage, free)
        array = npy_files.begin_array(file, shape, self._storage, self.npy)
        if self.resume:
            self._journal.begin(self.plan, shape)
        return array

    def load(self, threads: dict[str, Any], progress: bool, on_error: Any) -> None:
        """Decode the rows that are missing.

        Parameters
        ----------
        threads : dict
            `num_threads`, `read_threads` and `read_ahead` of `fastimg.load`.
        progress, on_error
            As for `fastimg.load`; a callable as `on_error` gets the errors of these rows.

        Raises
        ------
        ImageError, OSError, ValueError, KeyboardInterrupt
            As `fastimg.load` raises them, or a file cannot be written.
        """
        options = {**self.plan.options, **threads}
        if not self.resume:
            if self.plan.fallback:
                options["fallback"] = self.plan.fallback
            fastimg.load(self.plan.sources, self.array, progress=progress, on_error=on_error, **options)
            return
        sources = SourceList(self.plan.sources)
        axes = (1, 2) if options["layout"] == "HWC" else (2, 3)
        height, width = (self.array.shape[axis] for axis in axes)
        checkpoint = time.monotonic()
        with contextlib.ExitStack() as stack:
            bar: Any = None
            if progress:
                finished = int(self._finished.sum())
                bar = progress_bar(total=len(sources), initial=finished, unit="img", smoothing=0.1)
                stack.enter_context(bar)
            streak = Streak()
            for start, stop in self._pieces(threads["num_threads"]):
                log = ErrorLog(on_error)
                log.begin()
                batch = self._batch(sources, start, stop, threads, log if callable(on_error) else "raise")
                if bar is not None:
                    base = bar.n
                    batch.progress = lambda done, _, base=base: bar.update(base + done - bar.n)
                batch.load(self.array[start:stop], (height, width))
                failures = log.take()
                self._mark(start, stop, failures)
                unreadable = {each.index - start: each.error for each in failures if each.is_unreadable}
                at = streak.add(unreadable, stop - start)
                if at is not None:
                    raise with_streak_note(unreadable[at])
                for each in failures:
                    on_error(each.error)
                if time.monotonic() - checkpoint >= CHECKPOINT_SECONDS:
                    self._checkpoint()
                    checkpoint = time.monotonic()
        self._checkpoint()

    def _batch(
        self,
        sources: SourceList,
        start: int,
        stop: int,
        threads: dict[str, Any],
        on_error: Any,
    ) -> BatchDecode:
        values = self.plan.options
        options = parse_options(values)
        return BatchDecode(
            sources,
            np.arange(start, stop),
            options,
            crop=parse_crop(values["crop"], options),
            flip=values["flip"],
            num_threads=threads["num_threads"],
            reading=parse_reading(threads["read_threads"], threads["read_ahead"]),
            on_error=on_error,
            originals=self.plan.sources,
            fallback=parse_fallback(self.plan.fallback),
        )

    def _pieces(self, num_threads: int | None) -> Iterator[tuple[int, int]]:
        """Yield ranges of missing rows that take about a quarter of the time between checkpoints each."""
        least = 2 * (num_threads or default_num_threads())
        length = max(least, FIRST_ROWS)
        edges = np.flatnonzero(np.diff(self._finished, prepend=True, append=True))
        for start, end in edges.reshape(-1, 2).tolist():
            while start < end:
                stop = min(end, start + length)
                began = time.monotonic()
                yield start, stop
                seconds = time.monotonic() - began
                rate = (stop - start) / (seconds + 1e-9)
                length = max(least, min(2 * length, int(rate * CHECKPOINT_SECONDS / 4)))
                start = stop

    def _check_sizes(self) -> None:
        """Refuses images of several sizes at the beginning, as `fastimg.load` does."""
        options = self.plan.options
        if options["size"] is None and options["crop"] is None:
            sources = SourceList(self.plan.sources)
            defaults = {"num_threads": None, "read_threads": None, "read_ahead": READ_AHEAD}
            batch = self._batch(sources, 0, len(sources), defaults, [].append)
            batch.common_size(None)

    def _mark(self, start: int, stop: int, failures: Sequence[Any]) -> None:
        rows = np.arange(start, stop)
        rows = rows[~np.isin(rows, [error.index for error in failures])]
        self._finished[rows] = True
        self._unwritten[rows] = True

    def _checkpoint(self) -> None:
        """Write that rows are finished, after their pixels."""
        if not self._unwritten.any():
            return
        self.array.flush()
        edges = np.flatnonzero(np.diff(self._unwritten, prepend=False, append=False))
        self._journal.add_finished(edges.reshape(-1, 2).tolist())
        self._unwritten[:] = False

    def drop(self, rows: Sequence[int]) -> np.memmap[Any, np.dtype[Any]]:
        """Leave rows out of the array; a run that is killed from now on cannot be taken up.

        Parameters
        ----------
        rows : sequence of int
            Not all of them.

        Returns
        -------
        numpy.memmap
            The other rows, in their order.

        Raises
        ------
        OSError
            The file cannot be written.
        """
        if rows:
            self._moved = True
            if self.resume:
                self._journal.clear()  # before rows are elsewhere than it says
            shape, dtype, offset = self.array.shape, self.array.dtype, self.array.offset
            del self.array
            self.array = drop_rows(self._files[0], shape, dtype, offset, rows)
        return self.array

    def publish(self) -> None:
        """Write everything to the disk and rename the files, the array last.

        Raises
        ------
        OSError
            A write or a rename failed. No file of this run has its final name.
        """
        if self.resume and not self._moved:
            self.sync()
            self._journal.add_ready(identity_of(output.partial_name(self.npy)))
        super().publish()
        self._published = True

    def _keep(self) -> bool:
        """Leave what there is for a later run; return whether that is anything."""
        if not self._owns_state:
            self.keep(self.npy)
            return not self._journal.is_empty()
        if self._published or self._moved or not self.resume:
            return False
        with contextlib.suppress(OSError):  # then the rows since the last checkpoint are lost
            self._checkpoint()
        count = int(np.count_nonzero(self._finished & ~self._unwritten))
        if count:
            self.keep(self.npy)
            complain(
                f"{count:,} of {counted(len(self._finished), 'row')} {verb(count, 'is', 'are')} finished in "
                f"{output.partial_name(self.npy)}: "
                "the same command with --resume goes on"
            )
        return count > 0


_ENDING_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class _Signals:
    """Turns SIGTERM and SIGHUP, which would end the process at once, into SystemExit."""

    def __init__(self) -> None:
        self._old: dict[int, Any] = {}

    def catch(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        for number in _ENDING_SIGNALS:
            if signal.getsignal(number) == signal.SIG_DFL:  # nohup ignores SIGHUP
                self._old[number] = signal.signal(number, _exit)

    def ignore(self) -> None:
        for number in self._old:
            signal.signal(number, signal.SIG_IGN)

    def restore(self) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)


def _exit(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)  # a shell's status for a process that the signal has ended


def _check_replaceable(path: str) -> None:
    """Refuses to replace a file that is not the beginning of an array."""
    try:
        with open(path, "rb") as file:
            beginning = file.read(len(_MAGIC))
    except FileNotFoundError:
        return
    if not _MAGIC.startswith(beginning):
        raise ValueError(f"{path}: not written by fastimg load, which needs this name: move it away")
