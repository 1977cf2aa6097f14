# SPDX-License-Identifier: BSD-3-Clause
"""The batches of an epoch, made ahead in threads that end with their iterator."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from fastimg.batch_builder import BatchBuilder, PendingBatch
from fastimg.on_error import BatchErrors, EpochErrors
from fastimg.prefetch import PrefetchThreads

#: Where files are slow to come, those of as many samples are asked for ahead of decoding.
SAMPLES_AHEAD = 128


class BatchIterator(Iterator[Any]):
    """The batches of one epoch, in order, made ahead by background threads.

    Made by `ArrayDataSource.batch_iterator`. It is an iterator and a context manager; its threads end when it is
    exhausted, closed, or no longer referred to. Threads may share it: each batch goes to one of them.

    Examples
    --------
    >>> source = fastimg.data_source.ArrayDataSource([np.arange(10)])
    >>> with source.batch_iterator(4) as batches:
    ...     (first,) = next(batches)
    >>> first.tolist()
    [0, 1, 2, 3]
    """

    _is_finalizing = staticmethod(sys.is_finalizing)  # kept: at the end the names in this module are gone

    def __init__(
        self, epoch: Any, builder: Callable[[], BatchBuilder], prefetch: int, errors: EpochErrors
    ) -> None:
        self._epoch = epoch
        self._errors = errors
        self._new_builder = builder
        self._prefetch = prefetch
        self._builder: BatchBuilder | None = None
        self._threads: PrefetchThreads | None = None
        self._pending: deque[PendingBatch] = deque()
        self._ahead: deque[PendingBatch] = deque()  # only their files are read yet
        self._drawn = False  # whether there are no more indices
        self._held: PendingBatch | None = None
        self._closed = False
        self._lock = threading.Lock()
        self._owner: int | None = None  # the thread that holds the lock
        self._pid = os.getpid()

    def __iter__(self) -> BatchIterator:
        return self

    def __next__(self) -> Any:
        """The next batch.

        Raises
        ------
        StopIteration
            At the end, or after `close`.
        ImageError, OSError, ValueError
            If an image cannot be loaded, none can, or whatever an array or a function of the caller's raises.
        MemoryError, OSError
            If there is no memory, no file can be opened, or 32 images in a row cannot be read, whatever `on_error` is.
        RuntimeError
            In a forked process, if `on_error` is a callable of another process, if what makes the batch raises
            StopIteration, or if it asks for a batch itself.
        """
        if self._pid != os.getpid():
            raise RuntimeError(
                "a batch iterator cannot be used in a forked process: its threads stayed behind"
            )
        if self._is_inside():
            raise RuntimeError("a batch iterator was asked for a batch by what makes its batches")
        ident = (
            threading.get_ident()
        )  # no call between taking the lock and naming its owner: a signal may come there
        while True:
            with self._lock:
                self._owner = ident
                try:
                    if self._closed:
                        raise StopIteration
                    result, found = self._advance()
                except BaseException:
                    self._close()
                    raise
                finally:
                    self._owner = None
            if found is None:
                return result
            try:
                self._errors.tell(found)  # without the lock, as it may call a function of the caller's
            except BaseException:
                self.close()
                raise
            if not found.empty:
                return result

    def _is_inside(self) -> bool:
        """Whether this thread makes a batch: in a function, a reader or a fallback, or under a handler of signals."""
        if self._owner == threading.get_ident():
            return True
        threads, builder = self._threads, self._builder
        return bool(threads and threads.is_current()) or bool(builder and builder.is_current())

    def _advance(self) -> tuple[Any, BatchErrors | None]:
        if self._builder is None:
            self._builder = self._new_builder()
            self._builder.add_buffers(self._prefetch + 2)
            if self._prefetch:
                self._threads = PrefetchThreads(self._builder, self._prefetch)
        self._fill(max(1, self._prefetch))
        if not self._pending:
            raise StopIteration
        pending = self._pending.popleft()
        if (pending.error is None and not self._wait(pending)) or self._closed:
            raise StopIteration
        if isinstance(pending.error, StopIteration):
            # As a generator does.
            raise RuntimeError("what makes a batch raised StopIteration") from pending.error
        if pending.error is not None:
            raise pending.error
        result, pending.result = pending.result, None
        if self._prefetch:
            self._fill(self._prefetch)
        if self._held:
            self._builder.recycle(self._held)
        self._held = pending
        if self._closed:
            raise StopIteration
        self._epoch.delivered += 1
        return result, pending.found

    def _wait(self, pending: PendingBatch) -> bool:
        if self._threads:
            return self._threads.wait(pending)
        assert self._builder is not None
        try:
            self._builder.decode(pending)
            if self._closed:
                return False
            self._builder.map(pending)
        except Exception as error:
            pending.error = error
        return True

    def _fill(self, count: int) -> None:
        assert self._builder is not None
        reads_ahead = bool(self._threads) and self._builder.reads_ahead
        for pending in self._pending if reads_ahead else ():
            self._try_to_begin(pending)
        while len(self._pending) < count:
            upcoming = self._ahead.popleft() if self._ahead else self._draw(reads_ahead)
            if upcoming is None:
                break
            self._pending.append(upcoming)
            if self._threads and upcoming.error is None:
                self._threads.submit(upcoming)
        if reads_ahead and self._epoch.may_draw_ahead:
            waiting = sum(
                len(each.indices) for each in (*self._pending, *self._ahead) if each.indices is not None
            )
            while waiting < SAMPLES_AHEAD and (drawn := self._draw(True)) is not None:
                self._ahead.append(drawn)
                waiting += len(drawn.indices) if drawn.indices is not None else SAMPLES_AHEAD

    def _draw(self, begin: bool) -> PendingBatch | None:
        """Draws the indices of the next batch, and lets its files be read; None at the end."""
        assert self._builder is not None
        if self._drawn:
            return None
        pending = PendingBatch()
        try:
            pending.indices = self._epoch.next_indices()
        except Exception as error:
            pending.error = error
        self._drawn = pending.indices is None
        if begin:
            self._try_to_begin(pending)
        return None if self._drawn and pending.error is None else pending

    def _try_to_begin(self, pending: PendingBatch) -> None:
        assert self._builder is not None
        try:
            self._builder.begin(pending)
        except Exception as error:
            pending.error = error

    def __len__(self) -> int:
        """The number of batches that are left, with those that ``on_error="drop"`` will skip."""
        left: int = self._epoch.batches_left()
        return 0 if self._closed else left

    def state_dict(self) -> dict[str, Any]:
        """Where the caller stands, in plain types that JSON can hold; only batches that it has got count.

        Returns
        -------
        dict
            For `load_state_dict`, also that of an `ArrayDataSource`.

        Examples
        --------
        >>> source = fastimg.data_source.ArrayDataSource([np.arange(10)])
        >>> batches = source.batch_iterator(4)
        >>> batch = next(batches)
        >>> batches.state_dict()["batches"]
        1
        """
        state: dict[str, Any] = self._epoch.state()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where another iterator's `state_dict` stood.

        Parameters
        ----------
        state : dict
            What `state_dict` returned, of an iterator of the same samples, batch size and shuffle.

        Raises
        ------
        ValueError, TypeError
            If this iterator has begun, or `state` is not of an epoch like this one.

        Examples
        --------
        >>> source = fastimg.data_source.ArrayDataSource([np.arange(10)])
        >>> batches = source.batch_iterator(4)
        >>> batch = next(batches)
        >>> rest = source.batch_iterator(4)
        >>> rest.load_state_dict(batches.state_dict())
        >>> len(rest)
        2
        """
        if self._builder is not None or self._closed:
            raise ValueError("a state can be loaded before the first batch only")
        self._epoch.load(state)

    def close(self) -> None:
        """End the threads: decoding is cancelled, functions of the caller's are waited for.

        These may call it, too, and so may handlers of signals, whatever they interrupt: nobody is waited for then.

        Examples
        --------
        >>> source = fastimg.data_source.ArrayDataSource([np.arange(10)])
        >>> batches = source.batch_iterator(4)
        >>> batch = next(batches)
        >>> batches.close()
        >>> len(batches)
        0
        """
        if self._pid != os.getpid():
            return  # the threads stayed behind, and with them, perhaps, the lock
        threads, builder = self._threads, self._builder
        if self._is_inside():  # whoever holds the lock does the rest
            self._closed = True
            if threads:
                threads.cancel()
            if builder:
                builder.stop(False)
            return
        self._closed = True
        if threads:
            threads.stop()  # first, as `next` may be waiting in another thread
        elif builder:
            builder.cancellation.cancel()  # or decoding there
        with self._lock:
            self._close()

    def _close(self) -> None:
        self._closed = True
        self._pending.clear()
        self._ahead.clear()
        self._held = None
        threads, self._threads = self._threads, None
        builder, self._builder = self._builder, None
        if self._pid != os.getpid():
            return  # in a forked process there are no threads
        if threads:
            threads.stop()
        elif builder:
            builder.stop(True)

    def __enter__(self) -> BatchIterator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        # When the interpreter ends there are no threads left to stop, and modules may be empty.
        if hasattr(self, "_pid") and not self._is_finalizing():
            try:  # noqa: SIM105 - suppress() takes memory itself
                self._close()
            except MemoryError:
                pass  # nobody can be told; the threads end with the process
